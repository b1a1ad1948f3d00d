"""Bad days with a home gateway, real servers and processes: killed, cut off for long, taken over and given back."""

from __future__ import annotations

import json
import time
from contextlib import closing
from random import Random

from lora_post.config import load_config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.errors import FleetError
from lora_post.fleet.home.by_hand import hand_over
from lora_post.fleet.hub.link import Link
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.model import Device
from tests.fleet.bad_days import PATIENCE_S, Fleet, Part, SentDown
from tests.support.hurried_fleet import sent_file
from tests.support.nats_servers import Nodes
from tests.support.relay import Relay

AWAY_S = (5.0, 60.0)
HELD_S = (2.0, 20.0)
HAND_S = 5.0


class HomeFleet(Fleet):
    """A fleet with a home gateway."""

    HOME = "h.x"
    KINDS = (*Fleet.KINDS, "home", "home", "away", "hand-over", "hand-over")
    HELD_BACK_S = 15.0 + AWAY_S[1]

    def __init__(self, nodes: Nodes, gateways: list[Part], workers: list[Part], relays: list[Relay]) -> None:
        super().__init__(nodes, gateways, workers, relays)
        self._home = gateways[-1]
        self._held: set[str] = set()
        self._devices = [each for each in load_config(workers[0].config).devices if each.home]

    def do(self, kind: str, chance: Random) -> None:
        name = self._home.config.name
        if kind == "home" and not self.is_busy(name):
            self.counts["homes"] += 1
            self._home.kill()
            self.after(chance.choice((0.5, 20.0)), name, self._home.start)
        elif kind == "away":
            self.cut(len(self.relays) - 1, chance.uniform(*AWAY_S))
        elif kind == "hand-over":
            device = chance.choice(self._devices)
            if not self.is_busy(device.id) and self._hand_over(device, to_workers=True, seconds=HAND_S):
                self.counts["hand-overs"] += 1
                self._held.add(device.id)
                self.after(chance.uniform(*HELD_S), device.id, lambda: self._give_back(device))
        else:
            super().do(kind, chance)

    def let_be(self) -> None:
        """Give everything back."""
        deadline = time.monotonic() + PATIENCE_S
        while self._held and time.monotonic() < deadline:
            for device in self._devices:
                self._give_back(device, again=False)

    def sent(self) -> list[SentDown]:
        """Return what the home gateway has sent, valid at the hub or not."""
        try:
            lines = sent_file(self._home.config.with_suffix(".db")).read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(device, fcnt, bytes.fromhex(data)) for device, fcnt, data in map(json.loads, lines)]

    def _give_back(self, device: Device, *, again: bool = True) -> None:
        if device.id in self._held and self._hand_over(device, to_workers=False, seconds=HAND_S):
            self._held.discard(device.id)
        elif device.id in self._held and again:
            self.after(1.0, device.id, lambda: self._give_back(device))

    def _hand_over(self, device: Device, *, to_workers: bool, seconds: float) -> bool:
        fleet = FleetConfig(tuple(self.nodes.urls), frozenset({Role.WORKER}), replicas=len(self.nodes.urls))
        with closing(Link(fleet, "hand")) as link:
            try:
                return link.wait(seconds) and bool(hand_over(link, NatsLog(link), device, to_workers=to_workers))
            except FleetError:
                return False
