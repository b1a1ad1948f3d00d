"""Send through packet forwarders: by PULL_RESP, which a TX_ACK answers.

It leaves by the socket that the gateway asked at, and goes to where it asked from last: forwarders hear no other. The
protocol proves nothing, so anybody may ask in a gateway's name: an answer goes to the host that its uplink came from.

Sources: Lora-net/packet_forwarder: PROTOCOL.TXT, version 1.4, sections 5 and 6; lora_pkt_fwd/src/jitqueue.c, for how
late a frame may come; chirpstack/chirpstack-gateway-bridge: internal/backend/semtechudp/backend.go.
"""

from __future__ import annotations

import binascii
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from secrets import randbelow
from threading import Lock, Timer
from typing import Any, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from lora_post.downlink.heard_channels import HeardChannels
from lora_post.downlink.transmit import COUNTER, Downlink, Station, Window, lead_s, left_s
from lora_post.formats.semtech_udp import error_label, explain_error, pull_resp, read_tx_ack
from lora_post.inputs.gateway_book import MAX_GATEWAYS
from lora_post.inputs.given import Given, tell_not_sent, tell_sent, tell_unconfirmed
from lora_post.inputs.powers import REFUSED, Powers
from lora_post.metrics import Metrics
from lora_post.model import Frame, Noise
from lora_post.text import plural

log = logging.getLogger(__name__)

Send: TypeAlias = Callable[[bytes, Any], object]
Later: TypeAlias = Callable[[float, Callable[[], None]], None]

ASKS_WITHIN_S: Final = 200.0
"""Forwarders ask every 5 to 60 s; the way through a router closes when they do not."""
EARLY_S: Final = 0.25
"""So long before a window a forwarder that sends at once is given its frame; its own clock is half a second late.

Source: Waziup/single_chan_pkt_fwd: main.go, lora/lora.go.
"""
CONFIRMS_WITHIN_S: Final = 2.0
MUTE_AFTER: Final = 3
"""So many frames in a row without TX_ACK are no accident."""
_WITH_TX_ACK: Final = 2
MAX_HOSTS: Final = 16
"""So many may ask in the name of one gateway; the one that was answered last keeps its place."""
MAX_FRAMES: Final = 256
_SECOND_US: Final = 1_000_000
_MAX_DELAY_S: Final = 16


class Txpk(Struct, frozen=True):
    """What a forwarder is to send; in the order of PROTOCOL.TXT. tmst: left out where it is sent at once."""

    tmst: int | UnsetType
    freq: float
    powe: int
    datr: str
    size: int
    data: str
    imme: bool = False
    rfch: int = 0
    modu: str = "LORA"
    codr: str = "4/5"
    ipol: bool = True


class _Asked(Struct, frozen=True):
    """Where a gateway asked from, in which version of the protocol, and when."""

    address: Any
    version: int
    asked_s: float


class _Gateway(Struct):
    """asked: by host. came_from: the hosts of its last frames, by their tmst. proved: that of the last answered one.

    clock: its counter, see `Station`, as its last frame told it. unconfirmed: frames in a row of which it said nothing.
    """

    asked: OrderedDict[str, _Asked] = field(default_factory=OrderedDict)
    came_from: OrderedDict[int, str] = field(default_factory=OrderedDict)
    proved: str = ""
    clock: tuple[int, float] = (0, 0.0)
    unconfirmed: int = 0


def _in_a_thread(seconds: float, do: Callable[[], None]) -> None:
    timer = Timer(seconds, do)
    timer.daemon = True
    timer.start()


