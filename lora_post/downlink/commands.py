"""Choose the commands that may be sent now, and keep what became of those that were sent.

A command is sealed, and its counter kept, before it is handed to a gateway. Whether it was on air is not always known:
then the very same bytes may go again, which a device that heard them drops. Other bytes have another counter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from msgspec.structs import replace

from lora_post.clocks.scale import is_unknown
from lora_post.clocks.system import SET_UNTIL_US
from lora_post.command import DEFAULT_LIFE_S, Command, Fate, Moment, Sealed, age_s, is_late
from lora_post.downlink.transmit import Tell, Transmission
from lora_post.metrics import Metrics
from lora_post.model import Device, Reading
from lora_post.times import StampUs, WallUs
from lora_post.uplink.model import FindSessions

log = logging.getLogger(__name__)

MAX_TRIES: Final = 8
"""So often a confirmed command may be on air."""
PERHAPS: Final = "perhaps sent: its gateway did not say"
UNTOLD: Final = (
    "expired: the network server was given it, and has told nothing of it; is the device still there, in the "
    "application that its uplinks came from?"
)
QUEUED_THERE: Final = "expired: the network server has it, and did not say in time that it was sent"
MAX_SILENT_TRIES: Final = 2
"""So often one that need not be acknowledged is given to gateways that do not say whether they send."""


class Book(Protocol):
    """Counters and commands of devices, while a transaction is open. is_app: of downlinks with an FPort above 0."""

    @property
    def find(self) -> FindSessions:
        """Return the sessions of an address."""
        ...

    def is_current(self, device: Device) -> bool:
        """Tell whether a device is in the session of its last uplink, and not in the one before a join."""
        ...

    def next_fcnt_down(self, device: Device, *, is_app: bool) -> int:
        """Return the next counter of downlinks in a device's session."""
        ...

    def take_fcnt_down(self, device: Device, *, is_app: bool) -> int:
        """Take the next counter of downlinks in a device's session, and return it."""
        ...

    def skip_fcnt_down(self, device: Device, by: int, *, is_app: bool) -> None:
        """Skip so many counter values."""
        ...

    def waiting(self, device: str = "") -> list[Command]:
        """Return the commands for a device, or for all, that are not over."""
        ...

    def note(self, command: Command) -> None:
        """Keep what became of a command."""
        ...

    def tell(self, device: str, reading: Reading, time_us: StampUs) -> None:
        """Keep a reading that no uplink gave."""
        ...

    def settings_of(self, device: Device) -> bytes | None:
        """Return what `keep_settings` has kept for a device's session: b"" for nothing, None where it cannot."""
        ...

    def keep_settings(self, device: Device, state: bytes) -> None:
        """Keep what a device was told in its session."""
        ...


