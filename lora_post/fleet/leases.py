"""Who works on which partition: for efficiency only. Two workers on one cost void entries, nothing else.

Nobody's clock is believed: a lease is over when it was not renewed for a while, by the clock of who looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from lora_post.fleet.subjects import PARTS

STEP_S: Final = 2.0
OVER_S: Final = 8.0
GONE_S: Final = 60.0
FREE: Final = ""


class Sign(Struct, frozen=True):
    """A message as it stands at the hub. position: of it there, another one whenever it is written."""

    position: int
    holder: str


class LeaseBook:
    """What one worker knows of the leases, and what it does about them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}
        self.held: frozenset[int] = frozenset()

    def step(self, leases: Mapping[int, Sign], workers: Mapping[str, Sign], now: float) -> dict[int, str]:
        """Return which leases to write, with their holder; `held` are then those of this worker.

        leases, workers: as they stand. now: monotonic, s.
        """
        alive = {name for name, sign in workers.items() if self._is_fresh("worker", name, sign, now)} | {self._name}
        fresh = {part: sign for part, sign in leases.items() if self._is_fresh("lease", str(part), sign, now)}
        share = -(-PARTS // len(alive))
        mine = sorted(part for part, sign in fresh.items() if sign.holder == self._name)
        free = [part for part in range(PARTS) if part not in fresh or fresh[part].holder == FREE]
        if len(mine) > share:
            given = mine[share:]
            self.held = frozenset(mine[:share])
            return dict.fromkeys(self.held, self._name) | dict.fromkeys(given, FREE)
        self.held = frozenset([*mine, *free[: share - len(mine)]])
        return dict.fromkeys(self.held, self._name)

    def gone(self, now: float) -> list[str]:
        """Return workers that have not said anything for long, each once; what they wrote may be deleted."""
        old = [key for key, (_, since) in self._seen.items() if key[0] == "worker" and now - since > GONE_S]
        for key in old:
            del self._seen[key]
        return [name for _, name in old if name != self._name]

    def _is_fresh(self, kind: str, name: str, sign: Sign, now: float) -> bool:
        position, since = self._seen.get((kind, name), (0, now))
        if position != sign.position:
            since = now
        self._seen[kind, name] = sign.position, since
        return now - since < OVER_S
