"""Looks at a run, for its status page and its alerts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock

from lora_post.clocks.steady import SteadyClock
from lora_post.command import Command
from lora_post.config import Config
from lora_post.downlink.duty_cycle import AirTime
from lora_post.errors import Problem, SpoolError
from lora_post.observed.run_state import CLOCK, DestinationState, Disk, GatewayState, InputState, RunState
from lora_post.observed.signs import Signs
from lora_post.run.ingest import STORE

FRESH_S = 2.0  # counting a long queue takes a while, and many may ask


class RunView:
    """Looks at a run; safe to call from several threads."""

    def __init__(
        self,
        config: Config,
        signs: Signs,
        clock: SteadyClock,
        destinations: Callable[[], Sequence[DestinationState]],
        clock_trouble: Callable[[], Problem | None] = lambda: None,
        gateways: Callable[[str], tuple[tuple[GatewayState, ...], int]] = lambda name: ((), 0),
        commands: Callable[[], Sequence[Command]] = lambda: (),
        fleet: Callable[[], Sequence[str]] = lambda: (),
        air_time: Callable[[], Iterable[AirTime]] = tuple,
    ) -> None:
        """clock_trouble: what is wrong with the time. gateways: those that an input hears, and how many more.

        commands: the last ones for devices. fleet: what it is at, in words. air_time: what gateways have used.
        """
        self._fleet = fleet
        self._air_time = air_time
        self._commands = commands
        self._clock_trouble = clock_trouble
        self._gateways = gateways
        self._gateway = config.gateway_name
        self._limits = config.alerts.limits
        self._spool = config.spool_path
        self._signs = signs
        self._destinations = destinations
        self._clock = clock
        self._started_us = self._clock.now_us()
        self._lock = Lock()
        self._queues: tuple[DestinationState, ...] = ()
        self._last_commands: tuple[Command, ...] = ()
        self._seen: RunState | None = None
        self._seen_at = 0.0

    def __call__(self) -> RunState:
        with self._lock:
            if self._seen is None or self._clock.monotonic() - self._seen_at > FRESH_S:
                self._seen = self._look()
                self._seen_at = self._clock.monotonic()
            return self._seen

    def _look(self) -> RunState:
        troubles = self._signs.troubles.by_part()
        try:
            self._queues, self._last_commands = tuple(self._destinations()), tuple(self._commands())
        except SpoolError as error:
            # Page and alerts are to tell of it, and so must not end over it; the queues are those of the last look.
            troubles.setdefault(STORE, error.problem)
        if trouble := self._clock_trouble():
            troubles[CLOCK] = trouble
        inputs = tuple(
            InputState(name, last_us, troubles.pop(name, None), *self._gateways(name))
            for name, last_us in self._signs.last_frames.moments().items()
        )
        return RunState(
            gateway=self._gateway,
            started_us=self._started_us,
            now_us=self._clock.now_us(),
            inputs=inputs,
            destinations=self._queues,
            disk=_disk(self._spool),
            stalled=tuple(self._signs.heartbeats.stalled()),
            troubles=troubles,
            ahead_us=self._clock.ahead_us(),
            limits=self._limits,
            commands=self._last_commands,
            fleet=tuple(self._fleet()),
            air_time=tuple(self._air_time()),
        )


def _disk(spool: Path) -> Disk:
    usage = shutil.disk_usage(next(folder for folder in spool.absolute().parents if folder.exists()))
    files = (spool, spool.with_name(spool.name + "-wal"))
    return Disk(usage.free, usage.total, sum(file.stat().st_size for file in files if file.exists()))
