"""Write captures: a power cut costs the last seconds, an SD card few writes.

Everything goes to the system at once, so that a crash of this program loses nothing; the system is told to put it
on the card at most every SYNC_EVERY_S seconds. A file can be appended to; a last record that a power cut has cut short
is removed first.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

from lora_post.errors import ConfigError, SpoolError
from lora_post.formats.capture_file import MAGIC, data_lines, start_line
from lora_post.formats.loratap_pcap import pcap_end, pcap_record, write_pcap_header
from lora_post.model import Frame
from lora_post.spool.spool_file import free_bytes
from lora_post.times import WallUs

SYNC_EVERY_S: Final = 30.0

_STEP: Final = 1 << 16


class AppendFile:
    """A file that only grows, by whole records.

    end_of: where the whole records in an existing file end; raises ConfigError for a file that is something else.
    Raises ConfigError when the file cannot be opened, or another program is writing it. keep_bytes: so many stay free.
    """

    def __init__(
        self,
        path: Path,
        header: bytes,
        end_of: Callable[[int, int], int],
        monotonic: Callable[[], float] = time.monotonic,
        keep_bytes: int = 0,
    ) -> None:
        self._path = path
        self._monotonic = monotonic
        self._keep_bytes = keep_bytes
        self._unsynced_since: float | None = None
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigError(f"capture {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(self._fd).st_size
            self._size = end_of(self._fd, size) if size else 0
            os.ftruncate(self._fd, self._size)
            if not self._size:
                self.append(header)
        except BlockingIOError:
            os.close(self._fd)
            raise ConfigError(f"capture {path}: another program is writing it", fix="name another file") from None
        except OSError as error:
            os.close(self._fd)
            raise ConfigError(f"capture {path}: {error.strerror}") from error
        except SpoolError as error:
            os.close(self._fd)
            raise ConfigError(error.what, fix="make room, or name a file on another disk") from None
        except ConfigError as error:
            os.close(self._fd)
            raise ConfigError(f"capture {path}: {error.what}", fix=error.fix) from None

    def append(self, record: bytes) -> None:
        """Write a record, whole or not at all. Raises SpoolError."""
        try:
            if self._keep_bytes and free_bytes(self._fd) < self._keep_bytes:
                raise SpoolError(f"capture {self._path}: the disk is nearly full")
            written = os.pwrite(self._fd, record, self._size)
            if written < len(record):
                os.ftruncate(self._fd, self._size)
                raise SpoolError(f"capture {self._path}: the disk is full")
            self._size += written
        except OSError as error:
            raise SpoolError(f"capture {self._path}: {error.strerror}") from error
        if self._unsynced_since is None:
            self._unsynced_since = self._monotonic()
        self.sync_if_due()

    def sync_if_due(self) -> None:
        """Sync to the card what was written SYNC_EVERY_S ago. Raises SpoolError."""
        if self._unsynced_since is not None and self._monotonic() - self._unsynced_since >= SYNC_EVERY_S:
            self._unsynced_since = None
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                raise SpoolError(f"capture {self._path}: {error.strerror}") from error

    def close(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise SpoolError(f"capture {self._path}: {error.strerror}") from error
        finally:
            os.close(self._fd)


class CaptureWriter:
    """Bytes of one or more inputs into a capture; may be shared by threads."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic, keep_bytes: int = 0) -> None:
        """keep_bytes: so much of the disk is left free."""
        self._lock = Lock()
        self._file = AppendFile(path, MAGIC, _end_of_lines, monotonic, keep_bytes)

    def start(self, stream: int, time_us: WallUs, input_format: str, name: str) -> None:
        """Note that an input begins. Raises SpoolError."""
        with self._lock:
            self._file.append(start_line(stream, time_us, input_format, name))

    def write(self, stream: int, time_us: WallUs, data: bytes) -> None:
        """Write bytes that arrived on an input; none: only time has passed. Raises SpoolError."""
        with self._lock:
            if data:
                self._file.append(b"".join(data_lines(stream, time_us, data)))
            else:
                self._file.sync_if_due()

    def close(self) -> None:
        self._file.close()


class PcapWriter:
    """Frames into a LoRaTap pcap file."""

    def __init__(self, path: Path) -> None:
        self._file = AppendFile(path, write_pcap_header(), _end_of_packets)

    def write(self, frame: Frame) -> None:
        """Write a frame. Raises SpoolError."""
        self._file.append(pcap_record(frame))

    def sync_if_due(self) -> None:
        """Sync to the card what is due. Raises SpoolError."""
        self._file.sync_if_due()

    def close(self) -> None:
        self._file.close()


def _end_of_lines(fd: int, size: int) -> int:
    start = os.pread(fd, len(MAGIC), 0)
    if start != MAGIC:
        if MAGIC.startswith(start):
            return 0
        raise ConfigError("there is a file of another kind", fix="name another file")
    at = size
    while at > 0:
        first = max(at - _STEP, 0)
        found = os.pread(fd, at - first, first).rfind(b"\n")
        if found >= 0:
            return first + found + 1
        at = first
    return 0


def _end_of_packets(fd: int, size: int) -> int:
    header = write_pcap_header()
    start = os.pread(fd, len(header), 0)
    if start != header:
        if header.startswith(start):
            return 0
        raise ConfigError("there is a file of another kind, or a capture of another program", fix="name another file")
    at = len(header)
    while (following := pcap_end(os.pread(fd, 16, at), at)) is not None and following <= size:
        at = following
    return at
