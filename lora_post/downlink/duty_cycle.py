"""How much each gateway may still send: the duty cycle of sub-bands, over the last hour.

Source: ETSI EN 300 220-2, annex B; the limits of a region are in its plan.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from lora_post.clocks.scale import utc_text
from lora_post.downlink.transmit import Window
from lora_post.lorawan.region import Region
from lora_post.times import WallUs

HOUR_S: Final = 3600.0


class DutyCycle:
    """The air time of all gateways. In memory: a restart is rare, and takes longer than a frame."""

    def __init__(self, region: Region, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._region = region
        self._monotonic = monotonic
        self._sent: dict[tuple[str, int], deque[tuple[float, float]]] = {}

    def within(self, gateway: str, windows: Iterable[Window], size: int) -> tuple[Window, ...]:
        """Return the windows in which a frame of `size` bytes may be sent."""
        return tuple(window for window in windows if self._is_within(gateway, window, size))

    def spend(self, gateway: str, window: Window, size: int) -> None:
        """Note that a frame is sent in this window."""
        limits = self._region.sub_band(window.slot.hz)
        if limits is not None:
            sent = self._sent.setdefault((gateway, limits.min_hz), deque())
            sent.append((self._monotonic(), window.slot.rate.airtime_s(size)))

    def free_at(self, gateway: str, windows: Iterable[Window], size: int, now_us: int) -> str:
        """Return when one of the windows may be used again, as HH:MM in UTC."""
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
        sent = self._sent.get((gateway, limits.min_hz), deque())
        while sent and sent[0][0] <= self._monotonic() - HOUR_S:
            sent.popleft()
        spent_s = sum(airtime_s for _, airtime_s in sent)
        return spent_s + window.slot.rate.airtime_s(size) <= limits.duty * HOUR_S
