"""Look at the run every half minute, keep the book of alerts, and tell people."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, json
from msgspec.structs import astuple, replace

from lora_post.alerts.book import Alert, AlertBook
from lora_post.alerts.carried import carry, restore
from lora_post.alerts.outbox import Digest, Outbox
from lora_post.alerts.rules import conditions
from lora_post.alerts.senders import Sender
from lora_post.errors import Problem, SpoolError, Unavailable
from lora_post.net.backoff import Backoff
from lora_post.observed.carried import Carried
from lora_post.observed.run_state import RunState
from lora_post.observed.signs import Heartbeats
from lora_post.observed.site_state import SiteState
from lora_post.spool.facts import Facts
from lora_post.times import NEVER, SteadyUs, WallUs

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 30.0
MAX_PAUSE_S: Final = 3600.0
BEAT_S: Final = 600.0
"""Looking, and a message to each recipient, may take so long."""
NAME: Final = "alerts"
CARRY_EVERY_US: Final = 3_600_000_000
"""How often what must outlive a power cut is written: seldom, to spare the SD card."""
RAISED: Final = "raised"
NEWS: Final = "news "

Kept = TypeVar("Kept")


class _Recipient(Struct, frozen=True):
    sender: Sender
    outbox: Outbox
    backoff: Backoff


class AlertLoop:
    """The alerts of one run. raised: what is wrong, by key; may be read by any thread."""

    def __init__(
        self,
        site: SiteState,
        look: Callable[[], RunState],
        senders: Sequence[Sender],
        facts: Facts,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._site = site
        self._look = look
        self._facts = facts
        self._heartbeats = heartbeats or Heartbeats()
        runtime = look()
        kept = _recall(facts)
        self._carried = _restored(kept)
        self._book = AlertBook(_alerts(kept, RAISED, runtime))
        self._recipients = [
            _Recipient(sender, Outbox(_alerts(kept, NEWS + sender.name, runtime)), Backoff(MAX_PAUSE_S))
            for sender in senders
        ]
        self._deaf_us = NEVER
        self._written_us = runtime.now_us
        self._written_ahead_us = runtime.ahead_us
        self._is_all_due = True  # the last run may have been of an earlier version, or of another configuration
        self.raised: Mapping[str, Problem] = {}
        self._said = ""
        self._show()

    def run(self, stop: Event) -> None:
        """Look every half minute until `stop` is set."""
        while not stop.wait(LOOK_EVERY_S):
            self._heartbeats.beat(NAME, BEAT_S)
            self._try(lambda: self.step(time.monotonic()))
        self._heartbeats.end(NAME)
        self._try(lambda: self._write_all(self._look()))

    def _try(self, act: Callable[[], None]) -> None:
        """Do this; what fails must not end the alerts, which are to tell of it."""
        try:
            act()
        except Exception:
            log.exception("alerts: a defect")

    def step(self, monotonic_s: float) -> None:
        """Look once. monotonic_s: now."""
        runtime = self._look()
        if runtime.inputs and all(item.trouble for item in runtime.inputs):
            self._deaf_us = runtime.now_us
        runtime = self.complete(runtime)
        changed = self._book.look(conditions(runtime, self._site.devices()), runtime.now_us)
        for alert in changed:
            if alert.cleared_us:
                log.warning("alert over: %s", alert.text)
            else:
                log.error("alert: %s", alert.problem)
        for recipient in self._recipients:
            recipient.outbox.put(changed, runtime.now_us)
        if changed:
            self._show()
            self._write(changed, runtime)
        is_over = runtime.now_us - self._written_us >= CARRY_EVERY_US
        if is_over or self._is_all_due or runtime.ahead_us != self._written_ahead_us:
            self._write_all(runtime)
        for recipient in self._recipients:
            self._tell(recipient, runtime, monotonic_s)

    def complete(self, runtime: RunState) -> RunState:
        """Return the state with what only the alerts know of it; for any thread."""
        return replace(runtime, alerts=self.raised, deaf_us=self._deaf_us, before=self._carried)

    def _tell(self, recipient: _Recipient, runtime: RunState, monotonic_s: float) -> None:
        if monotonic_s < recipient.backoff.until:
            return
        digest = recipient.outbox.digest(self._book.raised, runtime.now_us)
        if digest is None:
            return
        try:
            recipient.sender.send(runtime.gateway, at_wall(digest, runtime.ahead_us))
        except Unavailable as error:
            if not recipient.backoff.failures:
                log.warning("waiting to send alerts: %s", error)
            recipient.backoff.fail(monotonic_s)
        else:
            self._remember(dict.fromkeys(_news(recipient, runtime)))
            recipient.outbox.told()
            recipient.backoff.succeed()

    def _show(self) -> None:
        self.raised = {alert.key: alert.problem for alert in self._book.raised.values()}

    def _write(self, changed: Sequence[Alert[SteadyUs]], runtime: RunState) -> None:
        """Write down what has changed, so that a restart neither raises an alert again nor leaves news untold.

        How long the devices of these alerts have been silent belongs to that.
        """
        values: dict[str, str | None] = {}
        for alert in changed:
            values |= {_raised_as(alert): None} if alert.cleared_us else _row(_raised_as(alert), alert, runtime)
        for recipient in self._recipients:
            values |= _news(recipient, runtime)
        about = {alert.key.partition(":")[2] for alert in changed}
        values |= carry(self.complete(runtime), [device for device in self._site.devices() if device.id in about])
        self._remember(values)

    def _write_all(self, runtime: RunState) -> None:
        """Write down all that has changed; what could not be written before, and times of a clock that was set, too."""
        self._written_us, self._written_ahead_us, self._is_all_due = runtime.now_us, runtime.ahead_us, False
        values: dict[str, str | None] = {}
        for alert in self._book.raised.values():
            values |= _row(_raised_as(alert), alert, runtime)
        for recipient in self._recipients:
            values |= _news(recipient, runtime)
        values |= carry(self.complete(runtime), self._site.devices())
        self._remember(dict.fromkeys(_recall(self._facts)) | values)

    def _remember(self, values: Mapping[str, str | None]) -> None:
        try:
            self._facts.change(values)
            self._said = ""
        except SpoolError as error:
            self._is_all_due = True
            if str(error) != self._said:
                self._said = str(error)
                log.warning("cannot write down the alerts: %s", error)


def _raised_as(alert: Alert[SteadyUs]) -> str:
    return f"{RAISED} {alert.key}"


def _news(recipient: _Recipient, runtime: RunState) -> dict[str, str | None]:
    """Return what a recipient has still to be told, as it is written down."""
    values: dict[str, str | None] = {}
    for alert in recipient.outbox.news():
        values |= _row(f"{NEWS}{recipient.sender.name} {alert.key}", alert, runtime)
    return values


def _row(what: str, alert: Alert[SteadyUs], runtime: RunState) -> dict[str, str]:
    return {what: json.encode(_at_wall(alert, runtime.ahead_us)).decode()}


def at_wall(digest: Digest[SteadyUs], ahead_us: int) -> Digest[WallUs]:
    """Return the same with times of the wall clock, for people."""
    return Digest(*(tuple(_at_wall(alert, ahead_us) for alert in alerts) for alerts in astuple(digest)))


def _at_wall(alert: Alert[SteadyUs], ahead_us: int) -> Alert[WallUs]:
    cleared_us = WallUs(alert.cleared_us and alert.cleared_us + ahead_us)
    return Alert(alert.key, alert.text, WallUs(alert.raised_us + ahead_us), cleared_us, alert.fix)


def _alerts(kept: Mapping[str, str], what: str, runtime: RunState) -> list[Alert[SteadyUs]]:
    """Return alerts of the last run by the clock of this one."""
    found = _decoded(kept.get(what, "[]"), list[Alert[WallUs]]) or []  # versions before 0.2 wrote all of them at once
    rows = [_decoded(text, Alert[WallUs]) for key, text in kept.items() if key.startswith(what + " ")]
    return [_at_steady(alert, runtime) for alert in (*found, *rows) if alert]


def _at_steady(alert: Alert[WallUs], runtime: RunState) -> Alert[SteadyUs]:
    """Return the alert by the steady clock; one from the future, when the clock was right, is raised now."""
    raised_us = min(SteadyUs(alert.raised_us - runtime.ahead_us), runtime.now_us)
    lasted_us = alert.cleared_us and alert.cleared_us - alert.raised_us
    return Alert(alert.key, alert.text, raised_us, SteadyUs(lasted_us and raised_us + lasted_us), alert.fix)


def _recall(facts: Facts) -> Mapping[str, str]:
    try:
        return facts.recall()
    except SpoolError as error:
        log.warning("cannot read the alerts of the last run: %s", error)
        return {}


def _restored(kept: Mapping[str, str]) -> Carried:
    try:
        return restore(kept)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("cannot decode how long devices were silent before: %s", error)
        return Carried()


def _decoded(text: str, kind: type[Kept]) -> Kept | None:
    try:
        return json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("cannot decode the alerts of the last run: %s", error)
        return None
