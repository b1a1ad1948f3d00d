"""A cost at one size: what is set up once, prepared each time, and measured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from msgspec import Struct

Work = Callable[[], object]
Prepare = Callable[[], tuple[Work, int]]
"""Gives the work to be measured, and how many operations it is."""


class Cost(Struct, frozen=True):
    """One line of the table. of_all: of everything there is, not of one thing. most: there is a bound at more."""

    name: str
    open: Callable[[Path, int], AbstractContextManager[Prepare]]
    of_all: bool = False
    most: int = 1_000_000
