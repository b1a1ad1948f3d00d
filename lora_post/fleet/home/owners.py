"""Say who decides about devices with a home gateway, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from lora_post.clocks.scale import utc_text
from lora_post.fleet.hub.subjects import id_of
from lora_post.fleet.log.entry import Entry
from lora_post.text import printable

MAX_NAMED: Final = 5


class Owned(Struct, frozen=True):
    """A device of which it was ever changed who decides about it.

    who: in words. since: the time in UTC, to the minute. is_stand_in: workers took it over by themselves, for the home
    gateway was away.
    """

    device: str
    who: str
    since: str
    is_stand_in: bool = False

    @property
    def line(self) -> str:
        """Return it in words."""
        return f"{self.device}: {self.who}, since {self.since}"


def owned_of(subject: str, entry: Entry) -> Owned | None:
    """Return who decides about a device by its newest valid entry; None where that never was a home gateway.

    subject: of its log.
    """
    state = entry.state
    if state.owner:
        who = f"home gateway {printable(state.owner)} decides"
    elif state.is_held:
        who = "workers decide, taken over by a person"
    elif state.stands_in_for:
        who = f"workers decide, while home gateway {printable(state.stands_in_for)} is away"
    else:
        return None
    since = utc_text(state.decides_since_us)[:16].replace("T", " ")
    return Owned(id_of(subject.rpartition(".")[2]), who, since, bool(state.stands_in_for))


def owners(entries: Mapping[str, Entry]) -> list[Owned]:
    """Return who decides about devices by their newest valid entries, by subject."""
    found = (owned_of(subject, entry) for subject, entry in sorted(entries.items()))
    return [each for each in found if each]


def owner_lines(owned: Iterable[Owned]) -> Iterator[str]:
    """Yield one line for each owner, with its devices."""
    by_who: dict[str, list[Owned]] = {}
    for each in owned:
        by_who.setdefault(each.who, []).append(each)
    for who, devices in sorted(by_who.items()):
        named = [f"{each.device} since {each.since}" for each in devices[:MAX_NAMED]]
        more = f", and {len(devices) - MAX_NAMED} more" if len(devices) > MAX_NAMED else ""
        yield f"{who}: {', '.join(named)}{more}"
