"""Measure by turns: what is compared is measured under the same disturbances, and often enough to see them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

ROUNDS = 5


def by_turns(works: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return what each gives, round by round; in every second round they come in the opposite order."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        for name in list(works)[:: -1 if number % 2 else 1]:
            found[name].append(works[name]())
    return found


def spread(found: Sequence[float], digits: int = 1) -> str:
    """Return the median, with the least and the most."""
    return f"{statistics.median(found):.{digits}f} ({min(found):.{digits}f} … {max(found):.{digits}f})"


def ratio(found: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios in the same rounds."""
    return statistics.median(one / other for one, other in zip(found, others, strict=True))
