"""Hold the frames of a partition until all likely copies have come."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Final

from lora_post.downlink.hearers import Hearers
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.judge import Chore
from lora_post.fleet.log.acceptance import Acceptance
from lora_post.fleet.log.entry import Reception
from lora_post.fleet.log.place import Place
from lora_post.fleet.worker.intake import Arrived

MAX_TOGETHER: Final = 64


class Partition:
    """A partition that this worker holds."""

    def __init__(
        self, number: int, place: Place, acceptance: Acceptance[Copied | Chore], feeding: Future[None]
    ) -> None:
        self.number = number
        self.place = place
        self.acceptance = acceptance
        self.feeding = feeding
        self.copied: dict[bytes, Copied] = {}
        self.chores: list[Chore] = []
        self.tick_at = 0.0
        self._hearers = Hearers()

    def take(self, arrived: Arrived, now: float, collect_s: float) -> None:
        """Add a copy to those of its frame. collect_s: how long others are waited for."""
        frame, gateway, count = arrived.frame, arrived.gateway, arrived.delivery.count
        copied = self.copied.get(frame.phy_payload)
        if copied is None:
            copied = self.copied[frame.phy_payload] = Copied(
                frame.phy_payload, now + collect_s, {}, {}, since=now, deliveries=1
            )
            self._hearers.began(arrived.address)
        reception = Reception(gateway, arrived.store, arrived.number, frame.rx.rssi_dbm, frame.rx.snr_db)
        copied.frames[reception] = frame
        copied.deliveries = max(copied.deliveries, count)
        copied.is_live |= not arrived.kept and count == 1
        copied.is_offered_again |= arrived.kept or count > 1
        copied.messages[gateway, arrived.store, arrived.number] = arrived.delivery
        self._hearers.heard(arrived.address, gateway)
        if arrived.kept or self._hearers.is_complete(arrived.address, {each.gateway for each in copied.frames}):
            copied.due = min(copied.due, now)

    def due(self, now: float) -> list[Copied]:
        """Return frames that wait for no more copies, oldest first."""
        ready = [copied for copied in self.copied.values() if copied.due <= now]
        ready.sort(key=lambda copied: copied.best.time_us)
        return ready[:MAX_TOGETHER]
