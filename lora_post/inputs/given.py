"""Remember frames that gateways were given until they confirm them, and log how they ended."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Final

from msgspec import Struct

from lora_post.downlink.transmit import Downlink, Transmission
from lora_post.metrics import Metrics

log = logging.getLogger(__name__)

MAX_GIVEN: Final = 1024
KEEP_TRIPS: Final = 8


class _Given(Struct, frozen=True):
    """A frame that a gateway has, and may send."""

    downlink: Downlink
    given_s: float


class RoundTrips:
    """How long gateways take to say what becomes of a frame: the longest of their last few."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, gateway: str, seconds: float) -> None:
        """Add one that was measured."""
        last = self._last.pop(gateway, None) or deque(maxlen=KEEP_TRIPS)
        self._last[gateway] = last  # the newest stands last
        last.append(seconds)
        while len(self._last) > MAX_GIVEN:
            self._last.popitem(last=False)

    def of(self, gateway: str) -> float | None:
        """Return the longest round trip of a gateway in s, None before the first."""
        return max(self._last.get(gateway, ()), default=None)


class Given:
    """Frames by the keys that their gateways confirm them with, each confirmed within `within_s` or not at all."""

    def __init__(self, within_s: float, monotonic: Callable[[], float]) -> None:
        self._within_s = within_s
        self._monotonic = monotonic
        self._frames: OrderedDict[Hashable, _Given] = OrderedDict()
        self.round_trips = RoundTrips()

    def put(self, key: Hashable, downlink: Downlink) -> None:
        """Note that a frame is given; of too many the oldest is forgotten."""
        self._frames[key] = _Given(downlink, self._monotonic())
        if len(self._frames) > MAX_GIVEN:
            self._frames.popitem(last=False)

    def find(self, key: Hashable, gateway: str) -> Downlink | None:
        """Return the frame with a key; None when this gateway was given none."""
        given = self._frames.get(key)
        return given.downlink if given is not None and given.downlink.gateway == gateway else None

    def remove(self, key: Hashable) -> None:
        """Forget a frame that is confirmed; how long that took is noted."""
        given = self._frames.pop(key)
        self.round_trips.note(given.downlink.gateway, self._monotonic() - given.given_s)

    def forget(self, key: Hashable) -> None:
        """Forget a frame that could not be given."""
        self._frames.pop(key, None)

    def silent(self) -> list[Downlink]:
        """Take out the frames whose time is over."""
        since, found = self._monotonic() - self._within_s, []
        while self._frames and next(iter(self._frames.values())).given_s < since:
            found.append(self._frames.popitem(last=False)[1].downlink)
        return found


def tell_sent(metrics: Metrics, downlink: Downlink, window: str, by: str, more: str = "") -> None:
    """Log and tell that a frame is sent. by: who sends it."""
    metrics.count("downlinks", "sent")
    log.info("%s is sent by %s in %s%s", downlink.about, by, window, more)
    downlink.tell(Transmission(downlink.gateway, window, True))


def tell_not_sent(
    metrics: Metrics, downlink: Downlink, window: str, by: str, why: str, *, label: str = "failed", fate: str = ""
) -> bool:
    """Tell that a frame is not sent; returns whether another gateway is given it now.

    label: of the metric. fate: why, as its fate has it; "": as the log.
    """
    metrics.count("downlinks", label)
    log.warning("%s is not sent by %s: %s", downlink.about, by, why)
    return bool(downlink.tell(Transmission(downlink.gateway, window, False, fate or why)))


def tell_unconfirmed(metrics: Metrics, downlink: Downlink, window: str, by: str) -> None:
    """Log and tell that it is not known whether a frame is sent."""
    metrics.count("downlinks", "unconfirmed")
    log.info("%s was handed to %s, which did not confirm it", downlink.about, by)
    downlink.tell(Transmission(downlink.gateway, window, None))
