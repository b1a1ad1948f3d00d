"""Set up a serial module, read what it says, and make it send."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from lora_post.errors import ConfigError, Problem, defect
from lora_post.formats.at_modem import MAX_LINE
from lora_post.formats.at_send import Sending
from lora_post.formats.at_setup import MODULES, Setup, is_error
from lora_post.formats.line_reader import LineReader, show
from lora_post.inputs.byte_streams import ByteStream, SerialPort
from lora_post.model import Noise
from lora_post.secret import hide_secrets

ANSWERS_S = 0.5
"""So long a module has to answer a command, while a frame is to be sent."""
LOOK_S = 0.01
MAX_HELD = 1 << 14
MAX_SHOWN = 30
MORE_S = 1.0
"""So much longer than its frame is on air it may take to say that it has sent it."""


class Refused(Exception):
    """A module does not send a frame; why, for a person."""


class _Said:
    """The lines that a module says; all: the bytes of all of them, for who reads frames."""

    def __init__(self, port: SerialPort) -> None:
        self._port = port
        self._reader = LineReader(MAX_LINE)
        self._lines: deque[bytes] = deque()
        self.all = b""

    def line(self) -> bytes:
        """Return the next one, b"" when there is none in a moment."""
        if not self._lines:
            data = self._port.read(LOOK_S) or b""
            self.all = (self.all + data)[-MAX_HELD:]
            found = (line.strip() for line in self._reader.feed(data) if not isinstance(line, Noise))
            self._lines.extend(line for line in found if line)
        return self._lines.popleft() if self._lines else b""

    def left(self) -> bytes:
        """Return what was not taken."""
        return b"".join(line + b"\r\n" for line in self._lines) + (self._reader.take_rest() or b"")


class ModuleStream:
    """Hands on what a module says, and answers it: reads like the port itself.

    While it sends, which is done in another thread, the reader waits; what the module says meanwhile it gets later.
    late: how many bytes of the last read it had said some time before.
    """

    is_null = False

    def __init__(
        self,
        port: SerialPort,
        setup: Setup,
        commands: tuple[str, ...] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """commands: what it is set up with."""
        self.name = port.name
        self.commands = commands
        self._port = port
        self._setup = setup
        self._monotonic = monotonic
        self._lines = LineReader(MAX_LINE)
        self._openings = 0
        self._lock = Lock()
        self._sends = self._is_closed = False
        self._held = b""
        self.late = 0

    @property
    def trouble(self) -> Problem | None:
        return self._port.trouble

    def read(self, timeout_s: float) -> bytes | None:
        with self._lock:
            data = self._port.read(0.0 if self._sends or self._held else timeout_s)
            held, self._held = self._held, b""
            self.late = len(held)
            try:
                self._answer(data or b"")
            except Exception as error:  # what it heard is worth more than its set-up
                defect(error)
        while self._sends:
            time.sleep(0.001)  # the lock is to be had
        return held + data if data else held or data

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

    def transmit(self, orders: Sending, at_s: float, latest_s: float, airtime_s: float) -> bool | None:
        """Send a frame; return whether it is sent, None where the module does not say.

        at_s: when the command is given, not after latest_s, both monotonic. Raises Refused.
        """
        self._sends = True
        self._port.cancel_read()
        with self._lock:
            self._sends = False
            if self._is_closed:
                raise Refused("lora-post is about to stop")
            said = _Said(self._port)
            try:
                self._settle(said)
                for command in orders.prepare:
                    self._order(command, said)
                now = self._monotonic()
                if now > latest_s:
                    raise Refused(f"{(now - at_s) * 1000:.0f} ms too late: the module took so long to be made ready")
                time.sleep(max(at_s - now, 0.0))
                self._order(orders.send, said)
                return self._outcome(orders, said, airtime_s)
            finally:
                self._restore(orders, said)
                self._held += said.all
                self._answer(said.left())

    def _settle(self, said: _Said) -> None:
        """Finish the set-up that is under way."""
        until = self._monotonic() + ANSWERS_S
        while not self._setup.is_idle and self._monotonic() < until:
            command = self._setup.due(self._monotonic())
            if command:
                self._port.write(command)
            if line := said.line():
                self._setup.take(line, self._monotonic())

    def _order(self, command: str, said: _Said) -> None:
        self._port.write(command.encode("ascii") + b"\r\n")
        until = self._monotonic() + ANSWERS_S
        while self._monotonic() < until:
            line = said.line()
            if not line or line == command.encode() or self._setup.is_event(line):
                continue
            if is_error(line):
                raise Refused(f"the module answers {hide_secrets(command)[:MAX_SHOWN]!r} with {show(line)}")
            if self._setup.is_answer(line):
                return
        raise Refused(f"the module does not answer {hide_secrets(command)[:MAX_SHOWN]!r}")

    def _outcome(self, orders: Sending, said: _Said, airtime_s: float) -> bool | None:
        until = self._monotonic() + airtime_s + MORE_S
        while self._monotonic() < until:
            line = said.line()
            if line.startswith(orders.sent):
                return True
            if line.startswith(orders.failed):
                raise Refused(f"the module says {show(line)}")
        return None

    def _restore(self, orders: Sending, said: _Said) -> None:
        """Make the module receive again; begin the set-up anew where it does not obey."""
        for command in orders.restore:
            try:
                self._order(command, said)
            except Refused:
                self._setup.start(self._monotonic())
                return

    def close(self) -> None:
        with self._lock:  # a frame that is being sent is sent, and the module receives again
            self._is_closed = True
            self._port.close()


def set_up_by(commands: tuple[str, ...], input_format: str, port: ByteStream) -> ModuleStream:
    """Return the port of a module that is given these commands. Raises ConfigError for a file."""
    if not isinstance(port, SerialPort):
        raise ConfigError(f"[[input]] setup is for serial ports, and {port.name} is not one", fix="remove it")
    return ModuleStream(port, Setup(port.name, MODULES[input_format], commands), commands)
