"""Whether a run works, and what is wrong: in words for the page and `watch`, as lines for /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from lora_post.observed.run_state import CLOCK, RunState


class Verdict(Struct, frozen=True, omit_defaults=True):
    """kind: "wait" when nothing is lost and nothing is to be done. problems: as "what is wrong; what to do"."""

    kind: Literal["good", "wait", "bad"]
    text: str
    problems: tuple[str, ...] = ()


def judge(runtime: RunState, *, is_heard: bool) -> Verdict:
    """How things are. is_heard: any device was."""
    bad = tuple(dict.fromkeys(_bad(runtime)))
    waiting = tuple(_waiting(runtime))
    if bad:
        return Verdict("bad", "Needs attention", bad + waiting)
    if waiting:
        return Verdict("wait", "Readings wait; nothing is lost", waiting)
    if any(item.parked or item.refused for item in runtime.destinations):
        why = "some sensors are parked; `lora-post spool` says which, and why"
        return Verdict("wait", "Works, but some sensors are parked", (why,))
    if not is_heard:
        return Verdict("wait", "Running; no device heard yet")
    return Verdict("good", "Everything works")


def faults(runtime: RunState) -> list[str]:
    """Return why this process should be restarted: threads that do not get on with their work."""
    return [f"{name} is stalled" for name in runtime.stalled]


def obstacles(runtime: RunState) -> list[str]:
    """Return why frames cannot be taken or readings not be sent at the moment."""
    found = faults(runtime)
    found += [f"{name}: {text}" for name, text in runtime.troubles.items()]
    found += [f"input {item.name}: {item.trouble}" for item in runtime.inputs if item.trouble]
    found += [f"{item.name}: {item.trouble}" for item in runtime.destinations if item.trouble]
    return found


def _bad(runtime: RunState) -> Iterator[str]:
    """What an alert tells of already is not told twice."""
    alerts = runtime.alerts
    yield from alerts.values()
    for name in runtime.stalled:
        if f"stalled:{name}" not in alerts:
            yield f"{name} does not get on with its work; restart lora-post"
    for name, text in runtime.troubles.items():
        if name != CLOCK and f"trouble:{name}" not in alerts:
            yield f"{name}: {text}"
    for item in runtime.inputs:
        if item.trouble and f"input:{item.name}" not in alerts:
            yield f"input {item.name}: {item.trouble}"


def _waiting(runtime: RunState) -> Iterator[str]:
    for item in runtime.destinations:
        if item.trouble:
            yield f"{item.name}: {item.trouble}"
    if CLOCK in runtime.troubles and f"trouble:{CLOCK}" not in runtime.alerts:
        yield f"{CLOCK}: {runtime.troubles[CLOCK]}"
