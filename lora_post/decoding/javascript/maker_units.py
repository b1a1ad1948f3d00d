"""The units that a maker publishes beside a codec: Milesight's `NAME-codec.json` beside `NAME-decoder.js`.

    {"object": [{"id": "temperature", "unit": "°C"}, {"id": "history._item.humidity", "unit": "%r.h."}]}

Source: Milesight-IoT/SensorDecoders, codec.json of each device type.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.results.meanings import known_unit

MAX_FILE: Final = 1 << 20
MAX_UNITS: Final = 1024
_ITEM: Final = "._item."  # behind the name of a list of records


class _Value(Struct):
    id: str = ""
    unit: str = ""


class _Codec(Struct):
    object: list[_Value] = []


def units_beside(codec: Path) -> dict[str, str]:
    """Return the symbol of `UNITS` for each value with one known unit; nothing without such a file."""
    path = codec.with_name(f"{codec.stem.removesuffix('-decoder')}-codec.json")
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
        values = msgspec.json.decode(text, type=_Codec).object if len(text) <= MAX_FILE else []
    except (OSError, msgspec.MsgspecError, RecursionError):  # a hint that is missing costs nothing
        return {}
    found: dict[str, set[str]] = {}
    for value in values[:MAX_UNITS]:
        if value.unit:
            found.setdefault(value.id.rpartition(_ITEM)[2], set()).add(known_unit(value.unit))
    return {name: next(iter(units)) for name, units in found.items() if len(units) == 1 and "" not in units}
