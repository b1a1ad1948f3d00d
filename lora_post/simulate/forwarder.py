"""A packet forwarder that hears devices which join and are answered, in real time: the other end of `udp://`.

Sources: Lora-net/packet_forwarder: PROTOCOL.TXT, version 1.4, sections 3 to 6.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from threading import Event
from time import monotonic_ns
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import now_us
from lora_post.formats.semtech_udp import PULL_ACK, PULL_DATA, PULL_RESP, TX_ACK
from lora_post.lorawan.phy_payload import MType, message_type, parse_data_frame
from lora_post.lorawan.region import DataRate
from lora_post.model import Frame, RxInfo
from lora_post.simulate.devices import GATEWAY
from lora_post.simulate.end_device import SECOND_US, EndDevice, Radio, Sent
from lora_post.simulate.format_writers import push_data

ASK_EVERY_US: Final = 10 * SECOND_US
ASK_FIRST_US: Final = SECOND_US // 2
"""So often until there is an answer: a server that is started later can answer the first device."""
LISTENS_US: Final = 3 * SECOND_US
"""From the beginning of RX1 until a device ends listening."""
_COUNTER: Final = 1 << 32
_VERSION: Final = 2
_LOOK_S: Final = 0.5


class _Txpk(Struct):
    freq: float
    datr: str
    data: str
    tmst: int | None = None
    imme: bool = False


class _PullResp(Struct):
    txpk: _Txpk


class SimulatedForwarder:
    """Hands what devices send to a server, and what it answers to the devices.

    downlinks: how many it has sent. missed: those that came too late, or that no device listens to; told, too.
    """

    def __init__(
        self,
        devices: Mapping[str, EndDevice],
        eui: bytes,
        send: Callable[[bytes], object],
        receive: Callable[[float], bytes],
        tell: Callable[[str], object],
    ) -> None:
        """send, receive: datagrams; receive waits for so many seconds and returns b"" for none. tell: of mistakes."""
        self.downlinks = self.missed = 0
        self._devices, self._eui = devices, eui
        self._send, self._receive, self._tell = send, receive, tell
        self._start_ns = monotonic_ns()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()
        self._listening: dict[str, EndDevice] = {}
        self._told = dict.fromkeys(devices, 0)
        self._is_heard = False
        self._at(0, self._ask)
        for name, device in devices.items():
            self._at_next(name, device)

    def run(self, stop: Event, is_enough: Callable[[], bool]) -> None:
        """Work until it is to stop, or it is enough."""
        while not stop.is_set() and not is_enough():
            wait_s = (self._due[0][0] - self._now_us()) / SECOND_US
            if wait_s > 0:
                datagram = self._receive(min(wait_s, _LOOK_S))
                if datagram:
                    self._take(datagram)
                continue
            heappop(self._due)[2]()

    def _at(self, at_us: int, act: Callable[[], None]) -> None:
        heappush(self._due, (at_us, next(self._numbers), act))

    def _now_us(self) -> int:
        return (monotonic_ns() - self._start_ns) // 1000

    def _ask(self) -> None:
        self._send(bytes((_VERSION, 0, 0, PULL_DATA)) + self._eui)
        self._at(self._now_us() + (ASK_EVERY_US if self._is_heard else ASK_FIRST_US), self._ask)

    def _at_next(self, name: str, device: EndDevice) -> None:
        at_us = device.next_us
        self._at(at_us, lambda: self._turn(name, at_us))

    def _turn(self, name: str, at_us: int) -> None:
        device = self._devices[name]
        if device.next_us != at_us or name in self._listening:
            return  # it had more to say, and has said it before
        sent = device.send()
        self._listening[name] = device
        self._at(sent.end_us, lambda: self._push(sent))
        self._at(device.listens_from_us + LISTENS_US, lambda: self._close(name))

    def _push(self, sent: Sent) -> None:
        rate, hz = sent.radio.rate, sent.radio.hz
        rx = RxInfo(-80, 7.0, rate.sf, rate.bw_hz / 1000, "4/5", hz / 1e6)
        frame = Frame(GATEWAY, now_us(), sent.phy_payload, rx, tmst=sent.end_us % _COUNTER)
        self._send(push_data(frame, next(self._numbers), self._eui))

    def _close(self, name: str) -> None:
        device = self._listening.pop(name)
        device.close()
        for text in device.complaints[self._told[name] :]:
            self._tell(f"{name} ({device.version}): {text}")
        self._told[name] = len(device.complaints)
        self._at_next(name, device)

    # What the server sends

    def _take(self, datagram: bytes) -> None:
        self._is_heard |= datagram[3:4] == bytes((PULL_ACK,))
        if len(datagram) < 4 or datagram[3] != PULL_RESP:
            return
        txpk = msgspec.json.decode(datagram[4:], type=_PullResp).txpk
        now = self._now_us()
        ahead = 0 if txpk.imme or txpk.tmst is None else (txpk.tmst - now) % _COUNTER
        is_late = ahead > _COUNTER // 2
        error = b'{"txpk_ack":{"error":"TOO_LATE"}}' if is_late else b""
        self._send(bytes((_VERSION, *datagram[1:3], TX_ACK)) + self._eui + error)
        if is_late:
            self._miss(f"a downlink came {(_COUNTER - ahead) // 1000} ms too late for its window")
            return
        radio = Radio(round(txpk.freq * 1e6), _rate(txpk.datr))
        phy_payload = binascii.a2b_base64(txpk.data)
        self._at(now + ahead, lambda: self._transmit(now + ahead, radio, phy_payload))

    def _transmit(self, at_us: int, radio: Radio, phy_payload: bytes) -> None:
        self.downlinks += 1
        listening = [item for item in self._devices.items() if item[1].listens(at_us, radio)]
        if message_type(phy_payload) is MType.JOIN_ACCEPT:
            listening = [item for item in listening if item[1].asks]
        else:
            dev_addr = parse_data_frame(phy_payload).dev_addr
            listening = [item for item in listening if item[1].dev_addr == dev_addr]
        for name, device in listening[:1]:  # others drop it
            device.hear(at_us, radio, phy_payload)
            self._at_next(name, device)
        if not listening:
            self._miss(f"no device listens at {at_us} on {radio.hz} Hz, {radio.rate.text}")

    def _miss(self, text: str) -> None:
        self.missed += 1
        self._tell(text)


def _rate(datr: str) -> DataRate:
    sf, _, bw_khz = datr.removeprefix("SF").partition("BW")
    return DataRate(int(sf), int(bw_khz) * 1000, 0)
