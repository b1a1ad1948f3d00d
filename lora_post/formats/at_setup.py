"""Sets up a serial module: commands one after the other, each when the last one is answered.

    mac pause                        →  4294967245
    radio set freq 868100000         →  ok, or invalid_param
    AT+PRECV=65534                   →  OK, or AT_PARAM_ERROR
    AT+ADDRESS=1                     →  +OK, or +ERR=4

An RN2483 receives one frame and stops: behind each it is asked for SNR and RSSI and told to receive again. A
module that says that it has started anew is set up anew; one that does not answer is asked again later.

Sources: Microchip, RN2483 LoRa Technology Module Command Reference User's Guide, sections 2.3 to 2.5; RAKwireless, RUI3
AT Command Manual; REYAX, LoRa AT Command Guide.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from lora_post.formats.line_reader import show
from lora_post.secret import hide_secrets
from lora_post.text import plural

log = logging.getLogger(__name__)

ANSWER_S: Final = 2.0
AGAIN_S: Final = 10.0
MAX_TOLD: Final = 64

is_error: Final = re.compile(rb"invalid_param|busy|not_\w+|err|\+ERR\S*|(?:AT_)?\w*ERROR.*|Unknown.*", re.I).fullmatch


class Module(Struct, frozen=True):
    """How one kind of module talks.

    auto: the commands that make it receive without end. events: how lines begin that answer nothing.
    banner: how it says that it has started. done: what ends an answer; None: any line is one.
    again: what begins the command that it must be given again after each line that begins as one of `stops`.
    queries: asked after the first of `stops`.
    """

    auto: tuple[str, ...]
    events: tuple[bytes, ...]
    banner: tuple[bytes, ...]
    done: tuple[bytes, ...] | None = None
    again: str = ""
    stops: tuple[bytes, ...] = ()
    queries: tuple[str, ...] = ()


MODULES: Final = {
    "rn2483": Module(
        auto=("mac pause", "radio set wdt 0", "radio rx 0"),
        events=(b"radio_", b"mac_"),
        banner=(b"RN2483 ", b"RN2903 "),
        again="radio rx",
        stops=(b"radio_rx", b"radio_err"),
        queries=("radio get snr", "radio get rssi"),
    ),
    "rak": Module(
        auto=("AT+PRECV=65534",),
        events=(b"+EVT:", b"at+recv="),
        banner=(b"RAKwireless", b"Current Work Mode", b"Welcome to RAK"),
        done=(b"OK", b"ok"),
    ),
    "reyax": Module(auto=("AT",), events=(b"+RCV=",), banner=(b"+READY",)),
}
"""Format of an input -> the modules that speak it."""


class Setup:
    """What is to be told to one module, and when; times in seconds of a monotonic clock."""

    def __init__(self, name: str, module: Module, commands: Sequence[str]) -> None:
        """name: how logs call the module."""
        self._name = name
        self._module = module
        self._commands = tuple(commands)
        self._again = next((text for text in reversed(commands) if module.again and text.startswith(module.again)), "")
        self._waiting: deque[str] = deque()
        self._asked = ""  # what is to be answered
        self._asked_at = 0.0
        self._start_at: float | None = None
        self._started_at = float("-inf")
        self._setting_up = False
        self._told: set[str] = set()

    def start(self, now: float) -> None:
        """Begin with the first command: the module is there, or there again."""
        self._waiting = deque(self._commands)
        self._asked = ""
        self._start_at, self._started_at = None, now
        self._setting_up = True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked, and nothing waits to be."""
        return not self._asked and not self._waiting

    def is_event(self, line: bytes) -> bool:
        """Tell whether a line answers no command."""
        return line.startswith(self._module.events)

    def is_answer(self, line: bytes) -> bool:
        """Tell whether a line that is neither an event nor an error ends an answer."""
        return self._module.done is None or line in self._module.done

    def take(self, line: bytes, now: float) -> None:
        """Take a line from the module, without blanks around it."""
        module = self._module
        if self._again and line.startswith(module.stops):
            if self._again in self._waiting:
                return  # is going to be told so
            self._waiting.extend([*(module.queries if line.startswith(module.stops[0]) else ()), self._again])
        elif line.startswith(module.banner) and self._asked in ("", self._again):
            if now - self._started_at >= AGAIN_S:
                log.info("%s has started anew: %s", self._name, show(line))
                self.start(now)
            elif self._setting_up is False:
                self._start_at = self._started_at + AGAIN_S
        elif self._asked and line != self._asked.encode() and not line.startswith(module.events):
            if is_error(line):
                if self._asked not in module.queries:
                    self._tell(
                        f"{hide_secrets(self._asked)!r} is refused: {show(line)}; correct [[input]] setup",
                        logging.ERROR,
                    )
            elif module.done is not None and line not in module.done:
                return
            self._asked = ""

    def due(self, now: float) -> bytes:
        """Return what is to be written now, b"" for nothing."""
        if self._start_at is not None and now >= self._start_at:
            self.start(now)
        if self._asked:
            if now - self._asked_at < ANSWER_S:
                return b""
            self._tell(
                f"no answer to {hide_secrets(self._asked)!r}; is it the right port, speed and module?", logging.WARNING
            )
            self._asked = ""
            self._waiting.clear()
            self._setting_up = False
            self._start_at = now + AGAIN_S
        if not self._waiting:
            if self._setting_up:
                self._setting_up = False
                log.info("%s is set up, %s", self._name, plural(len(self._commands), "command"))
            return b""
        self._asked = self._waiting.popleft()
        self._asked_at = now
        return self._asked.encode("ascii", "replace") + b"\r\n"

    def _tell(self, text: str, level: int) -> None:
        """Log each trouble once."""
        if text not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(text)
            log.log(level, "%s: %s", self._name, text)
