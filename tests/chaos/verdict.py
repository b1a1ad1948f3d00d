"""Both ends compared: what was heard, and what the server has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from tests.chaos.site import Row


class Verdict(Struct, frozen=True):
    """How many readings of how many arrived wrongly. strange: values that nobody sent."""

    readings: int
    missing: int
    doubled: int
    strange: int
    out_of_order: int

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.doubled or self.strange or self.out_of_order)


def compare(wanted: Mapping[tuple[str, str], Sequence[Row]], found: Mapping[tuple[str, str], Sequence[Row]]) -> Verdict:
    """Return what is wrong. found: the rows of each sensor in the order of their arrival."""
    missing = doubled = strange = out_of_order = 0
    for sensor in wanted.keys() | found.keys():
        want, got = Counter(wanted.get(sensor, ())), Counter(found.get(sensor, ()))
        missing += (want - got).total()
        doubled += sum(count - 1 for row, count in got.items() if row in want)
        strange += sum(count for row, count in got.items() if row not in want)
        times = [row.time_us for row in found.get(sensor, ())]
        out_of_order += sum(later < earlier for earlier, later in pairwise(times))
    return Verdict(sum(map(len, wanted.values())), missing, doubled, strange, out_of_order)
