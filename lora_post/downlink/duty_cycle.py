"""Count the air time of each gateway per sub-band over the last hour (duty cycle).

Source: ETSI EN 300 220-2, annex B; the limits of a region are in its plan.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import RLock
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from lora_post.clocks.scale import utc_text
from lora_post.command import Moment, age_s
from lora_post.downlink.transmit import Window
from lora_post.lorawan.region import Region, SubBand
from lora_post.times import WallUs

HOUR_S: Final = 3600.0
FULL: Final = 0.95
"""What is left then does not carry a join-accept at SF12."""
_KEPT_TOGETHER_S: Final = 300.0
"""Frames within so long are kept as one, with the time of the last: the file gets a dozen numbers, not hundreds."""

_Ms = Annotated[int, Meta(ge=0, le=3_600_000)]


class _Kept(Struct, frozen=True):
    """What the spool keeps of a gateway in a sub-band. spent: s before `at`, and ms on air."""

    at: Moment
    spent: tuple[tuple[int, _Ms], ...]


class AirTime(Struct, frozen=True):
    """What a gateway has used of a sub-band. used: 1.0 is all. more_in_s: when some of it comes back."""

    gateway: str
    sub_band: SubBand
    used: float
    more_in_s: float

    @property
    def is_full(self) -> bool:
        """Whether it is used up, but for short frames."""
        return self.used >= FULL


class DutyCycle:
    """The air time of all gateways."""

    def __init__(self, region: Region, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._region = region
        self._monotonic = monotonic
        self._sent: dict[tuple[str, int], deque[tuple[float, float]]] = {}
        self._changed: set[tuple[str, int]] = set()
        self._lock = RLock()  # an answer may go by another gateway than the one it was meant for

    def restore(self, kept: Mapping[str, str], now: Moment) -> list[str]:
        """Load the air time that an earlier run has kept; return the keys that are out of date.

        Of what is kept without a time it is not known how old it is: it counts as if it were sent now.
        """
        over = []
        for key, text in kept.items():
            gateway, _, hz = key.rpartition(" ")
            try:
                then = msgspec.json.decode(text, type=_Kept)
                band = gateway, int(hz)
                gap_s = max(age_s(then.at, now) or 0.0, 0.0)
                sent = [(self._monotonic() - gap_s - max(age, 0), ms / 1000) for age, ms in then.spent]
            except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
                over.append(key)
                continue
            if young := [each for each in sent if each[0] > self._monotonic() - HOUR_S]:
                self._sent[band] = deque(sorted(young))
            else:
                over.append(key)
        return over

    def changes(self, now: Moment) -> dict[str, str]:
        """Return the changes since the last call, to be kept, by gateway and sub-band."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return {f"{gateway} {hz}": self._kept((gateway, hz), now) for gateway, hz in changed}

    def _kept(self, band: tuple[str, int], now: Moment) -> str:
        spent: dict[float, tuple[int, int]] = {}
        for sent_s, airtime_s in self._young(band):
            slot = sent_s // _KEPT_TOGETHER_S
            ms = spent.get(slot, (0, 0))[1] + round(airtime_s * 1000)
            spent[slot] = int(self._monotonic() - sent_s), ms
        return msgspec.json.encode(_Kept(now, tuple(spent.values()))).decode()

    def used(self) -> Iterator[AirTime]:
        """Yield the air time used, by gateway and sub-band; for any thread."""
        bands = {each.min_hz: each for each in self._region.sub_bands}
        for gateway, hz in sorted(self._sent):
            limits, young = bands.get(hz), list(self._young((gateway, hz)))
            if limits is not None and young:
                used = sum(airtime_s for _, airtime_s in young) / (limits.duty * HOUR_S)
                yield AirTime(gateway, limits, used, young[0][0] + HOUR_S - self._monotonic())

    def within(self, gateway: str, windows: Iterable[Window], size: int) -> tuple[Window, ...]:
        """Return the windows in which a frame of `size` bytes may be sent."""
        with self._lock:
            return tuple(window for window in windows if self._is_within(gateway, window, size))

    def left_s(self, gateway: str, window: Window) -> float | None:
        """Return the air time that a gateway has left where a window is, None for no limit."""
        limits = self._region.sub_band(window.slot.hz)
        if limits is None:
            return None
        with self._lock:
            return limits.duty * HOUR_S - sum(airtime_s for _, airtime_s in self._young((gateway, limits.min_hz)))

    def spend(self, gateway: str, window: Window, size: int) -> None:
        """Note that a frame is sent in this window."""
        limits = self._region.sub_band(window.slot.hz)
        if limits is not None:
            band = gateway, limits.min_hz
            with self._lock:
                self._sent.setdefault(band, deque()).append((self._monotonic(), window.slot.rate.airtime_s(size)))
                self._changed.add(band)

    def give_back(self, gateway: str, window: Window, size: int) -> None:
        """Give back the air time of a frame that was not sent."""
        limits = self._region.sub_band(window.slot.hz)
        if limits is None:
            return
        band, airtime_s = (gateway, limits.min_hz), window.slot.rate.airtime_s(size)
        with self._lock:
            sent = self._sent.get(band, deque())
            for each in reversed(sent):
                if each[1] == airtime_s:
                    sent.remove(each)
                    self._changed.add(band)
                    return

    def free_at(self, gateway: str, windows: Iterable[Window], size: int, now_us: int) -> str:
        """Return when one of the windows may be used again, as HH:MM in UTC."""
        with self._lock:
            wait_s = min(self._wait_s(gateway, window, size) for window in windows)
        return f"{utc_text(WallUs(now_us + round((wait_s + 59) * 1e6)))[11:16]}Z"

    def _wait_s(self, gateway: str, window: Window, size: int) -> float:
        limits = self._region.sub_band(window.slot.hz)
        if limits is None:
            return 0.0
        left_s = limits.duty * HOUR_S - window.slot.rate.airtime_s(size)
        for sent_s, airtime_s in reversed(self._sent.get((gateway, limits.min_hz), ())):
            left_s -= airtime_s
            if left_s < 0:
                return max(sent_s + HOUR_S - self._monotonic(), 0.0)
        return 0.0

    def _is_within(self, gateway: str, window: Window, size: int) -> bool:
        limits = self._region.sub_band(window.slot.hz)
        if limits is None:
            return True
        band = gateway, limits.min_hz
        sent = self._sent.get(band)
        while sent and sent[0][0] <= self._monotonic() - HOUR_S:
            sent.popleft()
        spent_s = sum(airtime_s for _, airtime_s in self._young(band))
        return spent_s + window.slot.rate.airtime_s(size) <= limits.duty * HOUR_S

    def _young(self, band: tuple[str, int]) -> Iterator[tuple[float, float]]:
        """Yield what was sent within the last hour: when, and for how long."""
        since_s = self._monotonic() - HOUR_S
        return (each for each in tuple(self._sent.get(band, ())) if each[0] > since_s)
