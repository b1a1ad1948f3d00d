"""What a codec's files tell beside its results."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct


class Hints(Struct, frozen=True):
    """What is known of a codec's values.

    states: the number that a text stands for, see `states`. units: symbols of `UNITS` by the name of a value.
    """

    states: Mapping[str, int | bool] = MappingProxyType({})
    units: Mapping[str, str] = MappingProxyType({})


NO_HINTS: Final = Hints()
