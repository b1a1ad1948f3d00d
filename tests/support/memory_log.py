"""A log in memory, for tests of what is decided by it; with the faults that servers and links have."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from lora_post.fleet.log.log import Logged

OK, ACK_LOST, NOT_STORED, STORED_LATER = range(4)


class MemoryLog:
    """Entries in one order."""

    def __init__(self) -> None:
        self.entries: list[Logged] = []
        self.delayed: list[tuple[str, bytes]] = []

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        return [self._store(*entry) for entry in entries]

    def _store(self, subject: str, data: bytes) -> int:
        position = self.entries[-1].position + 1 if self.entries else 1
        self.entries.append(Logged(position, subject, data))
        return position

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        first = bisect_right(self.entries, after, key=lambda each: each.position)
        return [each for each in self.entries[first:] if each.subject.startswith(prefix)]

    def tail(self, prefix: str, after: int, timeout_s: float) -> Sequence[Logged]:
        return self.read(prefix, after)

    def trim(self, subject: str, before: int) -> None:
        self.entries = [each for each in self.entries if each.subject != subject or each.position >= before]

    def begin(self, subject: str, data: bytes) -> None:
        last = self.entries[-1].position if self.entries else 0
        self.entries = [each for each in self.entries if each.subject != subject]
        self.entries.append(Logged(last + 1, subject, data))

    def used_bytes(self) -> int:
        return sum(len(each.data) for each in self.entries)

    def longest(self, limit: int, *, newest: bool) -> Sequence[Logged]:
        count = Counter(each.subject for each in self.entries)
        subject = count.most_common(1)[0][0]
        found = [each for each in self.entries if each.subject == subject]
        limit = min(limit, len(found) // 2)
        return found[len(found) - limit :] if newest else found[:limit]

    def join(self, entries: Sequence[Logged], data: bytes) -> None:
        first, last = entries[0], entries[-1]
        self.entries = [
            replace(each, data=data) if each.position == last.position else each
            for each in self.entries
            if each.subject != last.subject or not first.position <= each.position < last.position
        ]

    def flush(self) -> None:
        """Store what was under way for long."""
        while self.delayed:
            self._store(*self.delayed.pop(0))


class FaultyLog:
    """The same log, as one worker reaches it: acknowledgements get lost, entries arrive late, reads are stale."""

    def __init__(self, log: MemoryLog, step: Callable[[], None], chance: Callable[[int], int]) -> None:
        """step: is called between any two things that happen; may raise. chance(n): returns one of n."""
        self._log = log
        self._step = step
        self._chance = chance

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        places: list[int | None] = []
        for entry in entries:
            self._step()
            fault = self._chance(4)
            place = None
            if fault in (OK, ACK_LOST):
                (place,) = self._log.append([entry])
            elif fault == STORED_LATER:
                self._log.delayed.append(entry)
            places.append(place if fault == OK else None)
            self._step()
        return places

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        self._step()
        if self._log.delayed and self._chance(2):
            self._log.flush()
        found = self._log.read(prefix, after)
        return found[: len(found) - self._chance(3)] if found else []

    def tail(self, prefix: str, after: int, timeout_s: float) -> Sequence[Logged]:
        return self.read(prefix, after)

    def trim(self, subject: str, before: int) -> None:
        self._log.trim(subject, before)
