"""A live run: from the inputs to the destinations, watched by page, alerts and systemd."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec.structs import replace

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.clocks.steady import SteadyClock
from lora_post.command import Command
from lora_post.config import Config
from lora_post.config.status import StatusConfig
from lora_post.downlink.duty_cycle import AirTime
from lora_post.downlink.through_servers import HasServerQueue, ServerQueue
from lora_post.errors import ConfigError
from lora_post.inputs import Input
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.metrics import Metrics
from lora_post.observed.run_state import DestinationState, GatewayState, RunState
from lora_post.observed.signs import Signs
from lora_post.observed.site_state import SiteState
from lora_post.run.delivery import moment, open_delivery
from lora_post.run.ingest import pump_all
from lora_post.run.outcome_log import OutcomeLog, lacks_frames
from lora_post.run.readmit import read_again, readmit
from lora_post.run.reload import SUBJECT, Followed, Reloader, Use
from lora_post.run.sending import tending
from lora_post.run.settings import watching_settings
from lora_post.run.systemd import Notifier, known_to_systemd
from lora_post.run.view import RunView
from lora_post.spool import downlinks, strangers, trends
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.model import Decode
from lora_post.uplink.outcome import Outcome

if TYPE_CHECKING:
    from lora_post.alerts.loop import AlertLoop

log = logging.getLogger("lora_post")

EXIT_BROKEN = 1
ALERTS = "alerts"
JOIN_S = 2.0
SHOWN_COMMANDS = 10
SHOWN_GATEWAYS = 16
TURN_S = 0.0005
"""So long a thread may keep the others from running, where devices are answered; Python's own is ten times that.

