"""The store, the pipeline and the destinations of one running lora-post, put together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event

from lora_post.clocks.gateway import GatewayClock
from lora_post.clocks.steady import SteadyClock
from lora_post.clocks.system import System, SystemClock
from lora_post.config import DESTINATIONS, Config
from lora_post.errors import ConfigError, SpoolError
from lora_post.metrics import Metrics
from lora_post.model import Decode, Report
from lora_post.observed.run_state import DestinationState
from lora_post.observed.signs import Heartbeats
from lora_post.run.destinations import Destination, TimeSource, open_sinks
from lora_post.run.pipeline import Pipeline
from lora_post.sinks.waziup.announced import Announced
from lora_post.spool.boots import BootBook
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Counts, Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.rescue import open_spool, replace_damaged
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import held_by_sink
from lora_post.uplink.outcome import Outcome
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.server_time import ServerTime

log = logging.getLogger(__name__)

JOIN_S = 5.0
POLL_S = 0.1


class Delivery:
    """Everything between the parsers and the servers. Use as a context manager."""

    def __init__(
        self,
        config: Config,
        decode: Decode,
        metrics: Metrics,
        listener: Callable[[Outcome], None],
        system: System | None = None,
        steady: SteadyClock | None = None,
        heartbeats: Heartbeats | None = None,
        policy: UploadPolicy | None = None,
    ) -> None:
        """system: the machine's clocks, when they are not this machine's. steady: is to follow the gateway's clock.

        heartbeats: of the uploaders. policy: of all uploaders, None for the usual one.
        """
        clock = GatewayClock(system or SystemClock())
        steady = steady or SteadyClock()
        steady.follow(clock.wall_us)
        heartbeats = heartbeats or Heartbeats()
        self.clock_trouble = clock.trouble
        boots = BootBook(clock)
        time_ = ServerTime(clock, boots)
        self._announced = Announced()
        sinks = open_sinks(config, self._announced, time_.on_date)
        if not sinks:
            tables = ", ".join(f"[{name}]" for name in DESTINATIONS)
            raise ConfigError(
                f"{config.path}: there is nowhere to send to", fix=f"add one of {tables}, or use --dry-run"
            )
        self._listener = listener
        self._stop = Event()
        self._path = config.spool_path
        writer_store = open_spool(config.spool_path)
        writer = QueueWriter(writer_store, list(sinks), config.spool_max_bytes, config.spool_when_full)
        ledger = SpoolLedger(writer_store, config.devices, writer, boots)
        self.pipeline = Pipeline(ledger, decode, metrics, self._hear, clock)
        with writer_store.transaction() as db:
            boots.enter(db)
        # The threads of the pipeline and of each uploader have a connection each; this one is for whoever asks.
        self._view = SpoolFile(config.spool_path, replace_damaged)
        self._views = {name: Queue(self._view, name) for name in sinks}
        self.each = [
            Destination(
                name,
                make_sink,
                SpoolFile(config.spool_path, replace_damaged),
                metrics,
                self._stop,
                config.upload,
                TimeSource(time_, is_told_elsewhere=config.waziup is not None),
                steady,
                heartbeats,
                policy,
            )
            for name, make_sink in sinks.items()
        ]

    def _hear(self, outcome: Outcome) -> None:
        if isinstance(outcome, Report):
            self._announced.hear(outcome)
        for destination in self.each:
            destination.wake()
        self._listener(outcome)

    def __enter__(self) -> Delivery:
        for destination in self.each:
            destination.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Let the requests under way finish, but not for long: what is cut off is asked for at the next start."""
        self._stop.set()
        for destination in self.each:
            destination.wake()
        deadline = time.monotonic() + JOIN_S
        for destination in self.each:
            destination.finish(deadline)

    def drain(self, timeout_s: float, stop: Event) -> None:
        """Wait until everything that can go out has gone, the time is over, or `stop` is set."""
        for destination in self.each:
            destination.hold_no_longer()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._has_work() and not stop.wait(POLL_S):
            pass

    def _has_work(self) -> bool:
        try:
            return any(
                self._is_owing(self._views[destination.name]) and not destination.is_closed()
                for destination in self.each
            )
        except SpoolError as error:
            log.error("%s", error)
            return True

    @staticmethod
    def _is_owing(view: Queue) -> bool:
        # In this order: readings that get their time in between are seen as ready.
        return view.awaits_time() or bool(view.ready_lanes())

    def left_over(self) -> list[str]:
        """What waits for destinations that have left the configuration, one line each."""
        return [
            f"{name}: {count} readings wait for a destination that is no longer in the configuration; "
            f"put [{name}] back, or delete them: lora-post spool drop --destination {name}"
            for name, count in sorted(held_by_sink(self._view).items())
            if name not in self._views
        ]

    def counts(self) -> dict[str, Counts]:
        """What is still in the spool for each destination."""
        return {name: view.counts() for name, view in self._views.items()}

    def last_errors(self) -> dict[str, str]:
        """Why each destination waits, "" when it does not."""
        return {destination.name: destination.last_error for destination in self.each}

    def destinations(self) -> list[DestinationState]:
        """The state of each queue; for one thread at a time."""
        with closing(SpoolFile(self._path)) as store:
            return [destination.state(store) for destination in self.each]


def spool_path(config: Config) -> Path:
    """Where the spool is. Raises ConfigError when there is none yet, or this user may not look."""
    path = config.spool_path
    try:
        there = path.exists()
    except OSError as error:
        raise ConfigError(f"spool {path}: {error.strerror}", fix="be the user that `lora-post run` runs as") from error
    if not there:
        raise ConfigError(f"there is no spool at {path} yet", fix="it is made by the first `lora-post run`")
    return path
