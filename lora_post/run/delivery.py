"""The spool, the pipeline and the destinations of one running lora-post, put together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from shlex import quote
from threading import Event

from msgspec import Struct

from lora_post.clocks.gateway import GatewayClock
from lora_post.clocks.steady import SteadyClock
from lora_post.clocks.system import System, SystemClock
from lora_post.command import Moment
from lora_post.config import Config
from lora_post.downlink.commands import Commands
from lora_post.downlink.duty_cycle import AirTime, DutyCycle
from lora_post.downlink.network_server import network_server
from lora_post.downlink.through_servers import ServerQueue, ThroughServers
from lora_post.errors import ConfigError, Problem, SpoolError
from lora_post.metrics import Metrics
from lora_post.observed.run_state import DestinationState
from lora_post.observed.signs import Heartbeats
from lora_post.run.doctor import Doctor
from lora_post.run.late_decoding import LateDecoding
from lora_post.run.outcome_log import left_behind, summary
from lora_post.run.pipeline import Pipeline
from lora_post.run.upload_thread import Outlet, UploadThread, open_outlet
from lora_post.sinks import SINKS
from lora_post.sinks.announced import Announced
from lora_post.spool import accepted, lanes, strangers
from lora_post.spool.arrivals import Arrivals
from lora_post.spool.boots import BootBook
from lora_post.spool.facts import Facts
from lora_post.spool.late_ledger import LateLedger
from lora_post.spool.ledger import AIR_TIME, SpoolLedger
from lora_post.spool.queue import Counts, Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.rescue import open_spool, replace_damaged
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import held_by_sink
from lora_post.text import wait_text
from lora_post.uplink.model import Decode, Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.telling import Telling
from lora_post.upload.allowance import UploadAllowance
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.server_time import ServerTime, TimedSink
from lora_post.upload.uploader import Uploader

log = logging.getLogger("lora_post")

EXIT_QUEUED = 75  # EX_TEMPFAIL of sysexits.h: try again later

JOIN_S = 5.0
POLL_S = 0.1
LOOK_SHARE = 10  # so many times as long as a look is the wait after it


class Delivery(Struct, frozen=True):
    """Everything between the parsers and the servers; uploads while its `with` block runs.

    view: a connection to the spool for whoever asks; the pipeline and each upload have one of their own.
    stop: ends the uploads. hear: takes outcomes that another part has kept, as the pipeline gives its own.
    announced: what devices say that they can be told. late: decodes behind the answers, where devices are answered.
    air_time: tells what gateways have sent.
    """

    config: Config
    pipeline: Pipeline
    ledger: SpoolLedger
    uploads: tuple[UploadThread, ...]
    clock: GatewayClock
    view: SpoolFile
    stop: Event
    hear: Callable[[Outcome], None]
    announced: Announced
    doctor: Doctor
    late: LateDecoding | None = None
    air_time: Callable[[], Iterable[AirTime]] = tuple

    def __enter__(self) -> Delivery:
        log.info(
            "started gateway=%s devices=%d spool=%s destinations=%s",
            self.config.gateway_id,
            len(self.config.devices),
            self.config.spool_path,
            ",".join(self.config.destinations),
        )
        for line in self._left_over():
            log.warning("%s", line)
        if self.late:
            self.late.start()
        for upload in self.uploads:
            upload.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Let the requests under way finish, but not for long: the next start asks what has arrived."""
        self.stop.set()
        for upload in self.uploads:
            upload.wake()
        deadline = time.monotonic() + JOIN_S
        if self.late:
            self.late.finish(JOIN_S)
        try:
            self.ledger.finish()
        except SpoolError as error:
            log.error("%s", error)
        for upload in self.uploads:
            upload.finish(deadline)

    @contextmanager
    def using(self, config: Config, decode: Decode) -> Iterator[None]:
        """Accept, decode and declare the devices of this configuration from now on; their counters go on.

        While the block runs, nothing is accepted but what it hands to the pipeline.
        """
        devices = config.devices
        self.doctor.left_out = config.senders_left_out
        self.config.site.devices.use(devices)
        with self.pipeline.using(decode):
            self.ledger.use(devices)
            if self.late:
                self.late.use(devices, decode)
            yield

    def drain(self, timeout_s: float, stop: Event) -> None:
        """Wait until everything that can go out has gone, the time is over, or `stop` is set."""
        for upload in self.uploads:
            upload.hold_no_longer()
        deadline = time.monotonic() + timeout_s
        while self.late and not self.late.wait(POLL_S) and not stop.is_set() and time.monotonic() < deadline:
            pass
        said = ""
        while (began := time.monotonic()) < deadline:
            try:
                if not self._has_work():
                    return
            except SpoolError as error:
                if str(error) != said:
                    said = str(error)
                    log.error("%s", error)
            # A look takes longer the more readings wait for other destinations.
            if stop.wait(max(POLL_S, LOOK_SHARE * (time.monotonic() - began))):
                return

    def _has_work(self) -> bool:
        """Tell whether a destination is owed readings that may go out. Raises SpoolError."""
        return any(Queue(self.view, upload.name).is_owing() and not upload.is_closed() for upload in self.uploads)

    def _left_over(self) -> list[str]:
        """Return what waits for destinations that have left the configuration, one line each."""
        return [
            f"{name}: {wait_text(count, 'reading')} for a destination that is no longer in the configuration; "
            f"put [{name}] back, or delete them: lora-post spool drop --destination {quote(name)}"
            for name, count in sorted(held_by_sink(self.view).items())
            if name not in self.config.destinations
        ]

    def sum_up(self, stop: Event) -> int:
        """Write the totals and what stays queued to the log; return the exit code.

        stop: whether the run was ended early.
        """
        log.info("%s", summary(self.pipeline.metrics))
        errors = self.last_errors()
        held = {name: counts for name, counts in self.counts().items() if counts.undelivered}
        for name, counts in held.items():
            log.warning("%s: %s", name, left_behind(counts, errors[name]))
        return EXIT_QUEUED if held and not stop.is_set() else 0

    def counts(self) -> dict[str, Counts]:
        """Return what is still in the spool for each destination."""
        return {upload.name: Queue(self.view, upload.name).counts() for upload in self.uploads}

    def last_errors(self) -> dict[str, Problem | None]:
        """Return why each destination waits, None when it does not."""
        return {upload.name: upload.last_error for upload in self.uploads}

    def destinations(self) -> list[DestinationState]:
        """Return the state of each queue; for one thread at a time."""
        with closing(SpoolFile(self.view.path)) as spool_file:
            return [upload.state(spool_file) for upload in self.uploads]


