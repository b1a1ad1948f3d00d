"""Keep the log on the hub: stream LP_LOG of NATS JetStream.

Appends have no condition: replicas judge one apart, and what is right is decided by the fold. Reads for decisions are
answered by the stream's leader.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import takewhile
from typing import Final

import nats.js.errors

from lora_post.fleet.errors import FleetError, LogUnavailable
from lora_post.fleet.hub.link import REQUEST_S, Link, describe
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.streams import LOG

READ_AT_ONCE: Final = 256
READ_TOGETHER: Final = 64
"""So many positions are asked for at one time, at the most: as many as had something of their own, and again as many.

Between two entries of a device are those of all others.
"""
LOOK_EVERY_S: Final = 0.5
APPEND_S: Final = 5.0


class NatsLog:
    """The log, through one link; for any thread."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        """Append entries one by one; return the position of each, None where the outcome is not known.

        Raises LogUnavailable when one was refused, as by a log that is full.
        """
        try:
            answers = self._link.call(self._append(entries), 2 * APPEND_S)
        except FleetError as error:
            raise LogUnavailable(error.what, fix=error.fix) from error
        for answer in answers:
            if isinstance(answer, nats.js.errors.APIError):
                raise LogUnavailable(f"the log refuses entries: {describe(answer)}")
        return [answer if isinstance(answer, int) else None for answer in answers]

    async def _append(self, entries: Sequence[tuple[str, bytes]]) -> list[int | BaseException]:
        async def one(subject: str, data: bytes) -> int:
            return await self._link.inbox.store(subject, data, APPEND_S)

        return await asyncio.gather(*(one(*entry) for entry in entries), return_exceptions=True)

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        """Return the next entries of subjects with this prefix, empty at the end. Raises LogUnavailable.

        prefix: ends with a dot, or is the subject of one device.
        """
        try:
            return self._link.call(self._read(prefix, after), REQUEST_S * 4)
        except FleetError as error:
            raise LogUnavailable(error.what, fix=error.fix) from error

    async def _read(self, prefix: str, after: int) -> list[Logged]:
        found: dict[int, Logged] = {}
        together = 1
        while len(found) < READ_AT_ONCE:
            asked = (self._next(prefix, after + 1 + ahead) for ahead in range(together))
            answers = await asyncio.gather(*asked)
            # What was stored while the end was read may have others before it.
            new = list(takewhile(lambda each: each is not None, answers))
            found |= {each.position: each for each in new if each}
            if len(new) < together:
                break
            after, together = max(found), min(2 * len({each.position for each in new if each}), READ_TOGETHER)
        return sorted(found.values(), key=lambda each: each.position)

    async def _next(self, prefix: str, position: int) -> Logged | None:
        """Return the first entry that stands at a position or behind it, None at the end."""
        subjects = f"{prefix}>" if prefix.endswith(".") else prefix
        found = await self._link.inbox.next(LOG, subjects, position, REQUEST_S)
        return Logged(found.seq, found.subject, found.data) if found else None

    def tail(self, prefix: str, after: int, timeout_s: float) -> Sequence[Logged]:
        """Return what `read` does, and wait for it so long. Raises LogUnavailable."""
        deadline = time.monotonic() + timeout_s
        while not (found := self.read(prefix, after)) and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY_S))
        return found

    def trim(self, subject: str, before: int) -> None:
        """Delete the entries of a subject before a position. Raises LogUnavailable."""
        try:
            self._link.call(self._link.client.jetstream().purge_stream(LOG, seq=before, subject=subject))
        except FleetError as error:
            raise LogUnavailable(error.what, fix=error.fix) from error
