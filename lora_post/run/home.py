"""The part of a run that decides about a home gateway's own devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lora_post.clocks.gateway import GatewayClock
from lora_post.config import Config
from lora_post.fleet.gateway.frame_keeper import Room
from lora_post.fleet.home.book import log_path, opened_log
from lora_post.fleet.home.hub_link import HubEnd, Mirroring
from lora_post.fleet.home.mending import mend
from lora_post.fleet.home.mirror import Mirror
from lora_post.fleet.home.owners import owner_lines
from lora_post.fleet.home.service import HomeService
from lora_post.fleet.hub.downlinks import WayBack
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.desk import Answers
from lora_post.fleet.judging.judge import Judge
from lora_post.fleet.log.inheritance import inherited
from lora_post.metrics import Metrics
from lora_post.model import Device
from lora_post.run.delivery import moment
from lora_post.spool import told
from lora_post.spool.joins import load_joins
from lora_post.spool.sessions import load_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural
from lora_post.uplink.model import Decode
from lora_post.uplink.outcome import Outcome


class Home:
    """Both threads of a home gateway, not started: `service` decides, `mirroring` has the hub know of it."""

    def __init__(
        self,
        config: Config,
        link: Link,
        spool_file: SpoolFile,
        store: str,
        room: Room,
        clock: GatewayClock,
        decode: Decode,
        metrics: Metrics,
        hear: Callable[[Outcome], None],
        way_back: WayBack | None,
        to_hub: Callable[[Sequence[int]], None],
    ) -> None:
        """spool_file: a connection for `service` alone. store: see `store_of`. to_hub: see `HomeService`."""
        gateway, devices, network = config.gateway_id, config.devices, config.network
        now = partial(moment, clock)
        answers = Answers(network, now, metrics, clock.stamp_us) if network else None
        judge = Judge(devices, decode, answers, owner=gateway)
        with spool_file.transaction() as db:
            counters, joins, settings = load_sessions(db), load_joins(db), told.load(db)
        states = inherited(devices, counters, joins, network.net_id if network else 0, settings)
        self._count = len(devices)
        lost = mend(log_path(config.spool_path))
        logs = [opened_log(config.spool_path) for _ in range(2)]  # one for each thread
        self.service = HomeService(
            logs[0], judge, devices, spool_file, gateway, store, room, clock, now, metrics, hear, way_back, to_hub
        )
        self.service.decide_again(lost)
        subjects = map(log_subject, devices)
        self._mirror = Mirror(logs[1], HubEnd(link, gateway), self.service, gateway, subjects, states)
        self.mirroring = Mirroring(link, self._mirror, gateway, self.service.offered)

    def use(self, devices: Sequence[Device], decode: Decode) -> None:
        """Take changed devices over; for any thread."""
        self._count = len(devices)
        self.service.use(devices, decode)
        subjects = [log_subject(device) for device in devices]
        self.mirroring.change = lambda: self._mirror.use(subjects)

    @property
    def lines(self) -> list[str]:
        """Return what it is at, in words."""
        waiting = self._mirror.waiting
        behind = f"entries that the hub does not have: {waiting}" if waiting else "the hub has all of it"
        return [f"home of {plural(self._count, 'device')}; {behind}", *owner_lines(self.service.owners)]
