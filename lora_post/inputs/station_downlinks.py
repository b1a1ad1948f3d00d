"""Send through Basics Stations: by `dnmsg`, which a `dntxed` confirms.

A station tries RX1, then RX2, and keeps duty cycles by itself; of what it cannot send it says nothing.

Source: lorabasics/basicstation: doc/tcproto, "Downlink messages"; src/s2e.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from secrets import randbelow
from threading import Lock
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.downlink.transmit import COUNTER, Downlink, Station, Window
from lora_post.formats.station_json import Message
from lora_post.inputs.given import Given, tell_not_sent, tell_sent, tell_unconfirmed
from lora_post.lorawan.region import Region, Slot
from lora_post.metrics import Metrics

CONFIRMS_WITHIN_S: Final = 10.0
"""RX2 after a join-request is 6 s later."""
KEEP_UPLINKS: Final = 256
MAX_DELAY_S: Final = 15
_CLASS_A, _CLASS_C = 0, 2
_SECOND_US: Final = 1_000_000

Say = Callable[[bytes], None]
"""Puts a message on its way to a station, from any thread."""


class _Heard(Struct, frozen=True):
    """What tells a station which uplink an answer belongs to."""

    xtime: int
    rctx: int


class _Linked(Struct):
    """A connection. latency_s: how long a ping takes, 0 while that was not measured."""

    say: Say
    heard: deque[_Heard]
    latency_s: Callable[[], float] = float


class StationDownlinks:
    """The stations of one port, as transmitters; safe to share between threads."""

    def __init__(self, region: Region, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        self._numbers = {(rate.sf, rate.bw_hz): number for number, rate in region.data_rates.items()}
        self._metrics = metrics
        self._lock = Lock()
        self._linked: dict[str, _Linked] = {}
        self._given = Given(CONFIRMS_WITHIN_S, monotonic)
        self._diid = randbelow(1 << 31)

    def linked(self, gateway: str, say: Say, latency_s: Callable[[], float] = float) -> None:
        """Note that a station has connected; what it said before is of another session of its radio.

        latency_s: of the connection, 0 while it is not known.
        """
        with self._lock:
            self._linked[gateway] = _Linked(say, deque(maxlen=KEEP_UPLINKS), latency_s)

    def unlinked(self, gateway: str, say: Say) -> None:
        """Note that a connection has ended, unless there is a newer one."""
        with self._lock:
            if gateway in self._linked and self._linked[gateway].say is say:
                del self._linked[gateway]

    def heard(self, gateway: str, message: Message, say: Say) -> None:
        """Note an uplink that may be answered, by the connection it came by: others may give the same EUI."""
        info = message.upinfo
        if isinstance(info.xtime, int) and info.xtime:
            rctx = info.rctx if isinstance(info.rctx, int) else 0
            with self._lock:
                linked = self._linked.get(gateway)
                if linked is None or linked.say is not say:
                    linked = self._linked[gateway] = _Linked(say, deque(maxlen=KEEP_UPLINKS))
                linked.heard.append(_Heard(info.xtime, rctx))

    def station(self, gateway: str) -> Station | None:
        with self._lock:
            linked = self._linked.get(gateway)
        return Station(many_channels=True, round_trip_s=linked.latency_s() or None) if linked else None

    def send(self, downlink: Downlink) -> None:
        with self._lock:
            linked = self._linked.get(downlink.gateway)
            fields = self._fields(downlink, linked) if linked else None
            if linked is not None and fields is not None:
                self._diid += 1
                self._given.put(self._diid, downlink)
                message = {
                    "msgtype": "dnmsg",
                    "DevEui": _dev_eui(self._diid),
                    "diid": self._diid,
                    "pdu": downlink.phy_payload.hex(),
                    "priority": 1,
                    **fields,
                }
                linked.say(msgspec.json.encode(message))
                return
        why = "the station does not know the uplink any more" if linked else "the station is not connected any more"
        tell_not_sent(self._metrics, downlink, "", f"station {downlink.gateway}", why)

    def _fields(self, downlink: Downlink, linked: _Linked) -> dict[str, object] | None:
        """Return when and how to send; None when the uplink that is answered is not known."""
        first = downlink.windows[0]
        if first.tmst is None:
            return {"dC": _CLASS_C, "RxDelay": 1, **self._slot("RX2", first.slot)}
        found = _answered(first, linked)
        if found is None:
            return None
        heard, delay_s = found
        fields: dict[str, object] = {"dC": _CLASS_A, "RxDelay": delay_s, "xtime": heard.xtime, "rctx": heard.rctx}
        for window in downlink.windows:
            fields |= self._slot(window.name, window.slot)
        return fields

    def _slot(self, window: str, slot: Slot) -> dict[str, object]:
        return {f"{window}DR": self._numbers[slot.rate.sf, slot.rate.bw_hz], f"{window}Freq": slot.hz}

    def sent(self, gateway: str, message: Message) -> None:
        """Take a `dntxed`."""
        with self._lock:
            downlink = self._given.find(message.diid, gateway)
            if downlink is None:
                return
            self._given.remove(message.diid)
        tell_sent(self._metrics, downlink, _window_at(downlink, message.xtime), f"station {gateway}")

    def look_for_unconfirmed(self) -> None:
        """Tell of frames that a station was given and did not send, or has not said so."""
        with self._lock:
            silent = self._given.silent()
        for downlink in silent:
            tell_unconfirmed(self._metrics, downlink, downlink.windows[-1].name, f"station {downlink.gateway}")


def _dev_eui(diid: int) -> str:
    """Return a number as a DevEUI: a station writes it to its log, and sends no `dntxed` for a frame whose is 0."""
    return diid.to_bytes(8).hex("-")


def _answered(first: Window, linked: _Linked) -> tuple[_Heard, int] | None:
    """Return the uplink before a window, and RxDelay in s: uplinks are told apart by the µs."""
    assert first.tmst is not None  # noqa: S101 - of class A
    early = 1 if first.name == "RX2" else 0
    for heard in reversed(linked.heard):
        delay_s, rest = divmod((first.tmst - heard.xtime) % COUNTER, _SECOND_US)
        if not rest and 1 <= delay_s - early <= MAX_DELAY_S:
            return heard, delay_s - early
    return None


def _window_at(downlink: Downlink, xtime: int) -> str:
    """Return the window in which a frame was sent; xtime: 0 where that is not told."""
    timed = [window for window in downlink.windows if window.tmst is not None]
    if not timed or not xtime:
        return downlink.windows[0].name
    return min(timed, key=lambda window: abs((xtime - (window.tmst or 0) + COUNTER // 2) % COUNTER - COUNTER // 2)).name
