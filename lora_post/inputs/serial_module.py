"""A serial module that is set up by lora-post: its port, and what it is told."""

from __future__ import annotations

import time
from collections.abc import Callable

from lora_post.errors import ConfigError, Problem, defect
from lora_post.formats.at_modem import MAX_LINE
from lora_post.formats.at_setup import MODULES, Setup
from lora_post.formats.line_reader import LineReader
from lora_post.inputs.byte_streams import ByteStream, SerialPort
from lora_post.model import Noise


class ModuleStream:
    """Hands on what a module says, and answers it: reads like the port itself."""

    def __init__(self, port: SerialPort, setup: Setup, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = port.name
        self._port = port
        self._setup = setup
        self._monotonic = monotonic
        self._lines = LineReader(MAX_LINE)
        self._openings = 0

    @property
    def trouble(self) -> Problem | None:
        return self._port.trouble

    def read(self, timeout_s: float) -> bytes | None:
        data = self._port.read(timeout_s)
        try:
            self._answer(data or b"")
        except Exception as error:  # what it heard is worth more than its set-up
            defect(error)
        return data

    def _answer(self, data: bytes) -> None:
        now = self._monotonic()
        if self._port.openings != self._openings:
            self._openings = self._port.openings
            self._lines.take_rest()
            self._setup.start(now)
        for line in self._lines.feed(data):
            if not isinstance(line, Noise) and (text := line.strip()):
                self._setup.take(text, now)
        command = self._setup.due(now)
        if command:
            self._port.write(command)

    def close(self) -> None:
        self._port.close()


def set_up_by(commands: tuple[str, ...], input_format: str, port: ByteStream) -> ByteStream:
    """Return the port of a module that is given these commands. Raises ConfigError for a file."""
    if not isinstance(port, SerialPort):
        raise ConfigError(f"[[input]] setup is for serial ports, and {port.name} is not one", fix="remove it")
    return ModuleStream(port, Setup(port.name, MODULES[input_format], commands))
