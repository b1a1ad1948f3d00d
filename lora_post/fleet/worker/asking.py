"""Ask gateways to send the frames of valid entries, and collect how that ended."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

import nats.errors
from msgspec import Struct

from lora_post.downlink.choice import Chance, best_first
from lora_post.downlink.transmit import Transmission
from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.hub.downlinks import Request, RequestFate, decode_fate, decode_reply, encode
from lora_post.fleet.hub.link import Link, describe
from lora_post.fleet.hub.subjects import ALL_SENT, down_subject, token
from lora_post.fleet.judging.desk import Sent
from lora_post.fleet.judging.reply import Reply, Way
from lora_post.metrics import Metrics

log = logging.getLogger(__name__)

MAX_UNDER_WAY: Final = 1000
LEAD_S: Final = 0.05
"""So long before a window a gateway must have what it sends in it."""


class _UnderWay(Struct, frozen=True):
    """A frame that is with gateways. about, command: see `Reply`. asked: who may tell what became of it."""

    device: str
    about: str
    command: int
    asked: frozenset[str]


class Asking:
    """Asks gateways for transmissions, and learns what became of those with commands, and of those that failed.

    trips_ms: from a request to the reply of a gateway, the last one, by gateway. refused: how often one was not sent.
    """

    def __init__(self, link: Link, metrics: Metrics) -> None:
        self.trips_ms: dict[str, float] = {}
        self.refused = 0
        self._link = link
        self._metrics = metrics
        self._fates: SimpleQueue[tuple[str, RequestFate]] = SimpleQueue()
        self._commands: dict[str, _UnderWay] = {}
        self._answers: dict[str, _UnderWay] = {}  # of those that are sent, gateways say nothing
        self._silent: Counter[str] = Counter()

    @property
    def slowest_s(self) -> float | None:
        """Return the longest of `trips_ms`, s; None before the first."""
        return max(self.trips_ms.values(), default=0.0) / 1000 or None

    def listen(self) -> None:
        """Listen to gateways from now on. Raises FleetError."""
        self._link.listen(ALL_SENT, self._hear)

    def send(self, reply: Reply, id_: str, since: float) -> None:
        """Ask gateways to send a reply. id_: of its entry. since: when the device was heard, monotonic, s.

        Raises FleetError.
        """
        asked = frozenset({"", *(token(way.gateway) for way in reply.ways)})
        under_way = self._commands if reply.command else self._answers
        under_way[id_] = _UnderWay(reply.device, reply.about, reply.command, asked)
        while len(under_way) > MAX_UNDER_WAY:
            del under_way[next(iter(under_way))]
        fail = partial(self._fail, id_, reply.ways[0].gateway if reply.ways else "")
        self._link.start(self._ask(reply, id_, since + reply.within_s - LEAD_S, fail))

    def in_order(self, ways: Sequence[Way], left_s: float) -> list[Way]:
        """Return the ways to a device, the best first. left_s: until its gateway must have the answer."""
        return best_first(ways, partial(self._chance, left_s=left_s))

    def fates(self) -> Iterator[Sent]:
        """Yield how commands ended since the last call.

        What one window did not take may still go in the other one, which its gateway tells as well.
        """
        while True:
            try:
                teller, fate = self._fates.get_nowait()
            except Empty:
                return
            known, told = self._commands.get(fate.id) or self._answers.get(fate.id), fate.transmission
            if known is None or teller not in known.asked:
                continue
            if told.is_sent is False:
                self.refused += 1
                self._metrics.count("downlinks", "refused")  # the gateway counts it as failed
                level = logging.WARNING if teller else logging.INFO  # that one cannot send is no news
                log.log(level, "%s is not sent%s: %s", known.about, _where(told), told.why)
            else:
                self._commands.pop(fate.id, None)
            if known.command:
                yield Sent(known.device, known.command, told)

    def _fail(self, id_: str, gateway: str, why: str) -> None:
        """Note that no gateway sends a frame; for any thread."""
        self._fates.put(("", RequestFate(id_, Transmission(gateway, "", False, why))))

    def _hear(self, subject: str, data: bytes) -> None:
        try:
            self._fates.put((subject.split(".")[1], decode_fate(data)))
        except UNREADABLE:
            log.debug("%s: it cannot be read", subject)  # a gateway may publish what it likes

    async def _ask(self, reply: Reply, id_: str, until: float, fail: Callable[[str], None]) -> None:
        """Ask gateways, the best first, until one sends. fail: told why none does.

        One that does not reply may send all the same; another one at that moment would disturb it.
        """
        why = "no gateway that heard it can send"
        began = time.monotonic()
        for way in self.in_order(reply.ways, until - began):
            left_s = until - time.monotonic()
            if left_s <= 0:
                why = "it came too late for its device"
                break
            name = token(way.gateway)
            request = encode(Request(id_, way.station, reply.phy_payload, way.windows, bool(reply.command)))
            began = time.monotonic()
            try:
                said = decode_reply((await self._link.inbox.ask(down_subject(way.gateway), request, left_s)).data)
            except nats.errors.NoRespondersError:
                continue
            except (nats.errors.Error, TimeoutError, *UNREADABLE) as error:
                self._silent[name] += 1
                log.info("%s: %s", reply.about, describe(error))
                return
            self._silent.pop(name, None)
            self.trips_ms[name] = round((time.monotonic() - began) * 1000, 1)
            if not said.why:
                return
            why = said.why
        fail(why)

    def _chance(self, way: Way, left_s: float) -> Chance:
        """Return how good a gateway is; its air time is unknown here, it refuses when that is used up."""
        name = token(way.gateway)
        trip_ms = self.trips_ms.get(name)
        round_trip_s = None if trip_ms is None else trip_ms / 1000
        return Chance(way.snr_db, way.sf, round_trip_s=round_trip_s, left_s=left_s, silent=self._silent[name])


def _where(told: Transmission) -> str:
    return (f" by gateway {told.gateway}" if told.gateway else "") + (f" in {told.window}" if told.window else "")
