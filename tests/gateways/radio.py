"""The radio of a gateway's program: a Unix socket that gives it packets and takes those that it sends.

Basics Station's simulated concentrator and `hal.c` speak alike: structs of libloragw 5, as they lie in memory of a
64 bit machine. The first one from the program tells when its counter began, in µs of the monotonic clock.

Source: Lora-net/lora_gateway: libloragw/inc/loragw_hal.h; lorabasics/basicstation: src/lgwsim.c.
"""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from typing import Final, NamedTuple

from lora_post.lorawan.region import DataRate
from lora_post.simulate.end_device import Radio, Sent

_TO_PROGRAM: Final = struct.Struct("@IBBIBBBIBffffHH")
_FROM_PROGRAM: Final = struct.Struct("@IBIBbBBIBBBHBBH")
_TO_SIZE, _TO_PAYLOAD = 300, 44
_FROM_SIZE, _FROM_PAYLOAD = 288, 30
_CRC_OK, _LORA = 0x10, 0x10
_IMMEDIATE: Final = 0
_BANDWIDTHS: Final = {125_000: 3, 250_000: 2, 500_000: 1}
_SECOND_US: Final = 1_000_000


class OnAir(NamedTuple):
    """A frame that the program sends. at_us: when it begins, by the radio's counter."""

    at_us: int
    radio: Radio
    phy_payload: bytes


class SocketRadio:
    """One radio; `now_us` is its counter, which does not wrap here."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._program = self._listener
        self._began_us = 0
        self._rest = b""

    def accept(self, within_s: float) -> None:
        """Wait for the program. Raises TimeoutError."""
        self._listener.settimeout(within_s)
        self._program, _ = self._listener.accept()
        self._program.settimeout(within_s)
        hello = _FROM_PROGRAM.unpack_from(self._program.recv(_FROM_SIZE, socket.MSG_WAITALL))
        self._began_us = (hello[0] << 32) + hello[2]
        self._program.setblocking(False)

    def now_us(self) -> int:
        return time.monotonic_ns() // 1000 - self._began_us

    def give(self, sent: Sent, rssi_dbm: float) -> None:
        """Have the program receive a frame."""
        rate, size = sent.radio.rate, len(sent.phy_payload)
        counter, sf = sent.end_us & 0xFFFFFFFF, 1 << (rate.sf - 6)
        head = (sent.radio.hz, 0, _CRC_OK, counter, 0, _LORA, _BANDWIDTHS[rate.bw_hz], sf, 1)
        packed = _TO_PROGRAM.pack(*head, rssi_dbm, 9.0, 8.7, 9.3, 0, size)
        self._program.sendall(packed + sent.phy_payload + bytes(_TO_SIZE - _TO_PAYLOAD - size))

    def sent(self, rates: list[DataRate]) -> list[OnAir]:
        """Return what the program has sent since."""
        try:
            while data := self._program.recv(1 << 16):
                self._rest += data
        except BlockingIOError:
            pass
        found = []
        while len(self._rest) >= _FROM_SIZE:
            found.append(self._on_air(self._rest[:_FROM_SIZE], rates))
            self._rest = self._rest[_FROM_SIZE:]
        return found

    def _on_air(self, packet: bytes, rates: list[DataRate]) -> OnAir:
        hz, mode, counter, _, _, _, bandwidth, datarate, *_, size = _FROM_PROGRAM.unpack_from(packet)
        now_us = self.now_us()
        lead_us = (counter - now_us + (1 << 31)) % (1 << 32) - (1 << 31)
        sf = datarate.bit_length() + 5
        rate = next(each for each in rates if (each.sf, _BANDWIDTHS[each.bw_hz]) == (sf, bandwidth))
        at_us = now_us if mode == _IMMEDIATE else now_us + lead_us
        return OnAir(at_us, Radio(hz, rate), packet[_FROM_PAYLOAD : _FROM_PAYLOAD + size])

    def close(self) -> None:
        self._program.close()
        self._listener.close()
