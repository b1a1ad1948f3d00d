"""Bring commands that were given at a home gateway into its log, and what became of them back into its spool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lora_post.command import Command, Fate, Moment, age_s
from lora_post.fleet.judging.desk import Errand
from lora_post.fleet.judging.judge import Chore
from lora_post.fleet.log.entry import Entry, Queued, State
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile


class HomeCommands:
    """The commands in the spool of a home gateway."""

    def __init__(
        self, spool_file: SpoolFile, store: str, now: Callable[[], Moment], state: Callable[[str], State | None]
    ) -> None:
        """store: the name of the spool in the fleet. state: of a device, None where others decide about it."""
        self._spool_file = spool_file
        self._store = store
        self._now = now
        self._state = state

    def errands(self, devices: Iterable[str]) -> list[Chore]:
        """Return commands that were given or cancelled here, and are not in the log like that."""
        waiting = {each.id: each for each in downlinks.look_for_waiting(self._spool_file)}
        found = []
        for command in waiting.values():
            state = self._state(command.device)
            if state is None:
                if (age_s(command.made, self._now()) or 0.0) > command.life_s:
                    ended = command.ended(self._now(), Fate.EXPIRED, "this gateway did not decide about its device")
                    self._write([ended])
            elif f"{self._store}:{command.id}" not in {*state.done, *(each.key for each in state.waiting)}:
                found.append(Chore(Errand(self._store, command)))
        for device in devices:
            state = self._state(device)
            for queued in state.waiting if state else ():
                if queued.store == self._store and queued.command.id not in waiting:
                    found.append(Chore(Errand(self._store, queued.command, is_cancelled=True)))
        return found

    def note(self, entry: Entry) -> None:
        """Keep what became of commands by an entry."""
        changed = [each.command for each in entry.commands if self._is_to_note(each)]
        if changed:
            self._write(changed)

    def _is_to_note(self, queued: Queued) -> bool:
        if queued.store != self._store:
            return False
        here = downlinks.find(self._spool_file, queued.command.id)
        return here is not None and not here.is_over

    def _write(self, commands: Sequence[Command]) -> None:
        with self._spool_file.transaction() as db:
            downlinks.change(db, commands)