class PullResponses:
    """The gateways of one port, as transmitters; safe to share between threads."""

    def __init__(
        self,
        name: str,
        send: Send,
        metrics: Metrics,
        monotonic: Callable[[], float],
        *,
        at_window: bool = False,
        later: Later = _in_a_thread,
    ) -> None:
        """name: how logs call the port. send: puts a datagram on its way to an address.

        at_window: the forwarders send at once whatever they are given, so they are given it when the window begins.
        later: does something after so many seconds.
        """
        self._at_window = at_window
        self._later = later
        self._name = name
        self._send = send
        self._metrics = metrics
        self._monotonic = monotonic
        self._lock = Lock()  # not held while somebody is told: that one may ask for other gateways
        self._channels = HeardChannels()
        self._gateways: OrderedDict[str, _Gateway] = OrderedDict()
        self._given = Given(CONFIRMS_WITHIN_S, monotonic)  # by token and host
        self._powers = Powers()
        self._token = randbelow(1 << 16)

    def asked(self, gateway: str, address: Any, version: int) -> None:
        """Note where a gateway asks for downlinks. version: of the protocol."""
        with self._lock:
            known, host = self._known(gateway), host_of(address)
            known.asked.pop(host, None)
            known.asked[host] = _Asked(address, version, self._monotonic())
            while len(known.asked) > MAX_HOSTS:
                kept = {known.proved, host, *known.came_from.values()}  # others are made up more easily
                del known.asked[next((each for each in known.asked if each not in kept), next(iter(known.asked)))]

    def heard(self, gateway: str, events: Sequence[Frame | Noise], arrived_s: float, host: str) -> None:
        """Note what frames tell of a gateway: its counter, its host, and that it has more than one channel."""
        with self._lock:
            known = self._known(gateway)
            for event in events:
                if isinstance(event, Frame) and event.tmst is not None:
                    known.clock = event.tmst, arrived_s
                    known.came_from[event.tmst] = host
                    if len(known.came_from) > MAX_FRAMES:
                        known.came_from.popitem(last=False)
                    self._channels.hear(gateway, event.rx.freq_mhz)

    def _known(self, gateway: str) -> _Gateway:
        known = self._gateways.pop(gateway, None) or _Gateway()
        self._gateways[gateway] = known  # the last one that was heard stands last
        while len(self._gateways) > MAX_GATEWAYS:
            self._gateways.popitem(last=False)
        return known

    def station(self, gateway: str) -> Station | None:
        """Return what is known of a gateway; None when it does not ask for downlinks."""
        with self._lock:
            known = self._gateways.get(gateway)
            since = self._monotonic() - ASKS_WITHIN_S
            if known is None or not any(each.asked_s >= since for each in known.asked.values()):
                return None
            many, round_trip_s = self._channels.are_many(gateway), self._given.round_trips.of(gateway)
            return Station(many, round_trip_s, known.unconfirmed, known.clock)

    def send(self, downlink: Downlink) -> None:
        """Hand a frame to its gateway for the first window that can still be met."""
        with self._lock:
            known = self._gateways.get(downlink.gateway)
            asked = _asked_for(known, downlink) if known else None
            clock = known.clock if known else (0, 0.0)
            lead = lead_s(self._given.round_trips.of(downlink.gateway))
        by = f"gateway {downlink.gateway}"
        if asked is None:
            why = "the host that its frames come from does not ask for downlinks"
            tell_not_sent(self._metrics, downlink, "", by, why)
            return
        missed_s = 0.0
        for number, window in enumerate(downlink.windows):
            left = lead if window.tmst is None else left_s(clock, window.tmst, self._monotonic())
            if left >= lead:
                in_time = replace(downlink, windows=downlink.windows[number:])
                if self._at_window and left > EARLY_S:
                    self._later(left - EARLY_S, partial(self._hand_over, asked, in_time))
                else:
                    self._hand_over(asked, in_time)
                return
            missed_s = lead - left
        window_name = downlink.windows[-1].name if downlink.windows else ""
        why = f"it is {int(missed_s * 1000)} ms too late for the last window"
        fate = f"{missed_s * 1000:.0f} ms too late"
        tell_not_sent(self._metrics, downlink, window_name, by, why, label="late", fate=fate)

    def _hand_over(self, asked: _Asked, downlink: Downlink) -> None:
        """Hand a frame over for the first of its windows; the others are left if that one is not met."""
        with self._lock:
            window = self._powers.within(downlink.gateway, downlink.windows[0], host_of(asked.address))
            downlink = replace(downlink, windows=(window, *downlink.windows[1:]))
            token = self._token = (self._token + 1) & 0xFFFF
            self._given.put((token, host_of(asked.address)), downlink)  # before it can be confirmed
        try:
            self._send(pull_resp(asked.version, token, txpk(downlink.phy_payload, window)), asked.address)
        except OSError as error:
            with self._lock:
                self._given.forget((token, host_of(asked.address)))
            tell_not_sent(self._metrics, downlink, window.name, f"gateway {downlink.gateway}", str(error))

    def confirmed(self, gateway: str, token: int, body: bytes, host: str) -> None:
        """Take a TX_ACK from who was given the frame; when it is not sent in a window, try the next one.

        Where its power was too much it goes once more with less.
        """
        with self._lock:
            downlink = self._given.find((token, host), gateway)
            if downlink is None:
                return
            self._given.remove((token, host))
            self._known(gateway).unconfirmed = 0
            error, warning = read_tx_ack(body)
            power_dbm = downlink.windows[0].slot.power_dbm
            is_weaker = error == REFUSED and self._powers.refused(gateway, power_dbm, host)
        name = downlink.windows[0].name
        if is_weaker:
            self.send(downlink)
            return
        if not error:
            more = f", with a warning: {warning}" if warning else ""
            tell_sent(self._metrics, downlink, name, f"gateway {gateway}", more)
            return
        why, by = explain_error(error), f"gateway {gateway} in {name}"
        fate = f"the gateway refused it (TX_ACK): {why}"
        is_taken = tell_not_sent(self._metrics, downlink, name, by, why, label=error_label(error), fate=fate)
        left = downlink.windows[1:]
        if left and not is_taken:
            self.send(replace(downlink, windows=left))

    def look_for_unconfirmed(self) -> None:
        """Tell of frames that a gateway was given and said nothing about."""
        with self._lock:
            silent = self._given.silent()
            mute = [downlink.gateway for downlink in silent if self._is_mute(downlink.gateway)]
        for gateway in mute:
            log.warning(
                "gateway %s has confirmed none of the last %s that it was to send: look into its own log; "
                "it says nothing of frames that it cannot read, and hears none where its serv_port_down is wrong",
                gateway,
                plural(MUTE_AFTER, "frame"),
            )
        for downlink in silent:
            tell_unconfirmed(self._metrics, downlink, downlink.windows[0].name, f"gateway {downlink.gateway}")

    def _is_mute(self, gateway: str) -> bool:
        """Count a frame without TX_ACK; tell whether it is time to say so. Version 1 of the protocol has none."""
        known = self._gateways.get(gateway)
        if known is None or all(each.version < _WITH_TX_ACK for each in known.asked.values()):
            return False
        known.unconfirmed += 1
        return known.unconfirmed == MUTE_AFTER


