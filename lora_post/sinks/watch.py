"""Define how a destination is asked for values that people set for devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from lora_post.errors import Unavailable
from lora_post.formats.server_queues import SERVERS
from lora_post.spool.facts import Facts
from lora_post.text import parse_duration
from lora_post.toml_table import TableReader

NEVER: Final = "never"
Actuators = TypeVar("Actuators")


class Setting(Struct, frozen=True):
    """A value that was set for an actuator of a device."""

    device: str
    actuator: str
    value: object


MIN_LOOK_S: Final = 10.0
MAX_VALUE: Final = 1000
"""Characters of the JSON of a value: no frame holds more."""


def read_look_every_s(reader: TableReader, key: str, text: str) -> float:
    """Return how often to look for values, in s, 0.0 for never. key: as "[waziup] actuators"."""
    if text == NEVER:
        return 0.0
    every_s = parse_duration(text) or 0.0
    if every_s < MIN_LOOK_S:
        reader.refuse(f"{key} is {text!r}", 'write "15min", at least "10s", or "never"')
    require_way_back(reader, key)
    return every_s


def require_way_back(reader: TableReader, key: str) -> None:
    """Add a mistake where nothing can be sent to devices. key: what wants that, as "[waziup] actuators"."""
    inputs = reader.document.get("input")
    tables = [each for each in inputs if isinstance(each, dict)] if isinstance(inputs, list) else []
    if "network" not in reader.document and not any(each.get("format") in SERVERS for each in tables):
        reader.refuse(f"{key} needs [network]", 'add it, with region = "EU868": it sends to devices')


class Watch(Protocol):
    """Finds values that were set; for one thread. every_s: how often it is to look."""

    every_s: float

    def look(self, devices: Sequence[str]) -> Iterable[Setting]:
        """Yield what was set since the last look for these devices. Raises SinkError, SpoolError."""
        ...

    def taken(self, setting: Setting) -> None:
        """Note that a value is on its way, so that it is not found again. Raises SpoolError."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class Unreadable(Unavailable):
    """The destination answered, but not as it should about this device."""


def look_at_each(devices: Iterable[str], look_at: Callable[[str], Iterable[Setting]]) -> Iterator[Setting]:
    """Yield what was set for each device; raise last what cannot be read of some, so that it holds up no other."""
    wrong: Unreadable | None = None
    for device in devices:
        try:
            yield from look_at(device)
        except Unreadable as error:
            wrong = wrong or error
    if wrong is not None:
        raise wrong


def read_actuators(body: bytes, decoder: msgspec.json.Decoder[Actuators], doing: str) -> Actuators:
    """Return the actuators that a destination lists. doing: for the error. Raises Unreadable."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"{doing}: no list of them: {error}") from error


def seen_key(device: str, actuator: str) -> str:
    """Return the name by which the last value of an actuator is known."""
    return f"{device}/{actuator}"


def changed(facts: Facts, device: str, seen: Mapping[str, str]) -> list[str]:
    """Return the actuators whose value is another one than it was; what is seen for the first time is only noted.

    seen: by actuator, as a text.
    """
    known, found = facts.recall(), []
    for actuator, text in seen.items():
        key = seen_key(device, actuator)
        if key not in known:
            facts.remember(key, text)
        elif known[key] != text and len(text) <= MAX_VALUE:
            found.append(actuator)
    return found
