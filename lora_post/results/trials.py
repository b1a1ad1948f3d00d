"""Which of a codec's own values a normalised one comes from, found by changing one after the other."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

Path: TypeAlias = tuple[str | int, ...]
Leaf: TypeAlias = bool | int | float | str


class Effect(Struct, frozen=True, array_like=True):
    """What becomes of one normalised value. path: where it is. before, after: None where it is not there."""

    path: Path
    before: Leaf | None
    after: Leaf | None


class Trial(Struct, frozen=True, array_like=True):
    """One of the codec's own values, changed. path: where it is. before, after: the value. effects: what changed."""

    path: Path
    before: Leaf
    after: Leaf
    effects: tuple[Effect, ...]
