"""The watch: looks at the run, keeps the book, tells people."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Final, Protocol

import msgspec
from msgspec import Struct, json

from lora_post.alerts.book import Alert, AlertBook
from lora_post.alerts.outbox import Outbox
from lora_post.alerts.rules import conditions
from lora_post.alerts.senders import Sender
from lora_post.backoff import Backoff
from lora_post.config_alerts import AlertLimits
from lora_post.errors import StoreError, Unavailable
from lora_post.status.board import Board
from lora_post.status.runtime import Runtime

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 30.0
MAX_PAUSE_S: Final = 3600.0
RAISED: Final = "raised"


class Memory(Protocol):
    """What outlives the process. Both raise StoreError."""

    def recall(self) -> Mapping[str, str]: ...

    def remember(self, what: str, value: str) -> None: ...


class _Recipient(Struct, frozen=True):
    sender: Sender
    outbox: Outbox
    backoff: Backoff


class Watch:
    """One run's alerts. raised: texts by key, may be read by any thread."""

    def __init__(
        self,
        board: Board,
        look: Callable[[], Runtime],
        limits: AlertLimits,
        senders: Sequence[Sender],
        memory: Memory,
    ) -> None:
        self._board = board
        self._look = look
        self._limits = limits
        self._recipients = [_Recipient(sender, Outbox(), Backoff(MAX_PAUSE_S)) for sender in senders]
        self._memory = memory
        self._book = AlertBook(_recalled(memory))
        self.raised: Mapping[str, str] = {}
        self._show()

    def run(self, stop: Event) -> None:
        """Look every half minute until `stop`."""
        while not stop.wait(LOOK_EVERY_S):
            try:
                self.step(time.monotonic())
            except Exception:
                log.exception("alerts: a defect")

    def step(self, monotonic_s: float) -> None:
        """One look."""
        runtime = self._look()
        changed = self._book.look(
            conditions(runtime, self._board.devices(), self._limits, self._book.raised), runtime.now_us
        )
        for alert in changed:
            if alert.cleared_us:
                log.warning("alert over: %s", alert.text)
            else:
                log.error("alert: %s", alert.text)
        if changed:
            self._show()
            self._keep()
        for recipient in self._recipients:
            recipient.outbox.put(changed, runtime.now_us)
            self._tell(recipient, runtime, monotonic_s)

    def _tell(self, recipient: _Recipient, runtime: Runtime, monotonic_s: float) -> None:
        if monotonic_s < recipient.backoff.until:
            return
        digest = recipient.outbox.digest(self._book.raised, runtime.now_us)
        if digest is None:
            return
        try:
            recipient.sender.send(runtime.gateway, digest)
        except Unavailable as error:
            if not recipient.backoff.failures:
                log.warning("alerts wait: %s", error)
            recipient.backoff.fail(monotonic_s)
        else:
            recipient.outbox.told()
            recipient.backoff.succeed()

    def _show(self) -> None:
        self.raised = {alert.key: alert.text for alert in self._book.raised.values()}

    def _keep(self) -> None:
        """So that a restart does not raise everything again."""
        try:
            self._memory.remember(RAISED, json.encode(list(self._book.raised.values())).decode())
        except StoreError as error:
            log.warning("%s", error)


def _recalled(memory: Memory) -> list[Alert]:
    try:
        return json.decode(memory.recall().get(RAISED, "[]"), type=list[Alert])
    except (StoreError, msgspec.DecodeError) as error:
        log.warning("the alerts of the last run are not known: %s", error)
        return []
