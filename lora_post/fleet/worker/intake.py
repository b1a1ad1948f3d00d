"""Fetch frames of a worker's partitions from the hub, and commands for their devices."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

import nats.errors
from msgspec import Struct
from nats.aio.msg import Msg

from lora_post.errors import FrameError, defect
from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.raw import Handed, OtherVersion, Raw, decode_handed, hand_in
from lora_post.fleet.hub.subjects import address_of, id_of, raw_subject
from lora_post.fleet.judging.judge import Chore
from lora_post.fleet.log.streams import RAW, consumer_name
from lora_post.fleet.uploader.errands import decode_errand
from lora_post.fleet.worker.gateway_times import GatewayTimes
from lora_post.model import Frame
from lora_post.times import WallUs

log = logging.getLogger(__name__)

FETCH: Final = 16
MAX_HELD: Final = 512
"""So many frames wait for the worker at the most: what it does not decide in time is given to it once more."""
FULL_S: Final = 0.02
FETCH_S: Final = 2.0
"""So long the hub may give frames to a worker whose machine has lost its power; longer, they come later to another."""
PAUSE_S: Final = 0.5
PUBLISHED: Final = "LP-Published"
_is_us: Final = re.compile(r"[0-9]{1,18}").fullmatch
MAX_TOLD: Final = 1000
_OVER: Final = ("404", "408")
"""What the hub says at the end of a request: nothing was there, or its time is over."""


class Delivery:
    """A message of the hub with frames; it is acknowledged once all of them are decided."""

    def __init__(self, message: Msg, numbers: set[int]) -> None:
        """numbers: of the frames, by their gateway."""
        self._message = message
        self._numbers = numbers

    @property
    def count(self) -> int:
        """Return how often the hub has given it."""
        return int(self._message.metadata.num_delivered)

    def decided(self, number: int) -> Msg | None:
        """Note that a frame is decided; return the message once that was the last one."""
        self._numbers.discard(number)
        return None if self._numbers else self._message


class Arrived(Struct, frozen=True):
    """A frame with its delivery. gateway: as its subject says, which its key allows it to write. address: it has."""

    part: int
    gateway: str
    store: str
    number: int
    address: str
    frame: Frame
    kept: bool
    delivery: Delivery


Item: TypeAlias = Arrived | tuple[int, Chore]


class Intake:
    """Fetches what is at the hub.

    arrived: where it goes, for any thread. moved: see `inheritance.moved`. held: frames that the worker has taken, and
    not decided.
    """

    def __init__(self, link: Link, moved: Mapping[str, int]) -> None:
        self.held = 0
        self.arrived: SimpleQueue[Item] = SimpleQueue()
        self.moved = moved
        self._link = link
        self._told: set[str] = set()
        self._times = GatewayTimes()

    async def feed(self, part: int) -> None:
        """Fetch what there is of a partition, for as long as it is held."""
        while True:
            try:
                subscription = await self._link.client.subscribe(inbox := self._link.client.new_inbox())
                try:
                    while True:
                        await self._fetch(part, subscription, inbox)
                finally:
                    await subscription.unsubscribe()
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("partition %d: %s", part, error)
                await asyncio.sleep(PAUSE_S)

    async def _fetch(self, part: int, subscription: Any, inbox: str) -> None:
        """Take what comes within `FETCH_S`, each at the moment when it comes."""
        while self.held + self.arrived.qsize() >= MAX_HELD:
            await asyncio.sleep(FULL_S)
        request = {"batch": FETCH, "expires": round(FETCH_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{RAW}.{consumer_name(part)}"
        await self._link.client.publish(subject, json.dumps(request).encode(), reply=inbox)
        for _ in range(FETCH):
            message = await subscription.next_msg(2 * FETCH_S)
            status = (message.headers or {}).get("Status", "")
            if not message.reply:
                if status not in _OVER:
                    log.debug("partition %d: %s", part, message.headers)
                    await asyncio.sleep(PAUSE_S)
                return
            await self._hear(part, message)

    async def _hear(self, part: int, message: Msg) -> None:
        try:
            await self._take(part, message)
        except (nats.errors.Error, TimeoutError, OSError):
            raise
        except Exception as error:  # what one gateway says must not end the partition
            log.error("skipped over a defect, %s: %s", defect(error), message.subject)
            await message.term()

    async def _take(self, part: int, message: Msg) -> None:
        try:
            if message.subject.startswith("cmd."):
                self.arrived.put((part, Chore(decode_errand(message.data), message)))
                return
            handed = decode_handed(message.data)
        except OtherVersion as error:
            self._tell(_gateway_of(message), error)
            await message.term()  # its gateway keeps it
            return
        except UNREADABLE:
            await message.term()  # a gateway may publish what it likes
            return
        gateway = _gateway_of(message)
        published = published_us(message)
        found = []
        away: dict[tuple[int, str], list[Raw]] = {}
        for raw in handed.frames:
            frame = raw.frame(gateway, self._times.heard_us(gateway, handed.store, raw, published))
            try:
                _, address = address_of(frame)
            except FrameError:
                continue
            home = self.moved.get(address, part)
            if home == part:
                found.append((raw, address, frame))
            else:
                away.setdefault((home, address), []).append(raw)
        for (home, address), raws in away.items():
            await self._pass_on(home, address, handed, raws, message)
        delivery = Delivery(message, {raw.number for raw, _, _ in found})
        if not found:
            await message.ack()
        for raw, address, frame in found:
            self.arrived.put(Arrived(part, gateway, handed.store, raw.number, address, frame, raw.kept, delivery))

    def _tell(self, gateway: str, error: OtherVersion) -> None:
        if gateway not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(gateway)
            log.error("gateway %s: %s", gateway, error)

    async def _pass_on(self, part: int, address: str, handed: Handed, raws: list[Raw], message: Msg) -> None:
        """Give frames to the partition where the log of their device is."""
        headers = {
            PUBLISHED: str(published_us(message)),
            "Nats-Msg-Id": f"passed on:{message.metadata.sequence.stream} {address}",
        }
        stream = self._link.client.jetstream()
        subject = raw_subject(part, [address], _gateway_of(message))
        await stream.publish(subject, hand_in(handed.store, raws), headers=headers)


def _gateway_of(message: Msg) -> str:
    """Return who published a frame, as its subject says."""
    return id_of(message.subject.split(".")[3])


def published_us(message: Msg) -> WallUs:
    """Return when the hub got a frame first, by its clock; what a frame brings along may be made up."""
    stored_us = int(message.metadata.timestamp.timestamp() * 1e6)
    passed_on = (message.headers or {}).get(PUBLISHED, "")
    return WallUs(min(int(passed_on), stored_us) if _is_us(passed_on) else stored_us)
