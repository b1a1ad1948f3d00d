"""Hand each answer to the best of the gateways that heard its device.

Where several have heard a device lately, their copies are waited for, as long as the window allows; else an answer goes
at once. One that is refused goes by the next gateway; when a gateway says nothing, no other one is given the frame: it
would disturb the first one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock, Timer
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from lora_post.downlink.choice import Chance, best_first, collect_s
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.hearers import MAX_GATEWAYS, Hearers
from lora_post.downlink.transmit import (
    COUNTER,
    Downlink,
    Station,
    Transmission,
    Transmitter,
    Window,
    lead_s,
    left_s,
)
from lora_post.downlink.windows import windows_of_copy
from lora_post.model import Frame

MAX_OPEN: Final = 1024
CHANGE: Final = 1.5
LEAST_CHANGE_S: Final = 0.05
_SECOND_US: Final = 1_000_000

Later: TypeAlias = Callable[[float, Callable[[], None]], None]


class Answer(Struct, frozen=True):
    """A frame for a device, and who can send it. heard: what it answers, None for what goes at once (class C)."""

    transmitter: Transmitter
    downlink: Downlink
    device: str = ""
    heard: Frame | None = None


class _Way(Struct, frozen=True):
    """A gateway that heard the device. frame: as it did."""

    transmitter: Transmitter
    frame: Frame


class _Option(Struct, frozen=True):
    """A way that is open now, in these windows. left_s: until the first of them, less what the way takes."""

    way: _Way
    station: Station
    windows: tuple[Window, ...]
    left_s: float


class _Case(Struct):
    """An answer that is looked after. spent: whose air time it is counted as. tried: gateways that were given it."""

    answer: Answer
    ways: dict[str, _Way]
    opened_s: float
    over_s: float
    spent: tuple[str, Window] | None
    tried: set[str]
    is_kept: bool = False
    is_given: bool = False


class ChangedTrips:
    """Round trips of gateways; those that are about what they were are not worth a write."""

    def __init__(self) -> None:
        self._kept: dict[str, float] = {}
        self._changed: dict[str, str] = {}

    def note(self, gateway: str, seconds: float) -> None:
        """Take in the round trip of a gateway."""
        kept = self._kept.get(gateway)
        if kept is not None and kept / CHANGE < seconds < kept * CHANGE + LEAST_CHANGE_S:
            return
        if gateway in self._kept or len(self._kept) < MAX_GATEWAYS:
            self._kept[gateway] = seconds
            self._changed[gateway] = str(round(seconds * 1000))

    def take(self) -> dict[str, str]:
        """Take out what has changed."""
        changed, self._changed = self._changed, {}
        return changed


def _later(seconds: float, action: Callable[[], None]) -> None:
    timer = Timer(seconds, action)
    timer.daemon = True
    timer.start()


class Choosing:
    """The answers that may still go by several gateways; safe to share between threads."""

    def __init__(
        self, duty_cycle: DutyCycle, monotonic: Callable[[], float] = time.monotonic, later: Later = _later
    ) -> None:
        """later: does something after so many seconds, in another thread."""
        self._duty_cycle = duty_cycle
        self._monotonic = monotonic
        self._later = later
        self._lock = Lock()  # never held while a transmitter is asked or given something
        self._open: OrderedDict[bytes, _Case] = OrderedDict()
        self._hearers = Hearers()
        self._site: OrderedDict[str, None] = OrderedDict()
        self._trips = ChangedTrips()

    def round_trips(self) -> dict[str, str]:
        """Return what is to be kept of round trips, in ms by gateway, that have changed since the last call."""
        with self._lock:
            return self._trips.take()

    def heard(self, device: str, gateway: str) -> None:
        """Note that a gateway was the first to hear a new frame of a device."""
        with self._lock:
            self._site[gateway] = None
            self._site.move_to_end(gateway)
            if len(self._site) > MAX_GATEWAYS:
                self._site.popitem(last=False)
            self._hearers.began(device)
            self._hearers.heard(device, gateway)

    def hearers(self, device: str) -> int:
        """Return how many gateways have lately heard a device."""
        with self._lock:
            return self._hearers.count(device)

    def heard_too(self, device: str, frame: Frame, transmitter: Transmitter | None, *, is_copy: bool = True) -> bool:
        """Note that a gateway heard the same; return whether an answer to that is under way.

        is_copy: False for what may also be a replay.
        """
        with self._lock:
            case = self._open.get(frame.phy_payload)
            is_over = case is None or self._monotonic() > case.over_s
            if is_copy or not is_over:
                self._hearers.heard(device, frame.gateway)
            if case is None or is_over:
                return False
            if transmitter is not None and len(case.ways) < MAX_GATEWAYS:
                case.ways.setdefault(frame.gateway, _Way(transmitter, frame))
            is_complete = case.is_kept and not case.is_given and not self._awaited(case)
        if is_complete:
            self._later(0.0, partial(self._decide, case))
        return True

    def expect(self, answer: Answer) -> None:
        """Take in an answer before it is kept: copies of what it answers may come meanwhile."""
        heard = answer.heard
        if heard is None:
            return
        now, downlink = self._monotonic(), answer.downlink
        last = downlink.windows[-1]
        way, spent = _Way(answer.transmitter, heard), (downlink.gateway, downlink.windows[0])
        case = _Case(answer, {downlink.gateway: way}, now, now + _delay_s(heard, last), spent, set())
        with self._lock:
            self._open.pop(heard.phy_payload, None)
            self._open[heard.phy_payload] = case
            while len(self._open) > MAX_OPEN or next(iter(self._open.values())).over_s < now:
                self._open.popitem(last=False)

    def release(self, answers: Sequence[Answer]) -> None:
        """Send answers that are kept: at once, or when the copies have come."""
        for answer in answers:
            with self._lock:
                case = self._open.get(answer.heard.phy_payload) if answer.heard else None
                if case is not None and case.answer is answer:
                    case.is_kept = True
                    is_awaited = bool(self._awaited(case))
                else:
                    case, is_awaited = None, False
            if case is None:
                answer.transmitter.send(answer.downlink)
                continue
            wait_s = self._wait_s(case) if is_awaited else 0.0
            if wait_s > 0:
                self._later(wait_s, partial(self._decide, case))
            else:
                self._decide(case)

    def _awaited(self, case: _Case) -> set[str]:
        """Return the gateways that have not been heard yet, and are likely to be."""
        likely = self._hearers.likely(case.answer.device)
        return (set(self._site) if likely is None else likely) - case.ways.keys()

    def _wait_s(self, case: _Case) -> float:
        station = case.answer.transmitter.station(case.answer.downlink.gateway)
        if station is None:
            return 0.0
        way = next(iter(case.ways.values()))
        left = self._left_s(case, way, station, case.answer.downlink.windows[0])
        return collect_s(left, station.round_trip_s) - (self._monotonic() - case.opened_s)

    def _left_s(self, case: _Case, way: _Way, station: Station, window: Window) -> float:
        """Return the time until a window, less what a frame takes to the gateway."""
        now = self._monotonic()
        if station.counter is not None and window.tmst is not None:
            left = left_s(station.counter, window.tmst, now)
        else:
            left = _delay_s(way.frame, window) - (now - case.opened_s)
        return left - lead_s(station.round_trip_s)

    def _decide(self, case: _Case) -> None:
        with self._lock:
            if case.is_given:
                return
            case.is_given = True
            is_alone = len(case.ways) == 1
        options = [] if is_alone else self._options(case)
        if options:
            self._give(case, options)
            return
        answer = case.answer
        with self._lock:
            case.tried.add(answer.downlink.gateway)
        tell = partial(self._told, case)
        answer.transmitter.send(replace(answer.downlink, tell=tell))  # it tells why where it cannot

    def _give(self, case: _Case, options: Sequence[_Option]) -> None:
        """Give an answer to the best of those that were not tried."""
        downlink = case.answer.downlink

        def chance(option: _Option) -> Chance:
            rx, station, window = option.way.frame.rx, option.station, option.windows[0]
            return Chance(
                rx.snr_db,
                rx.sf,
                window.slot.rate.airtime_s(len(downlink.phy_payload)),
                self._duty_cycle.left_s(option.way.frame.gateway, window),
                station.round_trip_s,
                option.left_s + lead_s(station.round_trip_s),
                station.silent,
            )

        option = best_first(options, chance)[0]
        gateway = option.way.frame.gateway
        with self._lock:
            case.tried.add(gateway)
        self._account(case, gateway, option.windows[0])
        tell = partial(self._told, case)
        option.way.transmitter.send(replace(downlink, gateway=gateway, windows=option.windows, tell=tell))

    def _options(self, case: _Case) -> list[_Option]:
        with self._lock:
            ways = [way for gateway, way in case.ways.items() if gateway not in case.tried]
        return [option for way in ways if (option := self._option(case, way))]

    def _option(self, case: _Case, way: _Way) -> _Option | None:
        """Return a way with the windows in which it may be used now; None where there is none."""
        gateway, downlink = way.frame.gateway, case.answer.downlink
        station = way.transmitter.station(gateway)
        heard = case.answer.heard
        if station is None or heard is None:
            return None
        shifted = windows_of_copy(downlink.windows, heard, way.frame)
        in_time = [window for window in shifted if self._left_s(case, way, station, window) >= 0]
        size = len(downlink.phy_payload)
        is_spent = case.spent is not None and case.spent[0] == gateway
        allowed = tuple(in_time) if is_spent else self._duty_cycle.within(gateway, in_time, size)
        if not allowed:
            return None
        return _Option(way, station, allowed, self._left_s(case, way, station, allowed[0]))

    def _told(self, case: _Case, told: Transmission) -> bool:
        """Take in what became of an answer; return whether another gateway is given it."""
        case.answer.downlink.tell(told)
        way = case.ways.get(told.gateway)
        station = way.transmitter.station(told.gateway) if way else None
        if station and station.round_trip_s is not None:
            with self._lock:
                self._trips.note(told.gateway, station.round_trip_s)
        named = (each for each in case.answer.downlink.windows if each.name == told.window)
        window = next(named, None)
        if told.is_sent is not False:
            if window is not None:
                self._account(case, told.gateway, window)
            return False
        self._account(case, told.gateway, None)
        options = [option for option in self._options(case) if window is None or option.windows[0].name == window.name]
        if not options:
            return False
        self._later(0.0, partial(self._give, case, options))
        return True

    def _account(self, case: _Case, gateway: str, window: Window | None) -> None:
        """Count the air time of an answer where it is sent; None: it is not."""
        size = len(case.answer.downlink.phy_payload)
        with self._lock:
            before, case.spent = case.spent, (gateway, window) if window else None
        if before == case.spent:
            return
        if before is not None:
            self._duty_cycle.give_back(*before, size)
        if window is not None:
            self._duty_cycle.spend(gateway, window, size)


def _delay_s(frame: Frame, window: Window) -> float:
    return ((window.tmst or 0) - (frame.tmst or 0)) % COUNTER / _SECOND_US
