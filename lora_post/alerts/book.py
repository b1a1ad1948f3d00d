"""Raise an alert for what persists long enough, and clear it once its cause has stayed away long enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from lora_post.alerts.rules import Condition
from lora_post.errors import Problem
from lora_post.times import NEVER, SteadyUs, WallUs

CLEAR_AFTER_US: Final = 300_000_000
"""An alert ends when its cause has stayed away for so long: trouble that comes and goes is one alert."""


Time = TypeVar("Time", SteadyUs, WallUs)


class Alert(Struct, Generic[Time], frozen=True):
    """An alert that is raised, or was. cleared_us: 0 while it is.

    Its times are on the steady clock of this run; on the wall clock in what people read and what outlives the run.
    """

    key: str
    text: str
    raised_us: Time
    cleared_us: Time
    fix: str = ""

    @property
    def problem(self) -> Problem:
        """What is wrong, and what to do."""
        return Problem(self.text, self.fix)


class AlertBook:
    """Alerts of one run; `raised` may come from an earlier one. Not shared between threads."""

    def __init__(self, raised: Iterable[Alert[SteadyUs]] = ()) -> None:
        self.raised = {alert.key: alert for alert in raised}
        self._pending: dict[str, SteadyUs] = {}
        self._absent: dict[str, SteadyUs] = {}

    def look(self, found: Iterable[Condition], now_us: SteadyUs) -> list[Alert[SteadyUs]]:
        """Take in what is wrong now; return the alerts that were raised or cleared by that."""
        present = {condition.key: condition for condition in found}
        return [*self._raise(present, now_us), *self._clear(present, now_us)]

    def _raise(self, present: dict[str, Condition], now_us: SteadyUs) -> list[Alert[SteadyUs]]:
        changed: list[Alert[SteadyUs]] = []
        self._pending = {key: self._pending.get(key, now_us) for key in present if key not in self.raised}
        for key, since_us in list(self._pending.items()):
            if now_us - since_us >= present[key].after_us:
                del self._pending[key]
                problem = present[key].problem
                self.raised[key] = Alert(key, problem.what, now_us, NEVER, problem.fix)
                changed.append(self.raised[key])
        return changed

    def _clear(self, present: dict[str, Condition], now_us: SteadyUs) -> list[Alert[SteadyUs]]:
        changed: list[Alert[SteadyUs]] = []
        self._absent = {key: self._absent.get(key, now_us) for key in self.raised if key not in present}
        for key, since_us in list(self._absent.items()):
            if now_us - since_us >= CLEAR_AFTER_US:
                changed.append(replace(self.raised.pop(key), cleared_us=now_us))
        return changed
