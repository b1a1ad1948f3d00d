"""Keep the log small: what all uploaders have read and is older than a week goes, but for each device's newest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lora_post.fleet.log import Log
from lora_post.fleet.view import Read, View
from lora_post.times import WallUs

KEEP_US: Final = 7 * 86_400_000_000
_ALL: Final = "log."


def trim(log: Log, read: int, now_us: WallUs) -> int:
    """Delete old entries up to a position that all uploaders have read; return of how many devices.

    The first retained entry of a device is valid by construction: it is the newest valid one that is old.
    Raises LogUnavailable.
    """
    first: dict[str, int] = {}
    newest: dict[str, int] = {}
    for each in _old(log, read, now_us - KEEP_US):
        first.setdefault(each.logged.subject, each.logged.position)
        if each.is_valid:
            newest[each.logged.subject] = each.logged.position
    found = {subject: position for subject, position in newest.items() if position > first[subject]}
    for subject, position in found.items():
        log.trim(subject, position)
    return len(found)


def _old(log: Log, read: int, until_us: int) -> Iterator[Read]:
    """Yield the entries from the beginning to the first one that is too new."""
    view = View(_ALL)
    while found := log.read(_ALL, view.position):
        for logged in found:
            if logged.position > read:
                return
            each = view.take(logged)
            if each is None:
                continue
            up = each.entry.up
            if up and not up.is_late and up.frame.time_us > until_us:
                return
            yield each
