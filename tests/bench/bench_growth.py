"""How each cost grows with the number of devices, sensors (lanes), queued readings and gateways.

    python -m tests.bench growth [--sizes N …] [--only WORD] [--day FRAMES]

CPU time of one core, the least of rounds in turns over the sizes. A cost is of one thing (a frame, a request), and then
it should be the same whatever there is besides: its exponent is 0, and "flat" is the largest divided by the least of
smaller sizes, from 100 to 10,000; of fewer than 100 devices, a group has several frames of one. Or it is of all (a
start, a page), and then its exponent should be 1. The exponent is the slope of a line through the logarithms, over the
sizes of the last two decades. The verdict is "holds", or what does not: an exponent above 1.1 (of one thing: above
0.1), or more than a fifth with a larger size ("not flat"); what does not hold is measured up to three times more, in
case the machine was busy. What has a bound for each second is measured by the second.

Each device sends every ten minutes, whatever their number, so that what is done for a device now and then has the same
share of a frame. The page's board has 10,000 devices or more at each size, in several sites: else it would come from
another cache of the processor.

At the end a day of traffic as fast as it goes: rows of each table, memory and costs after a quarter, a half and all of
it, which must not grow without bound: trends are kept for 27 hours by quarters of an hour, for 31 days by two hours, up
to 100,000 rows.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import inf, log
from pathlib import Path

from tests.bench.growth.cost import Cost, Prepare
from tests.bench.growth.day import live_a_day
from tests.bench.growth.devices import DEVICES
from tests.bench.growth.gateways import GATEWAYS
from tests.bench.growth.queue import QUEUE
from tests.bench.growth.watched import WATCHED

SIZES = (10, 100, 1_000, 10_000)
COSTS = (*DEVICES, *QUEUE, *WATCHED, *GATEWAYS)
ROUNDS = 15
ROUND_S = 0.015
PATIENCE = 4
MOST_REPEATS = 200
DECADES = 100
FLAT = (100, 10_000)
MOST_EXPONENT = 1.1
MOST_FLAT = 1.2
HOLDS = "holds"
DAY_FRAMES = 72_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="50000 is possible, and takes minutes")
    options.add_argument("--only", default="", help="only costs with this in their name; and not the day")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--day", type=int, default=DAY_FRAMES, help="frames of the day; 0: leave it out")
    chosen = options.parse_args()
    logging.getLogger("lora_post").addHandler(logging.NullHandler())
    sizes: list[int] = sorted(chosen.sizes)
    _say(f"{'µs of one, ms of all':46}" + "".join(f"{size:>10,}" for size in sizes) + "  exponent  flat  verdict")
    high = [cost.name for cost in COSTS if chosen.only in cost.name and _show(cost, sizes, chosen.rounds)]
    _say(f"do not hold: {', '.join(high) or 'none'}")
    if chosen.day and not chosen.only:
        live_a_day(chosen.day, _say)


def _show(cost: Cost, sizes: Sequence[int], rounds: int) -> bool:
    """Print one line; return whether the cost grows more than it may."""
    left_out = sum(size > cost.most for size in sizes)
    sizes = sizes[: len(sizes) - left_out]
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        cases = []
        for size in sizes:
            place = Path(folder) / str(size)
            place.mkdir()
            cases.append(stack.enter_context(cost.open(place, size)))
        repeats = [_repeats(case) for case in cases]
        found = [inf] * len(cases)
        for _ in range(PATIENCE):  # other work on the machine goes away in time, what grows does not
            found = _least(cases, repeats, rounds, found)
            exponent, flat = _exponent(sizes, found), _flat(sizes, found)
            verdict = _verdict(cost, exponent, flat)
            if verdict == HOLDS:
                break
    unit = 1e3 if cost.of_all else 1e6
    _say(
        f"{cost.name:46}"
        + "".join(f"{each * unit:>10,.2f}" for each in found)
        + f"{'':10}" * left_out
        + f"{exponent:>10.2f}"
        + (f"{'':6}" if cost.of_all else f"{flat:>6.2f}")
        + f"  {verdict}"
    )
    return verdict != HOLDS


def _verdict(cost: Cost, exponent: float, flat: float) -> str:
    """Return whether a cost grows no more than it may, or what of it does."""
    most = MOST_EXPONENT if cost.of_all else MOST_EXPONENT - 1
    faults = [f"exponent above {most:.1f}"] if exponent > most else []
    if not cost.of_all and flat > MOST_FLAT:
        faults.append(f"not flat within {MOST_FLAT - 1:.0%}")
    return ", ".join(faults) or HOLDS


def _least(cases: Sequence[Prepare], repeats: Sequence[int], rounds: int, until_now: Sequence[float]) -> list[float]:
    """Seconds of each case, the least of rounds in turns and of those until now."""
    found = list(until_now)
    for _ in range(rounds):
        for index, case in enumerate(cases):
            found[index] = min(found[index], sum(_seconds(case) for _ in range(repeats[index])) / repeats[index])
    return found


def _repeats(case: Prepare) -> int:
    for _ in range(2):  # the first one is not the usual one
        work, _ = case()
        once = _used(work)
    return max(1, min(MOST_REPEATS, int(ROUND_S / once)))


def _seconds(case: Prepare) -> float:
    work, operations = case()
    return _used(work) / operations


def _used(work: Callable[[], object]) -> float:
    gc.disable()
    began = time.process_time()
    work()
    used = time.process_time() - began
    gc.enable()
    return max(used, 1e-9)


def _flat(sizes: Sequence[int], found: Sequence[float]) -> float:
    """How many times as much it becomes with a larger size, where it should stay the same."""
    ones = [each for size, each in zip(sizes, found, strict=True) if FLAT[0] <= size <= FLAT[1]]
    return max((later / min(ones[: at + 1]) for at, later in enumerate(ones)), default=1.0)


def _exponent(sizes: Sequence[int], found: Sequence[float]) -> float:
    """The slope of log(cost) over log(size), by least squares over the upper decades."""
    points = [(log(size), log(cost)) for size, cost in zip(sizes, found, strict=True) if size * DECADES >= sizes[-1]]
    if len(points) < 2:
        return 0.0
    middle_x, middle_y = (sum(each) / len(points) for each in zip(*points, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
