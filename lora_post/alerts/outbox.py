"""Gather what one recipient has still to be told: after an outage one message, not a thousand.

An alert that comes and goes while nothing can be sent is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Generic

from msgspec import Struct

from lora_post.alerts.book import Alert, Time
from lora_post.times import NEVER, SteadyUs

GATHER_US: Final = 60_000_000
"""How long other changes are waited for after the first: trouble seldom comes alone."""


class Digest(Struct, Generic[Time], frozen=True):
    """One message: what is new, what is over, and what still stands."""

    raised: tuple[Alert[Time], ...]
    cleared: tuple[Alert[Time], ...]
    standing: tuple[Alert[Time], ...]


class Outbox:
    """The alerts on their way to one recipient."""

    def __init__(self, news: Iterable[Alert[SteadyUs]] = ()) -> None:
        """Begin with news that the last run could not tell."""
        self._news = {alert.key: alert for alert in news}
        self._since_us = NEVER

    def put(self, changed: Iterable[Alert[SteadyUs]], now_us: SteadyUs) -> None:
        """Take in alerts that were raised or cleared."""
        for alert in changed:
            if not self._news:
                self._since_us = now_us
            self._news[alert.key] = alert

    def news(self) -> list[Alert[SteadyUs]]:
        """Return what has still to be told."""
        return list(self._news.values())

    def digest(self, standing: Mapping[str, Alert[SteadyUs]], now_us: SteadyUs) -> Digest[SteadyUs] | None:
        """Return what is to be told now, None when nothing is, or more may come. standing: all raised alerts."""
        if not self._news or now_us - self._since_us < GATHER_US:
            return None
        news = self._news.values()
        return Digest(
            raised=tuple(alert for alert in news if not alert.cleared_us),
            cleared=tuple(alert for alert in news if alert.cleared_us),
            standing=tuple(alert for key, alert in standing.items() if key not in self._news),
        )

    def told(self) -> None:
        """Forget the news: the digest has arrived."""
        self._news.clear()