An answer gives its turn away, and waits for the next, with each statement to the spool.
"""


def run_live(
    config: Config,
    decode: Decode,
    metrics: Metrics,
    inputs: Sequence[tuple[Input, Times]],
    stop: Event,
    drain_timeout_s: float,
    followed: Followed,
) -> int:
    """Run until all inputs have ended and the queue is empty, or `stop`; return the exit code.

    drain_timeout_s: how long to go on sending once the inputs have ended. followed: how to take changes
    of the configuration over. Raises ConfigError, SpoolError.
    """
    if config.network:
        sys.setswitchinterval(TURN_S)
    oversight = Oversight(config, metrics, [input_ for input_, _ in inputs])
    write_log = OutcomeLog()

    def hear(outcome: Outcome) -> None:
        oversight.site.hear(outcome)
        write_log(outcome)

    heartbeats = oversight.signs.heartbeats
    through = [each for each, _ in inputs if isinstance(each, HasServerQueue)] if config.gives_to_servers else []

    def server_queues() -> list[ServerQueue]:
        return [queue for each in through if (queue := each.server_queue)]

    delivery = open_delivery(
        config,
        decode,
        metrics,
        hear,
        steady=oversight.clock,
        heartbeats=heartbeats,
        server_queues=server_queues if through else None,
    )

    followed.changed.tell = oversight.site.forget_undecoded

    def use(changed: Config, decode: Decode) -> None:
        oversight.site.use(changed.devices)
        with delivery.using(changed, decode):
            # What a stranger sent comes before what it sends now: later it would be a replay.
            readmit(delivery.pipeline, delivery.view, changed.devices, decode)
        read_again(replace(config, devices=changed.devices), decode)

    signs = oversight.signs
    with (
        delivery,
        oversight.over(delivery.destinations, delivery.clock, delivery.air_time),
        following(followed, use, signs),
        tending(delivery.pipeline, signs),
        watching_settings(config, delivery.announced, partial(moment, delivery.clock), signs.heartbeats),
    ):
        readmit(delivery.pipeline, delivery.view, config.devices, decode)
        read_again(config, decode)
        broken = pump_all(inputs, delivery.pipeline, stop, signs)
        delivery.drain(drain_timeout_s, stop)
    code = delivery.sum_up(stop)
    return EXIT_BROKEN if broken or lacks_frames(metrics) else code


@runtime_checkable
class HearsGateways(Protocol):
    """An input that knows its gateways apart. gateways: None while it is not open, or where there are none."""

    name: str

    @property
    def gateways(self) -> GatewayBook | None: ...


class Oversight:
    """The page, the alerts and systemd of one run.

    site: is to hear every outcome. signs: of every thread. fleet: returns what a fleet is at, in words.
    """

    def __init__(self, config: Config, metrics: Metrics, inputs: Sequence[Input]) -> None:
        self._config = config
        self._metrics = metrics
        self.clock = SteadyClock()
        self.signs = Signs(self.clock)
        self.fleet: Callable[[], Sequence[str]] = tuple
        self.site = SiteState(config.devices, self.clock)
        self._hearing = {each.name: each for each in inputs if isinstance(each, HearsGateways)}

    def _gateways(self, name: str) -> tuple[tuple[GatewayState, ...], int]:
        hearing = self._hearing.get(name)
        book = hearing.gateways if hearing else None
        if book is None:
            return (), 0
        shown = book.snapshot(SHOWN_GATEWAYS)
        states = tuple(GatewayState(item.gateway, self.clock.at(item.last_s), item.stat) for item in shown)
        return states, len(book) - len(shown)

    def _fleet(self) -> Sequence[str]:
        return self.fleet()

    @contextmanager
    def over(
        self,
        destinations: Callable[[], Sequence[DestinationState]],
        clock: GatewayClock,
        air_time: Callable[[], Iterable[AirTime]] = tuple,
    ) -> Iterator[str | None]:
        """Watch as long as the block runs; gives the address of the page, None without one.

        air_time: tells what gateways have sent. Raises ConfigError when the page cannot be shown.
        """
        # What sends mail is of no use to a dry run.
        from lora_post.alerts.loop import AlertLoop
        from lora_post.alerts.senders import senders

        config = self._config
        commands = partial(load_commands, config.spool_path)
        view = RunView(
            config, self.signs, self.clock, destinations, clock.trouble, self._gateways, commands, self._fleet, air_time
        )

        def look() -> RunState:
            return alert_loop.complete(view())

        with ExitStack() as stack:
            facts = Facts(stack.enter_context(closing(SpoolFile(config.spool_path))), ALERTS)
            alert_loop = AlertLoop(self.site, view, senders(config.alerts), facts, self.signs.heartbeats)
            stack.enter_context(alerting(alert_loop))
            url = None
            if config.status is not None:
                url = stack.enter_context(status_page(config, config.status, self.site, self._metrics, look))
            stack.enter_context(known_to_systemd(self.signs.heartbeats, Notifier()))
            yield url


@contextmanager
def following(followed: Followed, use: Use, signs: Signs) -> Iterator[None]:
    """Follow changes of the configuration as long as the block runs."""
    stop = Event()
    with closing(SpoolFile(followed.config.spool_path)) as spool_file:
        reloader = Reloader(followed, use, signs, Facts(spool_file, SUBJECT))
        thread = Thread(target=reloader.run, args=(stop,), name=SUBJECT, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(JOIN_S)


@contextmanager
def alerting(alert_loop: AlertLoop) -> Iterator[None]:
    """Look for alerts as long as the block runs."""
    stop = Event()
    thread = Thread(target=alert_loop.run, args=(stop,), name="alerts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)  # a mail that is under way is told again by the next run


def load_commands(spool: Path) -> Sequence[Command]:
    """Return the last commands for devices; for any thread. Raises SpoolError."""
    with closing(SpoolFile(spool)) as spool_file:
        return downlinks.load(spool_file, limit=SHOWN_COMMANDS)


def load_trends(spool: Path, device: str, span_s: int, since_us: WallUs) -> Sequence[trends.Row]:
    """Return what the spool has for plots, see `trends.load`; for any thread."""
    with closing(SpoolFile(spool)) as spool_file:
        return trends.load(spool_file, device, span_s, since_us)


def load_strangers(spool: Path) -> Sequence[strangers.Stranger]:
    """Return the senders of which the spool has frames; for any thread."""
    with closing(SpoolFile(spool)) as spool_file:
        return strangers.load(spool_file)


@contextmanager
def status_page(
    config: Config, status: StatusConfig, site: SiteState, metrics: Metrics, look: Callable[[], RunState]
) -> Iterator[str]:
    """Serve the page as long as the block runs; gives its address. Raises ConfigError when its port is taken."""
    # Starlette and uvicorn are a third of the memory: only for those who want the page.
    from lora_post.status.access import AccessRule
    from lora_post.status.app import Sources, create_app
    from lora_post.status.form import answer_form
    from lora_post.web.serving import base_url, listen, serving

    stop = Event()
    try:
        listener = listen(status.host, status.port)
    except OSError as error:
        raise ConfigError(
            f"[status] listen {status.host}:{status.port}: {error.strerror or error}",
            fix="name another port, or stop the program that has it",
        ) from error
    sources = Sources(
        site,
        metrics,
        look,
        partial(load_trends, config.spool_path),
        partial(load_strangers, config.spool_path),
        partial(answer_form, config.path) if status.edit and config.path else None,
        status.sensor_values,
    )
    app = create_app(sources, AccessRule(status.token), stop)
    with listener, serving(app, listener, "status"):
        url = f"{base_url(listener)}/"
        log.info("status page at %s", url)
        try:
            yield url
        finally:
            stop.set()
