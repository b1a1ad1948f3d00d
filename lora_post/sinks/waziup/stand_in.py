"""Keep readings back while another gateway sends for their device, and stand in for it.

See `turn` for the rules. What the other gateway has sent leaves our queue; what only we have heard stays in it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from shlex import quote
from typing import Final

from msgspec import Struct

from lora_post.clocks.scale import utc_text
from lora_post.errors import MayBeThere, Problem, Rejected
from lora_post.sinks.waziup.client import RemoteDevice, WaziupClient, trouble
from lora_post.sinks.waziup.known_devices import KnownDevices
from lora_post.sinks.waziup.turn import (
    APART_US,
    LOOK_AT_PUBLIC_EVERY_US,
    LOOK_EVERY_US,
    WAIT_US,
    Ours,
    Turn,
    pair,
    whose_turn,
)
from lora_post.spool.facts import Facts
from lora_post.spool.model import Batch, Lane
from lora_post.text import plural
from lora_post.times import WallUs
from lora_post.waziup.names import to_text

log = logging.getLogger(__name__)

ORDERS: Final = "take over"
"""Facts under this subject: the devices that a person wants this gateway to send for."""
MAX_SHOWN: Final = 64  # characters of somebody's gateway id
POSTPONED_US: Final = 3_600_000_000
FULL_LOOK: Final = 10_000  # readings; a look at so many may not have been at all of them


class Kept(Struct, frozen=True):
    """A device whose readings are kept back. looked_us: when that was found, by the server's clock."""

    looked_us: WallUs
    why: Problem


