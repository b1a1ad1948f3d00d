"""Append readings as JSON lines to a file that is rotated by size, or to stdout.

The file is synced before a batch counts as delivered. A power cut can leave the last line torn, or
lines on the disk that still count as undelivered: so before anything is appended the end of the file is
put in order, and at the start its last lines are read, to write none of them a second time.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_post.errors import OutcomeUnknown, Unavailable
from lora_post.sinks.last_sent import LastSent
from lora_post.sinks.reading_json import FIRST_KEY, reading_objects
from lora_post.sinks.sink import Sink
from lora_post.spool.model import Batch
from lora_post.spool.swap import sync
from lora_post.times import WallUs

log = logging.getLogger(__name__)

# A batch has at most 100 lines, and only the last one can be in doubt.
LAST_LINES = 1000
LAST_BYTES = 1 << 20


class JsonLinesFile(Sink):
    """Appends batches to a file; full ones are called FILE.1 (the newest), FILE.2 …"""

    goes_on = False

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        """max_bytes: a file is full from here on. keep: how many full ones stay."""
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._sent = LastSent()
        self._found: frozenset[bytes] | None = None

    def prepare(self) -> None:
        """Read what was written last, before anything else is."""
        if self._found is None:
            with _troubles_of(self._path):
                self._found = frozenset(self._last_lines())

    def send(self, batch: Batch) -> None:
        """Append a batch. Raises Unavailable; OutcomeUnknown when a part of it may be there."""
        lines = b"".join(line + b"\n" for line in reading_objects(batch))
        self._sent.note(batch, ())
        with _troubles_of(self._path):
            self._rotate()
            is_new = not self._path.exists()
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                _mend(fd, self._path)
                self._append(fd, lines)
            finally:
                os.close(fd)
            if is_new:
                sync(self._path.parent)
        self._sent.note(batch, batch.times_us)

    def stored(self, batch: Batch, since_us: WallUs) -> list[WallUs]:
        """Return the times of a batch that are in the file already."""
        self.prepare()
        found = self._found or frozenset()
        lines = zip(batch.times_us, reading_objects(batch), strict=True)
        return sorted({*self._sent.of(batch), *(time for time, line in lines if line in found)})

    def _append(self, fd: int, lines: bytes) -> None:
        """Write all of it or nothing."""
        size = os.fstat(fd).st_size
        try:
            _write_all(fd, lines)
            os.fsync(fd)
        except OSError as error:
            try:
                os.ftruncate(fd, size)
            except OSError:
                self._found = None
                raise OutcomeUnknown(f"{self._path}: {error.strerror}") from error
            raise

    def _rotate(self) -> None:
        try:
            if self._path.stat().st_size < self._max_bytes:
                return
        except FileNotFoundError:
            return
        # A power cut in the middle leaves a number free; those behind it need not move again.
        free = next((n for n in range(1, self._keep) if not self._numbered(n).exists()), self._keep)
        for number in range(free, 0, -1):
            self._numbered(number - 1).replace(self._numbered(number))
        if not self._keep:
            self._path.unlink()
        sync(self._path.parent)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _last_lines(self) -> list[bytes]:
        # A batch that filled the file may have been followed by a rotation.
        lines = [*_tail(self._numbered(1)), *_tail(self._path)] if self._keep else _tail(self._path)
        return lines[-LAST_LINES:]


class JsonLinesOutput(Sink):
    """Writes batches to a stream, such as a pipe; what is not read is lost."""

    goes_on = False

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._sent = LastSent()

    def send(self, batch: Batch) -> None:
        """Write a batch. Raises Unavailable, OutcomeUnknown."""
        self._sent.note(batch, ())
        try:
            _write_all(self._fd, b"".join(line + b"\n" for line in reading_objects(batch)))
        except BrokenPipeError as error:
            raise Unavailable(
                "stdout is closed: its reader has ended", fix="start lora-post and its reader again"
            ) from error
        except OSError as error:
            raise OutcomeUnknown(f"stdout: {error.strerror}") from error
        self._sent.note(batch, batch.times_us)

    def stored(self, batch: Batch, since_us: WallUs) -> list[WallUs]:
        """Return the times of a batch that this process has written."""
        return self._sent.of(batch)


@contextmanager
def _troubles_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror or error}") from error


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _mend(fd: int, path: Path) -> None:
    """Cut off a line that was not finished: its reading is still in the queue.

    Raises Unavailable for a file that lora-post has not written.
    """
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        raise Unavailable(f"{path} is not a file", fix='name another one in [json_lines] path, or "-" for stdout')
    if not info.st_size or os.pread(fd, 1, info.st_size - 1) == b"\n":
        return
    start = max(0, info.st_size - LAST_BYTES)
    _, newline, torn = os.pread(fd, LAST_BYTES, start).rpartition(b"\n")
    # A disk may leave zeros where a line was to be.
    text = torn.rstrip(b"\0")[: len(FIRST_KEY)]
    if not FIRST_KEY.startswith(text) or (start and not newline):
        raise Unavailable(f"{path} does not end like a file of lora-post", fix="name another one in [json_lines] path")
    log.warning("%s: the last line was cut off by a crash and is written again", path)
    os.ftruncate(fd, info.st_size - len(torn))


def _tail(path: Path) -> list[bytes]:
    """Return the last whole lines of a file, without line ends."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    try:
        start = max(0, os.fstat(fd).st_size - LAST_BYTES)
        return os.pread(fd, LAST_BYTES, start).split(b"\n")[:-1]
    finally:
        os.close(fd)
