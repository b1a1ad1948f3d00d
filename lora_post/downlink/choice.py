"""Choose the gateway that answers a device, and how long to wait for copies from others.

It knows nothing of threads, inputs or the fleet's log: all of them choose by this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Final, TypeVar

from msgspec import Struct

from lora_post.downlink.adr import REQUIRED_SNR_DB

COLLECT_S: Final = 0.2
"""Copies of one transmission come so soon one after another, where the links are alike."""
MAX_MARGIN_DB: Final = 20.0
"""More is not better, and what a lying gateway tells; of equal ones the first that heard the device is the best."""
UNKNOWN_MARGIN_DB: Final = -10.0
SENT_DB: Final = 10.0
"""A gateway sends with more power than a device, and its antenna stands higher."""
NO_AIR_TIME_DB: Final = 20.0
TOO_SLOW_DB: Final = 20.0
SILENT_DB: Final = 3.0
"""For each of the last frames of which a gateway did not say whether it sends them, up to MAX_SILENT."""
MAX_SILENT: Final = 5
MUTE_DB: Final = 20.0
"""One that was silent so often is behind all that may send, however well it says that it hears."""

T = TypeVar("T")


class Chance(Struct, frozen=True):
    """How good a gateway is for answering a device.

    snr_db, sf: of the uplink, None where it does not tell. airtime_s: of the answer. budget_s: air time that it has
    left, None: it is not limited, or keeps its own account. round_trip_s: from a request to what it says of it, None:
    not measured. left_s: until it must have the answer. silent: frames in a row of which it told nothing.
    """

    snr_db: float | None
    sf: int | None
    airtime_s: float = 0.0
    budget_s: float | None = None
    round_trip_s: float | None = None
    left_s: float = COLLECT_S
    silent: int = 0

    @property
    def score_db(self) -> float:
        """Return how good it is: the margin in dB, less a penalty where it is silent, slow or out of air time."""
        score = SENT_DB + _margin_db(self.snr_db, self.sf) - SILENT_DB * min(self.silent, MAX_SILENT)
        if self.silent >= MAX_SILENT:
            score -= MUTE_DB
        if self.budget_s is not None and self.budget_s < self.airtime_s:
            score -= NO_AIR_TIME_DB
        if (self.round_trip_s or 0.0) > self.left_s:
            score -= TOO_SLOW_DB
        return score


def _margin_db(snr_db: float | None, sf: int | None) -> float:
    required = REQUIRED_SNR_DB.get(sf or 0)
    if snr_db is None or not isfinite(snr_db) or required is None:
        return UNKNOWN_MARGIN_DB
    return min(snr_db - required, MAX_MARGIN_DB)


def best_first(heard: Iterable[T], chance: Callable[[T], Chance]) -> list[T]:
    """Return the gateways that heard a device, the best first; equal ones in their order."""
    return sorted(heard, key=lambda each: -chance(each).score_db)


def collect_s(left_s: float, round_trip_s: float | None) -> float:
    """Return how long copies of an uplink are waited for.

    left_s: until a gateway must have the answer. round_trip_s: of the slowest one. There stays time to ask a second
    gateway when the first one refuses.
    """
    return min(max((left_s - 2 * (round_trip_s or 0.0)) / 2, 0.0), COLLECT_S)
