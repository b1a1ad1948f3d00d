"""Share partitions among workers; two on one cost void entries, nothing else.

A lease lasts as long as its holder says something, and is written only when it changes hands: each write costs every
server an fsync. Nobody's clock is believed: who was not heard for a while, by the clock of who looks, is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from lora_post.fleet.hub.subjects import PARTS

STEP_S: Final = 1.5
OVER_S: Final = 6.0
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
        new = {part for part, sign in leases.items() if self._is_fresh("lease", str(part), sign, now)}
        valid = {part: sign.holder for part, sign in leases.items() if sign.holder in alive or part in new}
        share = -(-PARTS // len(alive))
        mine = sorted(part for part, holder in valid.items() if holder == self._name)
        free = [part for part in range(PARTS) if valid.get(part, FREE) == FREE]
        given, taken = mine[share:], free[: max(0, share - len(mine))]
        self.held = frozenset([*mine[:share], *taken])
        return dict.fromkeys(taken, self._name) | dict.fromkeys(given, FREE)

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
