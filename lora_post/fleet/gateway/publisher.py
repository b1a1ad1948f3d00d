"""Publish every frame of the gateway's spool until the hub is done with it."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from heapq import heappop, heappush
from threading import Event
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.gateway import GatewayClock
from lora_post.clocks.scale import is_unknown
from lora_post.errors import Problem, SpoolError
from lora_post.fleet.errors import UNREADABLE, FleetError
from lora_post.fleet.hub.downlinks import RequestFate, WayBack
from lora_post.fleet.hub.downlinks import encode as encode_fate
from lora_post.fleet.hub.link import REQUEST_S, Link, describe
from lora_post.fleet.hub.raw import OfferAgain, OfferWaiting, Raw, Settled, decode_word, hand_in
from lora_post.fleet.hub.subjects import TO_ALL, address_of, down_subject, hub_subject, raw_subject, sent_subject, token
from lora_post.fleet.mailbox import Mailbox
from lora_post.fleet.seldom import Seldom
from lora_post.spool import frames
from lora_post.spool.facts import Facts
from lora_post.spool.frames import HeardFrame
from lora_post.spool.spool_file import SpoolFile

log = logging.getLogger(__name__)

FACTS: Final = "fleet"
STORE: Final = "store"
BUSY_S: Final = 0.02
NOTHING: Final = 1 << 62
"""Above all numbers of frames."""


def store_of(spool_file: SpoolFile) -> str:
    """Return the name of a spool in the fleet; another one of the same lora-post has another. Raises SpoolError."""
    facts = Facts(spool_file, FACTS)
    store = facts.recall().get(STORE, "")
    if not store:
        # Another spool, or another gateway under this name, counts its frames from 1 as well.
        store = secrets.token_hex(4)
        facts.remember(STORE, store)
    return store


class Patience(Struct, frozen=True):
    """How a gateway publishes.

    in_flight: so many frames wait for their acknowledgement at one time. together: so many go in one message. live_s: a
    frame is live for so long. backlog_share: of so many frames one is from the backlog while live ones come. again_s:
    what was published and is not settled is published again after that, the next time after twice as long. look_s,
    settle_s, state_s, tidy_s: how often everything else is looked after.
    """

    in_flight: int = 64
    together: int = 16
    live_s: float = 10.0
    backlog_share: int = 5
    again_s: float = 900.0
    look_s: float = 1.0
    settle_s: float = 5.0
    state_s: float = 120.0
    tidy_s: float = 60.0


class GatewayState(Struct, frozen=True):
    """What a gateway says of itself, for `lora-post fleet status`."""

    gateway: str
    version: str
    waiting: int
    settled: int
    oldest_us: int | None
    round_trip_ms: float | None


class Publisher:
    """Publishes what is kept: live frames before the backlog. `run` is its thread."""

    def __init__(
        self,
        link: Link,
        spool_file: SpoolFile,
        gateway: str,
        clock: GatewayClock,
        version: str,
        patience: Patience,
        way_back: WayBack | None = None,
    ) -> None:
        """spool_file: a connection that only this thread uses. way_back: None where nothing is sent by this gateway."""
        self._link = link
        self._spool_file = spool_file
        self._gateway = gateway
        self._clock = clock
        self._version = version
        self._patience = patience
        self._way_back = way_back
        self._store = ""
        self._live: deque[tuple[int, float]] = deque()
        self._cursor = 0
        self._flying: dict[int, float] = {}
        self._offers: dict[int, int] = {}
        self._due: list[tuple[float, int]] = []
        self._untimed = NOTHING
        self._has_backlog = False
        self._turn = 0
        self._mailbox = Mailbox()
        self._settled: set[int] = set()
        self._state_at = self._tidy_at = self._settle_at = self._publish_at = self._waiting_at = 0.0
        self._round_trip_s: float | None = None
        self._last_position = 0
        self._said = ""

    @property
    def trouble(self) -> Problem | None:
        """Return what keeps frames from the hub."""
        return self._link.trouble or (Problem(f"the hub does not take frames: {self._said}") if self._said else None)

    def arrived(self, numbers: Sequence[int]) -> None:
        """Add frames that were kept just now; for any thread."""
        now = time.monotonic()
        self._mailbox.put(lambda: self._live.extend((number, now) for number in numbers))

    def run(self, stop: Event, beat: Callable[[], None]) -> None:
        """Publish until `stop`. beat: called at least once in a minute."""
        is_listening = False
        seldom = Seldom(log)
        while not stop.is_set():
            beat()
            try:
                self._wait()
                if not self._link.is_up:
                    continue
                if not is_listening:
                    self._begin()
                    is_listening = True
                self._publish()
                self._look_after()
            except FleetError as error:
                log.debug("%s", error)
            except SpoolError as error:
                seldom.error(error)
                stop.wait(self._patience.look_s)
        self._end()

    def _end(self) -> None:
        try:
            self._settle_at = 0.0
            self._look_after()
            self._say_state()
        except (FleetError, SpoolError) as error:
            log.debug("%s", error)

    def _begin(self) -> None:
        self._store = store_of(self._spool_file)
        for subject in (hub_subject(self._gateway), TO_ALL):
            self._link.listen(subject, self._hear)
        if self._way_back:
            self._way_back.tell = self._tell
            self._link.reply(down_subject(self._gateway), self._way_back.hear)

    def _tell(self, fate: RequestFate) -> None:
        """Tell the hub what became of a frame that it wanted to be sent; that need not arrive."""
        try:
            self._link.start(self._link.client.publish(sent_subject(self._gateway), encode_fate(fate)))
        except FleetError as error:
            log.debug("%s", error)

    def _hear(self, subject: str, data: bytes) -> None:
        self._mailbox.put(lambda: self._obey(data))

    def _obey(self, data: bytes) -> None:
        try:
            word = decode_word(data)
        except UNREADABLE:
            return
        if isinstance(word, OfferAgain):
            self._offer_again("the hub asks for it")
        elif isinstance(word, OfferWaiting):
            self._offer_waiting()
        elif isinstance(word, Settled) and word.store == self._store:
            self._settled.update(word.numbers)

    def _offer_again(self, why: str) -> None:
        with self._spool_file.transaction() as db:
            again = frames.offer_again(db)
        self._cursor = 0
        self._due.clear()
        self._offers.clear()
        self._settled.clear()
        log.warning("offering %d settled frames to the hub again: %s", again, why)

    def _offer_waiting(self) -> None:
        """Publish at once what is not settled, as a worker asks for it."""
        now = time.monotonic()
        if now >= self._waiting_at:
            self._waiting_at = now + self._patience.again_s
            self._due = [(now, number) for number in sorted(self._offers)]

    def _wait(self) -> None:
        """Handle what has happened; wait for it a little."""
        can_publish = (
            self._link.is_up and len(self._flying) < self._patience.in_flight and time.monotonic() >= self._publish_at
        )
        soon_s = 0.0 if self._live else BUSY_S if self._has_backlog else self._patience.look_s
        self._mailbox.do(soon_s if can_publish else self._patience.look_s)

    def _publish(self) -> None:
        now = time.monotonic()
        self._age(now)
        if now < self._publish_at:  # what refused a frame refuses the next one as well
            return
        together: dict[int, dict[str, list[Raw]]] = {}
        size, chosen = self._patience.together, self._choose(now)
        for found, is_kept in chosen:
            part, address = address_of(found.frame)
            together.setdefault(part, {}).setdefault(address, []).append(self._raw(found, is_kept=is_kept))
        try:
            for part, by_address in together.items():
                raws = [raw for each in by_address.values() for raw in each]
                for first in range(0, len(raws), size):
                    self._send(raw_subject(part, by_address, self._gateway), raws[first : first + size])
        except FleetError:
            self._fall_back(found.number for found, _ in chosen)
            raise

    def _choose(self, now: float) -> list[tuple[HeardFrame, bool]]:
        """Return frames to publish now, each with whether it waited for a link; mark them as under way."""
        chosen = []
        while len(self._flying) < self._patience.in_flight:
            self._turn += 1
            wants_backlog = not self._live or self._turn % self._patience.backlog_share == 0
            found = self._next_of_backlog(now) if wants_backlog else None
            is_kept = found is not None
            if found is None and self._live:
                found = frames.load(self._spool_file, self._live[0][0])
                self._live.popleft()
                if found is None:
                    continue
            if found is None:
                break
            if found.number not in self._flying:
                self._flying[found.number] = now
                chosen.append((found, is_kept))
        return chosen

    def _age(self, now: float) -> None:
        """Leave live frames that no worker took to the backlog."""
        while self._live and now - self._live[0][1] > self._patience.live_s:
            number, _ = self._live.popleft()
            self._cursor = min(self._cursor, number - 1)

    def _next_of_backlog(self, now: float) -> HeardFrame | None:
        while self._due and self._due[0][0] <= now:
            number = heappop(self._due)[1]
            found = frames.load(self._spool_file, number)
            if found is not None:
                return found
            self._offers.pop(number, None)
        first_live = self._live[0][0] if self._live else NOTHING
        while True:
            found = next(iter(frames.waiting(self._spool_file, self._cursor, 1)), None)
            self._has_backlog = found is not None and found.number < first_live
            if found is None or found.number >= first_live:
                return None
            self._cursor = found.number
            if found.number in self._offers or found.number in self._flying:
                continue
            if found.boot == self._clock.boot_id or not is_unknown(found.frame.time_us):
                return found
            self._untimed = min(self._untimed, found.number)  # when it was heard becomes known with the time

    def _raw(self, found: HeardFrame, *, is_kept: bool) -> Raw:
        number = found.number
        age_us = self._clock.boot_us() - found.boot_us if found.boot == self._clock.boot_id else None
        is_kept = is_kept or number in self._offers
        return Raw.of(found.frame, number, self._gateway, kept=is_kept, age_us=age_us)

    def _send(self, subject: str, raws: Sequence[Raw]) -> None:
        numbers = [raw.number for raw in raws]
        future = self._link.start(self._link.inbox.store(subject, hand_in(self._store, raws), REQUEST_S))
        future.add_done_callback(lambda done: self._mailbox.put(lambda: self._landed(numbers, done)))

    def _fall_back(self, numbers: Iterable[int]) -> None:
        """Leave frames that are not at the hub to the backlog; those that were there before are due again."""
        now = time.monotonic()
        for number in numbers:
            self._flying.pop(number, None)
            if number in self._offers:
                heappush(self._due, (now, number))
            else:
                self._cursor = min(self._cursor, number - 1)

    def _landed(self, numbers: Sequence[int], done: Future[int]) -> None:
        """Handle the answer to a publication."""
        began = min((self._flying[number] for number in numbers if number in self._flying), default=None)
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            self._said = "" if error is None else describe(error)
            self._publish_at = time.monotonic() + self._patience.look_s
            self._fall_back(numbers)
            return
        for number in numbers:
            self._flying.pop(number, None)
        self._said = ""
        now = time.monotonic()
        if began is not None:
            self._round_trip_s = now - began
        position = done.result()
        if position < self._last_position - self._patience.in_flight:
            self._last_position = position
            self._offer_again("its stream has begun anew")
            return
        self._last_position = max(self._last_position, position)
        for number in numbers:
            tries = self._offers.get(number, 0)
            self._offers[number] = tries + 1
            heappush(self._due, (now + self._patience.again_s * 2**tries, number))

    def _look_after(self) -> None:
        now = time.monotonic()
        if self._settled and now >= self._settle_at:
            self._settle_at = now + self._patience.settle_s
            with self._spool_file.transaction() as db:
                frames.settle(db, self._settled)
            for number in self._settled:
                self._offers.pop(number, None)
            self._settled.clear()
        if now >= self._tidy_at:
            self._tidy_at = now + self._patience.tidy_s
            self._clock.look()
            self._clock.believe()
            with self._spool_file.transaction() as db:
                frames.forget_old(db, self._clock.wall_us())
            self._cursor = min(self._cursor, self._untimed - 1)
            self._untimed = NOTHING
        if now >= self._state_at:
            self._state_at = now + self._patience.state_s
            self._say_state()

    def _say_state(self) -> None:
        counts = frames.counts(self._spool_file)
        trip_ms = None if self._round_trip_s is None else round(self._round_trip_s * 1000, 1)
        state = GatewayState(self._gateway, self._version, counts.waiting, counts.settled, counts.oldest_us, trip_ms)
        self._link.say(f"gw.{token(self._gateway)}.state", msgspec.json.encode(state))
