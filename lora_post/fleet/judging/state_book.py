"""Give the commands and counters of a device's state as a `Book`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from lora_post.command import Command
from lora_post.fleet.log.entry import Queued, ReadingRow, State, Told
from lora_post.fleet.log.joined import counters_of, with_counters
from lora_post.model import Device, Link, Reading
from lora_post.times import StampUs
from lora_post.uplink.model import Session
from lora_post.uplink.sessions import has_app_counter

KEEP_DONE: Final = 32
"""A command that is handed in again is known by its key for so many others."""


class StateBook:
    """The book of one device while an entry is made. state: with all that was taken and noted.

    taken: the FCntDown that was. changed: commands, by id. told: readings.
    """

    def __init__(self, state: State, sessions: Callable[[Link, int], Sequence[Session]]) -> None:
        self.state = state
        self.find = sessions
        self.taken: int | None = None
        self.changed: dict[int, Queued] = {}
        self.told: list[Told] = []

    def is_current(self, device: Device) -> bool:
        """Tell whether a device is in the session of its last uplink, and not in the one before a join."""
        sessions = self.state.joins.sessions if device.root and self.state.joins else ()
        proved = [each.dev_addr for each in sessions if each.is_proved]
        return not proved or proved[-1] == device.address

    def next_fcnt_down(self, device: Device, *, is_app: bool) -> int:
        """Return the next counter of downlinks in a device's session. is_app: of those with an FPort above 0."""
        counters = counters_of(self.state, device)
        return counters.app_down if is_app and has_app_counter(device) else counters.down

    def take_fcnt_down(self, device: Device, *, is_app: bool) -> int:
        """Return the same, and take it."""
        fcnt = self.taken = self.next_fcnt_down(device, is_app=is_app)
        counters = counters_of(self.state, device)
        if is_app and has_app_counter(device):
            counters = replace(counters, app_down=fcnt + 1)
        else:
            counters = replace(counters, down=fcnt + 1)
        self.state = with_counters(self.state, device, counters)
        return fcnt

    def skip_fcnt_down(self, device: Device, by: int, *, is_app: bool) -> None:
        """Leave out nothing: a log says when it has lost something."""

    def waiting(self, device: str = "") -> list[Command]:
        """Return the commands that are not over, in their order."""
        return [each.command for each in self.state.waiting]

    def note(self, command: Command) -> None:
        """Keep what became of a command."""
        waiting = [
            Queued(each.store, command) if each.command.id == command.id else each for each in self.state.waiting
        ]
        for each in waiting:
            if each.command is command:
                self.changed[command.id] = each
        over = [each.key for each in waiting if each.command.is_over]
        self.state = replace(
            self.state,
            waiting=tuple(each for each in waiting if not each.command.is_over),
            done=(*self.state.done, *over)[-KEEP_DONE:],
        )

    def add(self, queued: Queued) -> None:
        """Take a new command."""
        self.state = replace(self.state, waiting=(*self.state.waiting, queued))
        self.changed[queued.command.id] = queued

    def tell(self, device: str, reading: Reading, time_us: StampUs) -> None:
        """Keep a reading that no uplink gave."""
        self.told.append(Told(device, ReadingRow.of(reading), time_us))

    def settings_of(self, device: Device) -> bytes | None:
        """Return what `keep_settings` has kept for a device's session, b"" for nothing."""
        return counters_of(self.state, device).told

    def keep_settings(self, device: Device, state: bytes) -> None:
        """Keep what a device was told in its session."""
        self.state = with_counters(self.state, device, replace(counters_of(self.state, device), told=state))