def host_of(address: Any) -> str:
    """Return the host of a socket's address."""
    return str(address[0])


def _asked_for(known: _Gateway, downlink: Downlink) -> _Asked | None:
    """Return where an answer goes: to the host that its uplink came from; None when that does not ask.

    Where one host alone asks it is that: a provider may give one gateway two addresses. Without such an uplink (class
    C) it goes where the last answer went, else where it was asked for last.
    """
    first = downlink.windows[0].tmst if downlink.windows else None
    if first is not None:
        for tmst, host in reversed(known.came_from.items()):
            delay_s, rest = divmod((first - tmst) % COUNTER, _SECOND_US)
            if not rest and 1 <= delay_s <= _MAX_DELAY_S:
                known.proved = host
                return known.asked.get(host) or (next(iter(known.asked.values())) if len(known.asked) == 1 else None)
    newest = next(reversed(known.asked.values()), None)
    return known.asked.get(known.proved, newest)


def txpk(phy_payload: bytes, window: Window) -> Txpk:
    """Return what a forwarder is told to send a frame in a window."""
    slot, tmst = window.slot, window.tmst
    data = binascii.b2a_base64(phy_payload, newline=False).decode()
    when = UNSET if tmst is None else tmst
    return Txpk(when, slot.hz / 1e6, slot.power_dbm, slot.rate.text, len(phy_payload), data, imme=tmst is None)
