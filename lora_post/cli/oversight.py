"""What watches over a live run: the status page, alerts, systemd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lora_post.cli.background import known_to_systemd, watching
from lora_post.cli.status import RunView, status_page
from lora_post.config import Config
from lora_post.metrics import Metrics
from lora_post.status.board import Board
from lora_post.status.runtime import Runtime
from lora_post.store import Store, known, remember
from lora_post.systemd import Notifier
from lora_post.vitals import Vitals

if TYPE_CHECKING:
    from lora_post.cli.delivery import Delivery


ALERTS = "alerts"


class _AlertMemory:
    """Which alerts are raised, kept in the spool; opened for each look, as the file may be replaced while we run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self) -> dict[str, str]:
        with closing(Store(self._path)) as store:
            return known(store.db, ALERTS)

    def remember(self, what: str, value: str) -> None:
        with closing(Store(self._path)) as store, store.transaction() as db:
            remember(db, ALERTS, what, value)


class Oversight:
    """Of one run. The board is to hear every outcome, the vitals every thread."""

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self.vitals = Vitals()
        self.board = Board(config.devices)

    @contextmanager
    def over(self, delivery: Delivery) -> Iterator[None]:
        """Watch as long as the block runs. Raises ConfigError when the page cannot be shown."""
        # What sends mail is of no use to a dry run.
        from lora_post.alerts.senders import senders
        from lora_post.alerts.watch import Watch

        config = self._config
        view = RunView(config, self.vitals, self._metrics, delivery.destinations)
        watch = Watch(self.board, view, config.alerts.limits, senders(config.alerts), _AlertMemory(config.spool_path))

        def look() -> Runtime:
            return replace(view(), alerts=watch.raised)

        with ExitStack() as stack:
            stack.enter_context(watching(watch))
            if config.status is not None:
                stack.enter_context(status_page(config.status, self.board, self._metrics, look))
            stack.enter_context(known_to_systemd(self.vitals, Notifier()))
            yield
