"""What watches over a live run: the status page, alerts, systemd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec.structs import replace

from lora_post.clocks.steady import SteadyClock
from lora_post.config import Config
from lora_post.inputs import Input
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.metrics import Metrics
from lora_post.observed.run_state import GatewayState, RunState
from lora_post.observed.signs import Signs
from lora_post.observed.site_state import SiteState
from lora_post.run.background import alerting, known_to_systemd
from lora_post.run.systemd import Notifier
from lora_post.run.view import RunView, status_page
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile

if TYPE_CHECKING:
    from lora_post.run.delivery import Delivery


ALERTS = "alerts"


@runtime_checkable
class HearsGateways(Protocol):
    """An input that knows its gateways apart."""

    name: str
    gateways: GatewayBook


class Oversight:
    """The page, the alerts and systemd of one run. site: is to hear every outcome. signs: of every thread."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self.clock = SteadyClock()
        self.signs = Signs(self.clock)
        self.site = SiteState(config.devices, self.clock)
        self._books: dict[str, GatewayBook] = {}

    def of(self, input_: Input) -> None:
        """Show which gateways this input hears, if it knows."""
        if isinstance(input_, HearsGateways):
            self._books[input_.name] = input_.gateways

    def _gateways(self, name: str) -> tuple[GatewayState, ...]:
        book = self._books.get(name)
        return tuple(
            GatewayState(item.gateway, self.clock.at(item.last_s), item.stat)
            for item in (book.snapshot() if book else ())
        )

    @contextmanager
    def over(self, delivery: Delivery) -> Iterator[None]:
        """Watch as long as the block runs. Raises ConfigError when the page cannot be shown."""
        # What sends mail is of no use to a dry run.
        from lora_post.alerts.loop import AlertLoop
        from lora_post.alerts.senders import senders

        config = self._config
        view = RunView(config, self.signs, self.clock, delivery.destinations, delivery.clock.trouble, self._gateways)

        def look() -> RunState:
            return replace(view(), alerts=alert_loop.raised)

        with ExitStack() as stack:
            facts = Facts(stack.enter_context(closing(SpoolFile(config.spool_path))), ALERTS)
            alert_loop = AlertLoop(
                self.site, view, config.alerts.limits, senders(config.alerts), facts, self.signs.heartbeats
            )
            stack.enter_context(alerting(alert_loop))
            if config.status is not None:
                stack.enter_context(status_page(config.status, self.site, self._metrics, look))
            stack.enter_context(known_to_systemd(self.signs.heartbeats, Notifier()))
            yield
