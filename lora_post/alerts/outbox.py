"""What one recipient has still to be told. After an outage that is one message, not a thousand.

Changes are gathered for a while, and an alert that comes and goes while nothing can be sent is told of once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from lora_post.alerts.book import Alert

GATHER_US: Final = 60_000_000
"""Trouble seldom comes alone; so long after the first change the others are told along with it."""
MAX_NEWS: Final = 1000


class Digest(Struct, frozen=True):
    """One message: what is new, what is over, and what is still so."""

    raised: tuple[Alert, ...]
    cleared: tuple[Alert, ...]
    standing: tuple[Alert, ...]


class Outbox:
    """Alerts on their way to one recipient."""

    def __init__(self, news: Iterable[Alert] = ()) -> None:
        """news: what the last run did not get told."""
        self._news = {alert.key: alert for alert in news}
        self._since_us = 0

    def put(self, changed: Iterable[Alert], now_us: int) -> None:
        """Alerts that were raised or cleared."""
        for alert in changed:
            if not self._news:
                self._since_us = now_us
            if alert.key in self._news or len(self._news) < MAX_NEWS:
                self._news[alert.key] = alert

    def news(self) -> list[Alert]:
        """What has still to be told."""
        return list(self._news.values())

    def digest(self, standing: Mapping[str, Alert], now_us: int) -> Digest | None:
        """What is to be told now, None when there is nothing or more may be coming. standing: all that are raised."""
        if not self._news or now_us - self._since_us < GATHER_US:
            return None
        news = self._news.values()
        return Digest(
            raised=tuple(alert for alert in news if not alert.cleared_us),
            cleared=tuple(alert for alert in news if alert.cleared_us),
            standing=tuple(alert for key, alert in standing.items() if key not in self._news),
        )

    def told(self) -> None:
        """The digest has arrived."""
        self._news.clear()
