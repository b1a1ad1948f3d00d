"""`location = [48.1, 11.5]` → a place on the globe."""

from __future__ import annotations

from collections.abc import Sequence

from lora_post.model import Location
from lora_post.toml_table import TableReader

_FIX = "it must be [latitude, longitude] in degrees, as [48.1, 11.5]"


def read_location(reader: TableReader, place: str, numbers: Sequence[float]) -> Location | None:
    """Return where a gateway or device is, None when it is not given or a mistake. place: its table, for messages."""
    if not numbers:
        return None
    if len(numbers) != 2:
        reader.refuse(f"{place} location has {len(numbers)} number{'s' * (len(numbers) > 1)}", _FIX)
        return None
    before = len(reader.mistakes)
    for name, degrees, most in zip(("latitude", "longitude"), numbers, (90, 180), strict=True):
        if not -most <= degrees <= most:  # not a number, too
            limits = f"it must be between -{most} and {most} degrees; the latitude comes first"
            reader.refuse(f"{place} location: the {name} is {degrees}", limits)
    return Location(float(numbers[0]), float(numbers[1])) if len(reader.mistakes) == before else None