class Commands:
    """The commands of all devices: when each may be sent, and how it ends."""

    def __init__(self, now: Callable[[], Moment], metrics: Metrics, stamp_us: Callable[[], StampUs]) -> None:
        """now: by the clock of this machine. stamp_us: the time of a reading that is taken now."""
        self.now = now
        self._stamp_us = stamp_us
        self._metrics = metrics
        self._told: SimpleQueue[tuple[int, Transmission]] = SimpleQueue()

    def tell(self, command: Command) -> Tell:
        """Return the callback for a frame with this command: it is told how the frame ended."""
        return lambda transmission: self._told.put((command.id, transmission))

    @property
    def has_news(self) -> bool:
        """Whether gateways have told something that is not noted yet."""
        return not self._told.empty()

    def note(self, book: Book, before: Command, after: Command) -> None:
        """Keep a change of a command; log and count it."""
        if after is before:
            return
        book.note(after)
        if after.steps != before.steps:
            log.info("%s: %s", after.about, after.steps[-1].text)
        if after.fate is not before.fate:
            self._metrics.count("commands", after.fate.value)
            if after.actuator:
                book.tell(after.device, Reading(f"{after.actuator}_state", after.fate.value), self._stamp_us())

    def settle(self, book: Book) -> None:
        """Keep what gateways have said about frames."""
        waiting = {command.id: command for command in book.waiting()}
        while True:
            try:
                number, transmission = self._told.get_nowait()
            except Empty:
                return
            if before := waiting.get(number):
                waiting[number] = after = self.settled(before, transmission)
                self.note(book, before, after)

    def settled(self, command: Command, told: Transmission) -> Command:
        """Return a command once its gateway has told what became of its frame."""
        where, now = f"by gateway {told.gateway}" + (f" in {told.window}" if told.window else ""), self.now()
        if told.is_sent is False:
            tries = command.tries - 1 if command.is_open else command.tries
            return replace(command, is_open=False, tries=tries).with_step(now, f"not sent {where}: {told.why}")
        tries = max(command.tries, 1)
        given = replace(command, is_open=told.is_sent is None, tries=tries, gateway=told.gateway, window=told.window)
        if told.is_sent is None:
            return given.with_step(now, f"given to be sent {where}, which did not say whether it does")
        if command.is_confirmed:
            return given.ended(now, Fate.SENT, f"sent {where}, {tries} of {MAX_TRIES}; it is to be acknowledged")
        return given.ended(now, Fate.SENT, f"sent {where}")

    def heard(self, device: Device, book: Book, *, acknowledges: bool) -> None:
        """Note an uplink of a device, and whether it acknowledges a downlink."""
        for command in book.waiting(device.id):
            if not (command.is_confirmed and command.tries):
                continue
            if acknowledges:
                self.note(book, command, command.ended(self.now(), Fate.ACKNOWLEDGED))
                return
            if command.tries >= MAX_TRIES:
                self.note(book, command, self._given_up(command))

    def _given_up(self, command: Command) -> Command:
        why = f"not acknowledged, though it was sent {command.tries} times"
        return command.ended(self.now(), Fate.NOT_ACKNOWLEDGED, why)

    def over_at(self, command: Command) -> WallUs | None:
        """Return when a command expires, where that was set; None for never, and while the time is not known."""
        now, age = self._stamp_us(), age_s(command.made, self.now())
        if command.life_s == DEFAULT_LIFE_S or age is None or is_unknown(now):
            return None
        over_us = WallUs(now + round((command.life_s - age) * 1e6))
        return over_us if over_us < SET_UNTIL_US else None

    def end_late(self, book: Book) -> None:
        """End the commands that were to be sent or acknowledged by now."""
        for command in book.waiting():
            if is_late(command, self.now()):
                self.note(book, command, self._late(command))

    def has_late(self, waiting: Sequence[Command]) -> bool:
        """Tell whether `end_late` has something to do."""
        return any(is_late(command, self.now()) for command in waiting)

    def _late(self, command: Command) -> Command:
        is_on_air = command.sealed is not None or command.fate is Fate.SENT
        if command.is_confirmed and command.tries and is_on_air:
            return self._given_up(command)
        if command.tries and command.sealed is None:  # a network server has it
            return command.ended(self.now(), Fate.EXPIRED, UNTOLD if command.is_open else QUEUED_THERE)
        if command.is_open:
            return command.ended(self.now(), Fate.SENT, PERHAPS)
        return command.ended(self.now(), Fate.EXPIRED)

    def due(self, device: Device, book: Book) -> list[Command]:
        """Return the commands of a device that may go now, in their order.

        One that is to be acknowledged goes before all others, and a second one waits until that is done.
        """
        found = []
        for command in book.waiting(device.id):
            if is_late(command, self.now()):
                self.note(book, command, self._late(command))
            elif command.is_confirmed and command.tries >= MAX_TRIES:
                self.note(book, command, self._given_up(command))
            elif command.is_open and not command.is_confirmed and command.tries >= MAX_SILENT_TRIES:
                self.end_perhaps_sent(book, command)
            else:
                found.append(command)
        under_way = next((each for each in found if each.is_confirmed and each.tries), None)
        if under_way is None:
            return found
        return [under_way, *(each for each in found if not each.is_confirmed)]

    def why_not(self, book: Book, commands: list[Command], why: str) -> None:
        """Note why commands are not sent now."""
        for command in commands:
            self.note(book, command, command.with_step(self.now(), f"not sent: {why}"))

    def end_perhaps_sent(self, book: Book, command: Command) -> None:
        """End a command whose gateway never said whether it was sent, and that cannot be repeated."""
        self.note(book, command, command.ended(self.now(), Fate.SENT, PERHAPS))

    def handed_over(self, book: Book, command: Command, sealed: Sealed, gateway: str) -> None:
        """Note how a command is sealed, before it is handed to a gateway."""
        book.note(replace(command, sealed=sealed, tries=command.tries + 1, is_open=True, gateway=gateway, window=""))


def repeatable(
    command: Command, session: str, newest_fcnt: int, acked_fcnt: int | None, *, is_11: bool
) -> Sealed | None:
    """Return the frame of a command that may go again, None when it has to be sealed anew.

    newest_fcnt: of the session. acked_fcnt: of the uplink that is to be acknowledged with it. What the device asks in
    MAC commands is not answered with it: it asks again, and would take the same payload twice. is_11: the MIC covers
    which uplink is acknowledged, so a device of LoRaWAN 1.1 believes it behind that uplink only.
    """
    sealed = command.sealed
    if sealed is None or (sealed.session, sealed.fcnt) != (session, newest_fcnt) or sealed.says_time:
        return None
    if acked_fcnt is None and not is_11:
        return sealed
    return sealed if acked_fcnt == sealed.acked_fcnt else None
