"""Write what the inputs of a run give to a capture, for `run --capture`."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from lora_post.captures.writer import CaptureWriter
from lora_post.clocks.scale import now_us
from lora_post.config.inputs import InputConfig
from lora_post.errors import SpoolError
from lora_post.inputs import Input, Surroundings, open_input
from lora_post.inputs.stream import Hear, StreamInput
from lora_post.spool.spool_file import KEPT_FREE_BYTES
from lora_post.times import WallUs

log = logging.getLogger("lora_post")


class Tee:
    """Writes what inputs give to a capture; while it cannot, the inputs go on without."""

    def __init__(self, path: Path) -> None:
        """Open the capture. Raises ConfigError when the file cannot be appended to."""
        self._writer = CaptureWriter(path, keep_bytes=2 * KEPT_FREE_BYTES)  # the spool needs what is left
        self._streams: list[tuple[str, str]] = []
        self._cut: set[int] = set()  # streams that have to begin anew, since something of them is missing
        self._is_failing = False
        self._lock = Lock()

    def add(self, name: str, input_format: str) -> Hear:
        """Return what an input is to call with its bytes. name: how the capture calls it."""
        number = len(self._streams)
        self._streams.append((input_format, name))
        self._cut.add(number)
        self._write(number, b"", now_us())
        return partial(self._write, number)

    def _write(self, number: int, data: bytes, at_us: WallUs) -> None:
        with self._lock:
            try:
                if number in self._cut:
                    self._writer.start(number, at_us, *self._streams[number])
                    self._cut.discard(number)
                self._writer.write(number, at_us, data)
            except SpoolError as error:
                self._cut.update(range(len(self._streams)))
                if not self._is_failing:
                    log.error("%s; going on without capture", error)
                self._is_failing = True
            else:
                if self._is_failing:
                    log.warning("capturing again")
                self._is_failing = False

    def close(self) -> None:
        with self._lock:
            try:
                self._writer.close()
            except SpoolError as error:
                log.error("%s", error)


def open_heard(item: InputConfig, surroundings: Surroundings, tee: Tee | None) -> Input:
    """Open an input whose bytes also go to the tee, when there is one."""
    if tee is None:
        return open_input(item, surroundings)
    parts = urlsplit(item.url)
    # Not the whole URL: a capture is passed on, a password in it must not be.
    input_ = open_input(item, surroundings, tee.add(f"{parts.scheme}:{parts.path}", item.format))
    if not isinstance(input_, StreamInput):
        log.warning("--capture: input %s gives messages, not a stream of bytes; it is left out", input_.name)
    return input_
