"""The status page of a run: what it looks at, and the server in its thread."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock

from lora_post.clocks.steady import SteadyClock
from lora_post.config import Config
from lora_post.config.status import StatusConfig
from lora_post.errors import ConfigError
from lora_post.metrics import Metrics
from lora_post.observed.run_state import CLOCK, DestinationState, Disk, GatewayState, InputState, RunState
from lora_post.observed.signs import Signs
from lora_post.observed.site_state import SiteState

log = logging.getLogger("lora_post")

FRESH_S = 2.0  # counting a long queue takes a while, and many may ask


class RunView:
    """Looks at a run; safe to call from several threads."""

    def __init__(
        self,
        config: Config,
        signs: Signs,
        clock: SteadyClock,
        destinations: Callable[[], Sequence[DestinationState]],
        clock_trouble: Callable[[], str] = str,
        gateways: Callable[[str], tuple[GatewayState, ...]] = lambda name: (),
    ) -> None:
        """clock_trouble: what is wrong with the time, "" for nothing; gateways: those that an input hears."""
        self._clock_trouble = clock_trouble
        self._gateways = gateways
        self._gateway = config.gateway_name
        self._spool = config.spool_path
        self._signs = signs
        self._destinations = destinations
        self._clock = clock
        self._started_us = self._clock.now_us()
        self._lock = Lock()
        self._seen: RunState | None = None
        self._seen_at = 0.0

    def __call__(self) -> RunState:
        with self._lock:
            if self._seen is None or self._clock.monotonic() - self._seen_at > FRESH_S:
                self._seen = self._look()
                self._seen_at = self._clock.monotonic()
            return self._seen

    def _look(self) -> RunState:
        troubles = self._signs.troubles.texts()
        if text := self._clock_trouble():
            troubles[CLOCK] = text
        inputs = tuple(
            InputState(name, last_us, troubles.pop(name, ""), self._gateways(name))
            for name, last_us in self._signs.last_frames.moments().items()
        )
        return RunState(
            gateway=self._gateway,
            started_us=self._started_us,
            now_us=self._clock.now_us(),
            inputs=inputs,
            destinations=tuple(self._destinations()),
            disk=_disk(self._spool),
            stalled=tuple(self._signs.heartbeats.stalled()),
            troubles=troubles,
            ahead_us=self._clock.ahead_us(),
        )


def _disk(spool: Path) -> Disk:
    usage = shutil.disk_usage(spool.parent)
    files = (spool, spool.with_name(spool.name + "-wal"))
    return Disk(usage.free, usage.total, sum(file.stat().st_size for file in files if file.exists()))


@contextmanager
def status_page(
    status: StatusConfig, site: SiteState, metrics: Metrics, look: Callable[[], RunState]
) -> Iterator[None]:
    """Serve the page as long as the block runs. Raises ConfigError when its port is taken."""
    # Starlette and uvicorn are a third of the memory: only for those who want the page.
    from lora_post.status.access import AccessRule
    from lora_post.status.app import create_app
    from lora_post.web.serving import base_url, listen, serving

    stop = Event()
    try:
        listener = listen(status.host, status.port)
    except OSError as error:
        raise ConfigError(f"[status] listen {status.host}:{status.port}: {error.strerror or error}") from error
    with listener, serving(create_app(site, metrics, look, AccessRule(status.token), stop), listener, "status"):
        log.info("status page at %s/", base_url(listener))
        try:
            yield
        finally:
            stop.set()
