"""Mirror the log of a home gateway while there is a link, and hear what the hub offers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Final

import nats.errors

from lora_post.fleet.errors import UNREADABLE, FleetError, LogUnavailable
from lora_post.fleet.home.heads import Asked, Seen, decode_seen, encode_asked
from lora_post.fleet.home.mirror import Mirror
from lora_post.fleet.home.offers import Offer, decode_offer, look_subject, offer_subject
from lora_post.fleet.hub.link import REQUEST_S, Link
from lora_post.fleet.log.nats_log import NatsLog

log = logging.getLogger(__name__)

STEP_S: Final = 1.0
PAUSE_S: Final = 5.0
LOOK_S: Final = 900.0
"""A look at all devices costs the link some bytes for each; who takes a device over says so."""


class HubEnd:
    """The hub, over a link."""

    def __init__(self, link: Link, gateway: str) -> None:
        self._link = link
        self._log = NatsLog(link)
        self._gateway = gateway

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        """Append entries, see `NatsLog.append`."""
        return self._log.append(entries)

    def look(self, asked: Sequence[Asked]) -> Sequence[Seen]:
        """Ask a worker. Raises LogUnavailable."""
        request = self._link.inbox.ask(look_subject(self._gateway), encode_asked(asked), REQUEST_S)
        try:
            return decode_seen(self._link.call(request).data)
        except FleetError as error:
            no_worker = isinstance(error.__cause__, nats.errors.NoRespondersError)
            raise LogUnavailable("the hub: no worker is running" if no_worker else error.what) from error
        except UNREADABLE as error:
            raise LogUnavailable(f"what a worker says cannot be read: {error}") from error


class Mirroring:
    """Mirrors. `run` is its thread."""

    def __init__(self, link: Link, mirror: Mirror, gateway: str, offered: Callable[[Offer], None]) -> None:
        self._link = link
        self._mirror = mirror
        self._gateway = gateway
        self._offered = offered
        self._wake = Event()
        self._is_listening = False
        self._reconnects = 0
        self._look_at = 0.0
        self._said = ""
        self.change: Callable[[], None] | None = None

    def run(self, stop: Event, beat: Callable[[], None]) -> None:
        """Mirror until `stop`. beat: called at least once in a minute."""
        while not stop.is_set():
            beat()
            try:
                if not self._link.is_up:
                    stop.wait(STEP_S)
                    continue
                self._look_after()
                if not self._mirror.step():
                    self._said = ""
                    self._wake.wait(STEP_S)
                    self._wake.clear()
            except FleetError as error:
                if error.what != self._said:
                    log.warning("%s", error)
                self._said = error.what
                self._mirror.doubt()
                stop.wait(PAUSE_S)

    def _look_after(self) -> None:
        if not self._is_listening:
            self._link.listen(offer_subject(self._gateway), self._hear)
            self._is_listening = True
        change, self.change = self.change, None
        if change:
            change()
        now = time.monotonic()
        if now >= self._look_at or self._reconnects != self._link.reconnects:
            self._look_at, self._reconnects = now + LOOK_S, self._link.reconnects
            self._mirror.doubt()

    def _hear(self, subject: str, data: bytes) -> None:
        try:
            offer = decode_offer(data)
        except UNREADABLE:
            log.debug("%s: it cannot be read", subject)
            return
        if offer == Offer():
            self._look_at = 0.0
            self._wake.set()
        else:
            self._offered(offer)