def open_delivery(
    config: Config,
    decode: Decode,
    metrics: Metrics,
    listener: Callable[[Outcome], None],
    *,
    system: System | None = None,
    steady: SteadyClock | None = None,
    heartbeats: Heartbeats | None = None,
    policy: UploadPolicy | None = None,
    server_queues: Callable[[], Sequence[ServerQueue]] | None = None,
) -> Delivery:
    """Open the spool and a sink for each configured destination. Raises ConfigError, SpoolError.

    listener: told of each outcome once it is kept. system: the machine's clocks, when they are not this machine's.
    steady: is to follow the gateway's clock. heartbeats: of the uploads. policy: None for the usual one.
    server_queues: those of network servers; None where nothing is given to them.
    """
    if not config.destinations:
        tables = ", ".join(f"[{name}]" for name in SINKS)
        raise ConfigError(f"{config.path}: there is nowhere to send to", fix=f"add one of {tables}, or use --dry-run")
    clock = GatewayClock(system or SystemClock())
    steady = steady or SteadyClock()
    steady.follow(clock.wall_us)
    heartbeats = heartbeats or Heartbeats()
    time_ = ServerTime(clock, BootBook(clock))
    announced, stop = Announced(), Event()
    arrivals = Arrivals()
    ledger = _open_ledger(config, time_.boots, arrivals)
    outlets = [
        open_outlet(
            name, config, SpoolFile(config.spool_path, replace_damaged), announced, time_.on_date, heartbeats, arrivals
        )
        for name in config.destinations
    ]
    is_time_told = any(outlet.sink.ask_time for outlet in outlets)

    def upload(outlet: Outlet) -> UploadThread:
        allowance = None
        if SINKS[outlet.name].is_metered:
            allowance = UploadAllowance(config.upload, outlet.traffic, outlet.spool_file, outlet.name)
        # Readings wait for their time as long as another sink may learn it.
        ask_time = outlet.sink.ask_time or (None if is_time_told else _ask_nobody)
        sink = TimedSink(outlet.sink, time_, outlet.spool_file, outlet.queue, ask_time)
        uploader = Uploader(outlet.queue, sink, metrics, allowance, steady, policy)
        return UploadThread(outlet, uploader, allowance, stop, heartbeats)

    uploads = tuple(map(upload, outlets))

    def hear(outcome: Outcome) -> None:
        if isinstance(outcome, Report):
            announced.hear(outcome)
        for each in uploads:
            each.wake()
        listener(outcome)

    network = config.network
    server = network_server(network, partial(moment, clock), metrics, clock.stamp_us) if network else None
    view = SpoolFile(config.spool_path, replace_damaged)
    if server:
        _restore_air_time(server.duty_cycle, Facts(view, AIR_TIME), moment(clock))
    late = None
    if server or accepted.last_id(view.db):
        spool_file = SpoolFile(config.spool_path, replace_damaged)
        ledger.leave_checkpoints()
        late_ledger = LateLedger(spool_file, config.devices, _writer(config, spool_file, arrivals))
        late = LateDecoding(late_ledger, config.devices, decode, Telling(metrics, hear), heartbeats, Doctor())
    through = None
    if server_queues:
        commands = server.commands if server else Commands(partial(moment, clock), metrics, clock.stamp_us)
        through = ThroughServers(commands, server_queues)
    doctor = Doctor(config.senders_left_out)
    pipeline = Pipeline(ledger, decode, metrics, hear, clock, doctor, server, late, through)
    air_time = server.duty_cycle.used if server else tuple
    return Delivery(config, pipeline, ledger, uploads, clock, view, stop, hear, announced, doctor, late, air_time)


def _restore_air_time(duty_cycle: DutyCycle, facts: Facts, now: Moment) -> None:
    """Go on counting what was sent before the start. Raises SpoolError."""
    facts.change(dict.fromkeys(duty_cycle.restore(facts.recall(), now)))


def moment(clock: GatewayClock) -> Moment:
    """Return the time by the gateway's clock."""
    return Moment(clock.wall_us(), clock.boot_id, clock.boot_us())


def _ask_nobody() -> None:
    """Do nothing: only the system clock tells the time."""


def _open_ledger(config: Config, boots: BootBook, arrivals: Arrivals) -> SpoolLedger:
    spool_file = open_spool(config.spool_path)
    with spool_file.transaction() as db:
        boots.enter(db)
        lanes.forget_devices(db, {device.id for device in config.devices})
        if not config.keep_strangers:
            strangers.forget_all(db)
    writer = _writer(config, spool_file, arrivals)
    return SpoolLedger(spool_file, config.devices, writer, boots, keep_strangers=config.keep_strangers)


def _writer(config: Config, spool_file: SpoolFile, arrivals: Arrivals) -> QueueWriter:
    return QueueWriter(spool_file, config.destinations, config.spool_max_bytes, config.spool_when_full, arrivals)
