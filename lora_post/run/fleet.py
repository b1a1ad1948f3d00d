"""A run that is a part of a fleet: gateway, worker, uploader, or several of them."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from threading import Event, Thread
from typing import Final, Protocol

from msgspec.structs import replace

from lora_post import __version__
from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.clocks.system import SystemClock
from lora_post.config import Config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.errors import ConfigError, Fault, defect
from lora_post.fleet.gateway.frame_keeper import FrameKeeper, Room
from lora_post.fleet.gateway.publisher import Patience, Publisher, store_of
from lora_post.fleet.home.answering import Answering
from lora_post.fleet.home.leaving import Leaving
from lora_post.fleet.hub.downlinks import WayBack
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.subjects import token
from lora_post.fleet.judging.desk import Answers
from lora_post.fleet.judging.judge import Judge
from lora_post.fleet.log.inheritance import inherited
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.status import Watch
from lora_post.fleet.uploader.errands import Errands
from lora_post.fleet.uploader.feed import Feed
from lora_post.fleet.uploader.turns import Turn
from lora_post.fleet.worker.worker import Worker
from lora_post.inputs import Input
from lora_post.metrics import Metrics
from lora_post.observed.signs import Signs
from lora_post.run.delivery import EXIT_QUEUED, Delivery, moment, open_delivery
from lora_post.run.home import Home
from lora_post.run.ingest import pump_all
from lora_post.run.live import EXIT_BROKEN, Oversight, following
from lora_post.run.outcome_log import OutcomeLog, lacks_frames
from lora_post.run.readmit import read_again
from lora_post.run.reload import Followed
from lora_post.run.settings import watching_settings
from lora_post.spool import frames, told
from lora_post.spool.joins import load_joins
from lora_post.spool.rescue import open_spool
from lora_post.spool.sessions import load_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import wait_text
from lora_post.uplink.model import Decode, Report
from lora_post.uplink.outcome import Outcome

log = logging.getLogger("lora_post")

HUB: Final = "hub"
BEAT_S: Final = 60.0
JOIN_S: Final = 8.0
POLL_S: Final = 0.2


def run_fleet(
    config: Config,
    fleet: FleetConfig,
    decode: Decode,
    metrics: Metrics,
    inputs: Sequence[tuple[Input, Times]],
    stop: Event,
    drain_timeout_s: float,
    followed: Followed,
    patience: Patience | None = None,
) -> int:
    """Run the roles of the configuration until `stop`, or until all inputs of a gateway have ended; return the code.

    followed: how to take changes of devices and decoders over; a gateway has none.
    Raises ConfigError, SpoolError.
    """
    oversight = Oversight(config, metrics, [input_ for input_, _ in inputs])
    write_log = OutcomeLog()

    def hear(outcome: Outcome) -> None:
        oversight.site.hear(outcome)
        write_log(outcome)

    open_spool(config.spool_path).close()
    with (
        closing(Link(fleet, config.gateway_id)) as link,
        _uploads(config, decode, metrics, oversight, hear, fleet) as delivery,
    ):
        clock = delivery.clock if delivery else GatewayClock(SystemClock())
        destinations = delivery.destinations if delivery else tuple
        with (
            oversight.over(destinations, clock),
            _Parts(config, link, oversight.signs) as parts,
            ExitStack() as stack,
        ):
            log.info("started fleet=%s gateway=%s", ",".join(sorted(fleet.roles)), config.gateway_id)
            source, network, worker, answering = NatsLog(link), config.network, None, None
            if delivery:
                device, own = config.site.devices.get, parts.connected()
                me = Turn(config.gateway_id, store_of(own))
                errands = Errands(link, own, me.store, device, partial(moment, clock))
                parts.start("feed", Feed(link, source, delivery.ledger, own, device, me, delivery.hear, errands))
            if Role.WORKER in fleet.roles:
                listener = _without_reports(hear) if delivery else hear
                own = parts.connected()
                with own.transaction() as db:
                    counters, joins, settings = load_sessions(db), load_joins(db), told.load(db)
                net_id = network.net_id if network else 0
                states = inherited(config.devices, counters, joins, net_id, settings)
                answers = Answers(network, partial(moment, clock), metrics, clock.stamp_us) if network else None
                judge = Judge(config.devices, decode, answers)
                answering = Answering(link, source, config.devices, fleet.takeover_after_s)
                parts.start("homes", answering)
                leaving = Leaving(link, source, answering)
                name = f"{token(config.gateway_id)}-{secrets.token_hex(4)}"
                worker = Worker(link, source, own, judge, name, fleet.replicas, metrics, listener, states, leaving)
                parts.start("worker", worker)
            if fleet.roles - {Role.GATEWAY, Role.HOME}:
                followed.changed.tell = oversight.site.forget_undecoded
                use = partial(_use, config, oversight, delivery, worker, answering)
                stack.enter_context(following(followed, use, oversight.signs))
                watch = Watch(link, parts.connected())
                oversight.fleet = lambda: watch.lines
                parts.start("watch", watch)
            if Role.GATEWAY not in fleet.roles:
                stop.wait()
                return 0
            own = parts.connected()
            way_back = WayBack(DutyCycle(network.region), [each for each, _ in inputs]) if network else None
            publisher = Publisher(link, own, config.gateway_id, clock, __version__, patience or Patience(), way_back)
            store = store_of(own)
            parts.start("publish", publisher)
            room = Room(config.spool_max_bytes, config.spool_when_full)
            home = None
            if Role.HOME in fleet.roles:
                own, to_hub = parts.connected(), publisher.arrived
                home = Home(config, link, own, store, room, clock, decode, metrics, hear, way_back, to_hub)
                parts.start("home", home.service)
                parts.start("mirror", home.mirroring)
                oversight.fleet = lambda: home.lines if home else ()
                stack.enter_context(following(followed, partial(_use_at_home, oversight, home), oversight.signs))
            own = parts.connected()
            takes = (home.service.may_be_mine, home.service.arrived) if home else ()
            keeper = FrameKeeper(own, config.gateway_id, room, clock, metrics, hear, publisher.arrived, *takes)
            broken = pump_all(inputs, keeper, stop, oversight.signs)
            waiting = _drain(parts.connected(), stop, drain_timeout_s)
            if waiting:
                log.warning("%s in the spool for the hub", wait_text(waiting, "frame"))
    return EXIT_BROKEN if broken or lacks_frames(metrics) else EXIT_QUEUED if waiting and not stop.is_set() else 0


def _use(
    config: Config,
    oversight: Oversight,
    delivery: Delivery | None,
    worker: Worker | None,
    answering: Answering | None,
    changed: Config,
    decode: Decode,
) -> None:
    """Take devices and decoders over."""
    oversight.site.use(changed.devices)
    if answering:
        answering.use(changed.devices)
    if worker:
        worker.use(changed.devices, decode)
    if delivery:
        with delivery.using(changed, decode):
            read_again(replace(config, devices=changed.devices), decode)


def _use_at_home(oversight: Oversight, home: Home, changed: Config, decode: Decode) -> None:
    """Take devices and decoders over."""
    oversight.site.use(changed.devices)
    home.use(changed.devices, decode)


class _Part(Protocol):
    def run(self, stop: Event, beat: Callable[[], None]) -> None: ...


class _Parts:
    """The threads of the roles, with their connections to the spool; they end with the `with` block."""

    def __init__(self, config: Config, link: Link, signs: Signs) -> None:
        self._path = config.spool_path
        self._link = link
        self._signs = signs
        self._over = Event()
        self._threads: list[Thread] = []
        self._files: list[SpoolFile] = []

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(JOIN_S)
        if not any(thread.is_alive() for thread in self._threads):
            for each in self._files:
                each.close()

    def connected(self) -> SpoolFile:
        """Return another connection to the spool."""
        self._files.append(SpoolFile(self._path))
        return self._files[-1]

    def start(self, name: str, part: _Part) -> None:
        """Start the thread of a role."""
        self._threads.append(Thread(target=self._run, args=(name, part), name=name, daemon=True))
        self._threads[-1].start()

    def _run(self, name: str, part: _Part) -> None:
        def beat() -> None:
            self._signs.heartbeats.beat(name, BEAT_S)
            self._signs.troubles.tell(HUB, self._link.trouble)

        try:
            part.run(self._over, beat)
        except Exception as error:
            log.exception("%s has stopped over a defect", name)
            self._signs.troubles.tell(name, Fault(f"has stopped: {defect(error)}", "restart lora-post"))
        finally:
            self._signs.heartbeats.end(name)


def _drain(spool_file: SpoolFile, stop: Event, timeout_s: float) -> int:
    """Wait until the hub is done with everything, the time is over, or `stop`; return how many frames wait."""
    deadline = time.monotonic() + timeout_s
    while (waiting := frames.counts(spool_file).waiting) and time.monotonic() < deadline:
        if stop.wait(POLL_S):
            break
    return waiting


@contextmanager
def _uploads(
    config: Config,
    decode: Decode,
    metrics: Metrics,
    oversight: Oversight,
    hear: Callable[[Outcome], None],
    fleet: FleetConfig,
) -> Iterator[Delivery | None]:
    """Upload what is in the spool as long as the block runs, in the role of an uploader; gives None in others."""
    if Role.UPLOADER not in fleet.roles:
        yield None
        return
    if not config.destinations:
        raise ConfigError(f"{config.path}: an uploader has nowhere to send to", fix="add a destination, as [waziup]")
    heartbeats = oversight.signs.heartbeats
    delivery = open_delivery(config, decode, metrics, hear, steady=oversight.clock, heartbeats=heartbeats)
    now = partial(moment, delivery.clock)
    with delivery, watching_settings(config, delivery.announced, now, heartbeats):
        yield delivery


def _without_reports(hear: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
    def told(outcome: Outcome) -> None:
        if not isinstance(outcome, Report):
            hear(outcome)

    return told
