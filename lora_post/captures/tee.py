"""Write what the inputs of a run give to a capture, for `run --capture`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from lora_post.captures.writer import CaptureWriter
from lora_post.clocks.scale import now_us
from lora_post.config.inputs import InputConfig
from lora_post.errors import SpoolError
from lora_post.inputs import Input, Surroundings, open_input
from lora_post.inputs.stream import Hear, StreamInput

log = logging.getLogger("lora_post")


class Tee:
    """Writes what inputs give to a capture; when it cannot, the inputs go on without."""

    def __init__(self, path: Path) -> None:
        """Open the capture. Raises ConfigError when the file cannot be appended to."""
        self._writer: CaptureWriter | None = CaptureWriter(path)
        self._streams = 0
        self._lock = Lock()

    def add(self, name: str, input_format: str) -> Hear:
        """Return what an input is to call with its bytes. name: how the capture calls it."""
        number = self._streams
        self._streams += 1
        self._try(lambda writer: writer.start(number, now_us(), input_format, name))
        return lambda data, at_us: self._try(lambda writer: writer.write(number, at_us, data))

    def _try(self, write: Callable[[CaptureWriter], None]) -> None:
        with self._lock:
            if self._writer is None:
                return
            try:
                write(self._writer)
            except SpoolError as error:
                log.error("%s; going on without capture", error)
                with suppress(SpoolError):
                    self._writer.close()
                self._writer = None

    def close(self) -> None:
        with self._lock:
            writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
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
