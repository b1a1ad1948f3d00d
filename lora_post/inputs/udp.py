"""Serve Semtech's packet forwarders: `udp://0.0.0.0:1700`.

A thread answers and queues, so that gateways get their acknowledgement at once; what it acknowledges
is in the queue. Forwarders do not send again what is not acknowledged, they count it.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from lora_post.clocks.scale import now_us
from lora_post.errors import ConfigError, FrameError, Problem
from lora_post.formats.guarded import defect_noise
from lora_post.formats.rxpk_json import read_push_data
from lora_post.formats.semtech_udp import PULL_DATA, PUSH_DATA, TX_ACK, Datagram, read_datagram
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.inputs.pull_responses import PullResponses, host_of
from lora_post.inputs.push_queue import Push, PushQueue, Taken
from lora_post.metrics import Metrics
from lora_post.model import Frame, Noise, NoiseReason
from lora_post.net.addresses import address_text
from lora_post.net.input_url import read_udp_url

log = logging.getLogger(__name__)

MAX_DATAGRAM = 1 << 16
RECEIVE_BUFFER = 1 << 20
# One transaction's worth: other inputs have their turn after it.
BATCH = 64
# Noise beyond this is only counted: it is too much to read.
MAX_NOISE = 32
LOSSES_EVERY_S = 60.0
POLL_S = 0.25
# A socket that fails so many times in a row is opened anew.
MAX_FAILURES = 5
FAILURE_PAUSE_S = 0.2
SO_RXQ_OVFL = 40  # Linux: how many datagrams the socket's buffer had no room for; asm-generic/socket.h


class UdpInput:
    """Frames out of the datagrams of any number of packet forwarders."""

    def __init__(
        self,
        listener: socket.socket,
        gateways: frozenset[str],
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        transmits: bool = False,
        at_window: bool = False,
    ) -> None:
        """gateways: the EUIs of those that are listened to, all when it is empty. transmits: they are sent to, too.

        at_window: see `PullResponses`.
        """
        self.name = "udp " + address_text(listener.getsockname())
        responses = PullResponses(self.name, listener.sendto, metrics, monotonic, at_window=at_window)
        self.transmitter = responses if transmits else None
        self.is_awaited = False
        self.trouble: Problem | None = None
        self.gateways = GatewayBook(self.name, monotonic, gateways)
        self._allowed = gateways
        self._metrics = metrics
        self._monotonic = monotonic
        self._listener = listener
        self._queue = PushQueue()
        self._noise: deque[Noise] = deque()
        self._stopped = Event()
        self._broken: Exception | None = None
        self._no_room = self._kernel_drops = 0
        self._said = (0, 0)
        self._next_look = 0.0
        self._thread = Thread(target=self._receive_safely, name=self.name, daemon=True)
        listener.settimeout(POLL_S)

    def events(self, timeout_s: float) -> list[Frame | Noise]:
        if self._thread.ident is None:  # not before what is acknowledged is taken
            self._thread.start()
            log.info("%s: waiting for packet forwarders", self.name)
        if self._broken is not None:
            raise self._broken
        events = self._take_noise()
        for push in self._queue.take(BATCH, 0.0 if events else timeout_s):
            events += self._read(push)
        now = self._monotonic()
        if now >= self._next_look:
            self._next_look = now + LOSSES_EVERY_S
            self._tell_losses()
        self.gateways.look_for_silent()
        if self.transmitter:
            self.transmitter.look_for_unconfirmed()
        self.trouble = self.gateways.missing()
        return events

    def drain(self) -> list[Frame | Noise]:
        self._stop()
        events = self._take_noise()
        while pushes := self._queue.take(BATCH, 0.0):
            for push in pushes:
                events += self._read(push)
        return events

    def kept(self) -> None:
        """Do nothing: forwarders have their acknowledgement."""

    def close(self) -> None:
        self._stop()
        self._tell_losses()
        self._listener.close()

    def _stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _read(self, push: Push) -> list[Frame | Noise]:
        try:
            found = read_push_data(push.body, push.gateway, push.time_us)
            if found.stat:
                self.gateways.told(push.gateway, found.stat)
            if self.transmitter:
                self.transmitter.heard(push.gateway, found.events, push.arrived_s, push.host)
            return found.events
        except Exception as error:  # what is acknowledged is never lost to its neighbour
            return [defect_noise(error, push.body)]

    def _take_noise(self) -> list[Frame | Noise]:
        return [self._noise.popleft() for _ in range(len(self._noise))]

    def _tell_losses(self) -> None:
        now = (self._no_room, self._kernel_drops)
        if now != self._said:
            log.warning(
                "%s: too many datagrams; lost since the start: %d by the full queue, %d by the system",
                self.name,
                *now,
            )
            self._said = now

    def _receive_safely(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                data, extra, _, sender = self._listener.recvmsg(MAX_DATAGRAM, 64)
            except TimeoutError:
                continue
            except Exception as error:  # the thread boundary; `events` hands it on
                failures += 1
                if failures == MAX_FAILURES:
                    self._broken = error
                    return
                self._stopped.wait(FAILURE_PAUSE_S)
                continue
            failures = 0
            try:
                self._take(data, extra, sender)
            except Exception as error:  # a datagram costs only itself
                self._add_noise(defect_noise(error, data))

    def _take(self, data: bytes, extra: list[tuple[int, int, bytes]], sender: Any) -> None:
        for level, kind, value in extra:
            if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL) and len(value) == 4:
                self._count_kernel_drops(*struct.unpack("=I", value))
        try:
            datagram = read_datagram(data)
        except FrameError as error:
            self._count_noise(NoiseReason.BAD_DATAGRAM, data, sender, str(error))
            return
        if self._allowed and datagram.gateway not in self._allowed:
            fix = f'gateway {datagram.gateway} is not listed; if it is yours, add "{datagram.gateway}" to gateways'
            self._count_noise(NoiseReason.UNKNOWN_GATEWAY, data, sender, fix)
            return
        self.gateways.heard(datagram.gateway, address_text(sender))
        host = host_of(sender)
        if datagram.kind == PUSH_DATA and self._put(datagram, host) is Taken.FULL:
            return
        if self.transmitter and datagram.kind == PULL_DATA:
            self.transmitter.asked(datagram.gateway, sender, datagram.answer[0])
        if self.transmitter and datagram.kind == TX_ACK:
            self.transmitter.confirmed(datagram.gateway, datagram.token, datagram.body, host)
        if datagram.answer:
            with suppress(OSError):  # its sender may be gone
                self._listener.sendto(datagram.answer, sender)

    def _put(self, datagram: Datagram, host: str) -> Taken:
        push = Push(datagram.gateway, datagram.token, datagram.body, now_us(), self._monotonic(), host)
        taken = self._queue.put(push)
        if taken is Taken.FULL:
            self._no_room += 1
            self._metrics.count("dropped", "udp-queue-full")
        elif taken is Taken.REPEATED:
            self._metrics.count("noise", "repeated-datagram")
        return taken

    def _count_kernel_drops(self, total: int) -> None:
        lost = (total - self._kernel_drops) & 0xFFFFFFFF
        if lost:
            self._metrics.count("dropped", "udp-system", lost)
            self._kernel_drops += lost

    def _count_noise(self, reason: NoiseReason, data: bytes, sender: Any, detail: str) -> None:
        self._add_noise(Noise(reason, len(data), f"{self.name} from {address_text(sender)}: {detail}"))

    def _add_noise(self, noise: Noise) -> None:
        if len(self._noise) < MAX_NOISE:
            self._noise.append(noise)
        else:
            self._metrics.count("noise", noise.reason)


def bind_udp(url: str) -> socket.socket:
    """Open the socket that the URL names, for this machine alone if the host is left out.

    Raises ConfigError.
    """
    where = read_udp_url(url)
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_DGRAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        with suppress(OSError):  # another system than Linux: its losses stay unknown
            listener.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        listener.bind(address)
        return listener
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ConfigError(
            f"[[input]] url {url!r}: {error.strerror}",
            fix="is another program using the port, and is the address one of this machine's (0.0.0.0 for all)?",
        ) from error
