"""Hand an uploader's commands to the hub; the log says how they ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from lora_post.command import Command, Fate, Moment, age_s
from lora_post.fleet.hub.link import REQUEST_S, Link
from lora_post.fleet.hub.subjects import command_subject
from lora_post.fleet.judging.desk import Errand
from lora_post.fleet.log.entry import Queued
from lora_post.model import Device
from lora_post.spool import downlinks
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile

GIVEN: Final = "fleet commands"
SILENT_S: Final = 3600.0
"""So long after its life a command is believed to be lost with the hub that had it."""

encode_errand = msgspec.json.Encoder().encode
decode_errand = msgspec.json.Decoder(Errand).decode


class Errands:
    """Hands the commands of a spool in, each until the hub has it."""

    def __init__(
        self,
        link: Link,
        spool_file: SpoolFile,
        store: str,
        device: Callable[[str], Device | None],
        now: Callable[[], Moment],
    ) -> None:
        """store: the name of the spool in the fleet. device: returns one of the configuration by its id."""
        self._link = link
        self._spool_file = spool_file
        self._store = store
        self._device = device
        self._now = now
        self._given = Facts(spool_file, GIVEN)

    def is_mine(self, queued: Queued) -> bool:
        """Tell whether a command was given here."""
        return queued.store == self._store

    def step(self) -> None:
        """Hand in what is new, and take back what was cancelled. Raises FleetError, SpoolError."""
        waiting = {each.id: each for each in downlinks.look_for_waiting(self._spool_file)}
        given = {int(number) for number in self._given.recall()}
        for command in waiting.values():
            device = self._device(command.device)
            if command.id not in given and device is not None:
                self._hand_in(device, Errand(self._store, command))
                self._given.remember(str(command.id), "")
            elif (age_s(command.made, self._now()) or 0.0) > command.life_s + SILENT_S:
                self._end(command)
        for number in given - waiting.keys():
            over = downlinks.find(self._spool_file, number)
            device = self._device(over.device) if over else None
            if over and device and over.fate is Fate.CANCELLED:
                self._hand_in(device, Errand(self._store, over, is_cancelled=True))
            self._given.forget(str(number))

    def _end(self, command: Command) -> None:
        ended = command.ended(self._now(), Fate.EXPIRED, "the fleet did not tell what became of it")
        with self._spool_file.transaction() as db:
            downlinks.change(db, [ended])

    def _hand_in(self, device: Device, errand: Errand) -> None:
        what = "cancel" if errand.is_cancelled else "give"
        headers = {"Nats-Msg-Id": f"{what} {errand.store}:{errand.command.id}"}
        stream = self._link.client.jetstream()
        data = encode_errand(errand)
        self._link.call(stream.publish(command_subject(device), data, timeout=REQUEST_S, headers=headers))
