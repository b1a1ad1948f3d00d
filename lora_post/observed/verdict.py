"""Whether a run works, and what is wrong: in words for the page and `watch`, as lines for /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from lora_post.errors import Fault, Problem
from lora_post.observed.run_state import CLOCK, RunState


class Verdict(Struct, frozen=True, omit_defaults=True):
    """kind: "wait" when nothing is lost and nothing is to be done."""

    kind: Literal["good", "wait", "bad"]
    text: str
    problems: tuple[Problem, ...] = ()


def judge(runtime: RunState, *, is_heard: bool) -> Verdict:
    """Return how things are. is_heard: any device was."""
    bad = tuple(dict.fromkeys(_bad(runtime)))
    waiting = tuple(_waiting(runtime))
    if bad:
        return Verdict("bad", "Needs attention", bad + waiting)
    if waiting:
        return Verdict("wait", "Readings wait; nothing is lost", waiting)
    if any(item.parked or item.refused for item in runtime.destinations):
        why = Problem("some sensors are parked", "`lora-post spool` says which, and why")
        return Verdict("wait", "Works, but some sensors are parked", (why,))
    if not is_heard:
        return Verdict("wait", "Running; no device heard yet")
    return Verdict("good", "Everything works")


def stalled(name: str) -> Problem:
    """Return what is wrong when this thread is stalled."""
    return Problem(f"{name} is stalled", "restart lora-post")


def faults(runtime: RunState) -> list[str]:
    """Return why this process should be restarted: stalled threads, inputs that fail again and again."""
    failing = [item for item in runtime.inputs if isinstance(item.trouble, Fault)]
    return [
        *(stalled(name).what for name in runtime.stalled),
        *(f"input {item.name}: {item.trouble}" for item in failing),
    ]


def obstacles(runtime: RunState) -> list[str]:
    """Return why frames cannot be taken or readings not be sent at the moment."""
    found = faults(runtime)
    found += [f"{name}: {trouble}" for name, trouble in runtime.troubles.items()]
    waiting = [item for item in runtime.inputs if item.trouble and not isinstance(item.trouble, Fault)]
    found += [f"input {item.name}: {item.trouble}" for item in waiting]
    found += [f"{item.name}: {item.trouble}" for item in runtime.destinations if item.trouble]
    return found


def _bad(runtime: RunState) -> Iterator[Problem]:
    """Yield what needs a person; what an alert says already is not said twice."""
    alerts = runtime.alerts
    yield from alerts.values()
    for name in runtime.stalled:
        if f"stalled:{name}" not in alerts:
            yield stalled(name)
    for name, trouble in runtime.troubles.items():
        if name != CLOCK and f"trouble:{name}" not in alerts:
            yield trouble.at(name)
    for item in runtime.inputs:
        if item.trouble and f"input:{item.name}" not in alerts:
            yield item.trouble.at(f"input {item.name}")


def _waiting(runtime: RunState) -> Iterator[Problem]:
    for item in runtime.destinations:
        if item.trouble:
            yield item.trouble.at(item.name)
    if CLOCK in runtime.troubles and f"trouble:{CLOCK}" not in runtime.alerts:
        yield runtime.troubles[CLOCK].at(CLOCK)