class StandIn:
    """What is known of the turns of devices; see the module."""

    def __init__(
        self,
        client: WaziupClient,
        facts: Facts,
        facts_of: Callable[[str], Facts],
        known: KnownDevices,
        gateway_id: str,
    ) -> None:
        self._client = client
        self._facts = facts
        self._facts_of = facts_of
        self._known = known
        self._gateway_id = gateway_id
        self._kept: dict[str, Kept] = {}
        self._asking: set[tuple[str, str]] = set()
        self._postponed: dict[str, WallUs] = {}

    def is_look_due(self, device_id: str, *, is_changed: bool) -> bool:
        """Return whether the device must be looked at before anything is sent. is_changed: in the configuration."""
        now_us = self._client.clock.now_us()
        if kept := self._kept.get(device_id):
            return now_us - kept.looked_us >= LOOK_EVERY_US or self.is_ordered(device_id)
        if now_us - self._postponed.get(device_id, 0) < POSTPONED_US:
            return False
        known = self._known.get(device_id)
        if is_changed or known.gateway_id != self._gateway_id:
            return True
        # Dates are told in whole seconds; a look in the future is one before the server's clock was set back.
        look_every_us = LOOK_AT_PUBLIC_EVERY_US if known.is_public else LOOK_EVERY_US
        return not -APART_US <= now_us - known.looked_us < look_every_us

    def is_ordered(self, device_id: str) -> bool:
        """Return whether a person wants this gateway to send for the device."""
        return device_id in self._orders().recall()

    def look(self, device: RemoteDevice) -> bool:
        """Take what a look has shown, and return whether we are to send. Raises SinkError."""
        now_us, device_id = self._client.clock.now_us(), device.id
        former_id = self._known.get(device_id).gateway_id
        ours = Ours(self._gateway_id, former_id, self._time(_claim(device_id)), self.is_ordered(device_id))
        turn = whose_turn(device, ours, now_us)
        if turn in (Turn.TAKE, Turn.TAKE_LATER):
            self._claim(device)
        if turn is Turn.TAKE_LATER:
            self._facts.remember(_claim(device_id), str(now_us))
        if turn in (Turn.KEEP, Turn.TAKE_LATER):
            self._keep(device, now_us, is_taken=turn is Turn.TAKE_LATER or device.gateway_id == self._gateway_id)
            return False
        if ours.is_ordered:
            self._orders().forget(device_id)
        if self._kept.pop(device_id, None) or self._time(_kept(device_id)) is not None:
            self._facts.remember(_took(device_id), str(now_us))
            self._facts.forget(_kept(device_id))
        if ours.claimed_us is not None:
            self._facts.forget(_claim(device_id))
        return True

    def postpone_look(self, device_id: str) -> None:
        """Make no look at a device for a while."""
        self._postponed[device_id] = self._client.clock.now_us()

    def require_turn(self, lane: Lane, oldest_us: WallUs) -> None:
        """Return when a lane's readings may be sent. Raises MayBeThere, and Rejected with the reason when not."""
        kept, took_us = self._kept.get(lane.device), self._time(_took(lane.device))
        looked_us = kept.looked_us if kept else took_us
        if looked_us is None or (kept is None and oldest_us > looked_us + APART_US):
            return
        asked_us = self._time(_asked(lane))
        if asked_us is None or asked_us < looked_us:
            self._asking.add((lane.device, lane.name))
            since_us = min(oldest_us, looked_us) - APART_US if asked_us is None else asked_us - APART_US
            raise MayBeThere(f"{lane.device}/{lane.name}: another gateway may have sent these readings", since_us)
        if kept:
            raise Rejected(kept.why.what, fix=kept.why.fix)

    def is_asking(self, lane: Lane) -> bool:
        """Return whether another gateway's readings are looked for in place of ours."""
        return (lane.device, lane.name) in self._asking

    def copies(self, batch: Batch, forms: Sequence[bytes], rows: Iterable[tuple[WallUs, bytes]]) -> list[WallUs]:
        """Return the times of a batch that another gateway has sent, by its own clock.

        forms: the values of the batch as they are compared. rows: what the server got, in any order.
        """
        theirs: defaultdict[bytes, list[WallUs]] = defaultdict(list)
        mine: defaultdict[bytes, list[WallUs]] = defaultdict(list)
        for time, form in rows:
            theirs[form].append(time)
        for time, form in zip(batch.times_us, forms, strict=True):
            mine[form].append(time)
        found = sorted(time for form, times in mine.items() for time in pair(times, sorted(theirs[form])))
        lane = batch.lane
        if len(batch.times_us) < FULL_LOOK or not found:
            self._asking.discard((lane.device, lane.name))
            self._facts.remember(_asked(lane), str(self._client.clock.now_us()))
        if found:
            log.info("%s of %s/%s came by another gateway", plural(len(found), "reading"), lane.device, lane.name)
        return found

    def _claim(self, device: RemoteDevice) -> None:
        answer = self._client.put_device(device.id, "gateway_id", self._gateway_id)
        if answer.status != 204:
            raise trouble(f"making device {device.id} name this gateway", answer)
        log.warning("device=%s named gateway %s, and names %s now", device.id, _named(device), self._gateway_id)

    def _keep(self, device: RemoteDevice, now_us: WallUs, *, is_taken: bool) -> None:
        if is_taken:
            begins = utc_text(WallUs((self._time(_claim(device.id)) or now_us) + WAIT_US))[:16]
            what = f"this gateway takes over device {device.id}, and sends for it from {begins}Z on"
        else:
            what = f"gateway {_named(device)} sends the readings of device {device.id}"
        fix = (
            f"if that one is out of use: lora-post spool take-over {quote(device.id)}; "
            "by itself this gateway takes over four days after the last one"
        )
        if self._time(_kept(device.id)) is None:
            self._facts.remember(_kept(device.id), str(now_us))
        self._kept[device.id] = Kept(now_us, Problem(what, fix))
        self._known.forget(device.id)

    def _time(self, key: str) -> WallUs | None:
        text = self._facts.recall().get(key, "")
        return WallUs(int(text)) if text.isdigit() else None

    def _orders(self) -> Facts:
        return self._facts_of(ORDERS)  # read anew: another process writes them


def _named(device: RemoteDevice) -> str:
    return to_text(device.gateway_id or "none")[:MAX_SHOWN]


def _claim(device_id: str) -> str:
    return f"claimed {device_id}"


def _kept(device_id: str) -> str:
    return f"kept {device_id}"


def _took(device_id: str) -> str:
    return f"took {device_id}"


def _asked(lane: Lane) -> str:
    return f"asked {lane.device} {lane.name}"
