"""What REYAX RYLR modules print when they receive: bytes as they are, behind their number.

    +RCV=120,14,…14 bytes…,-101,-4\\r\\n     sender's address, length, data, RSSI, SNR

The data may hold commas and line ends: only the length says where it ends. Some firmware leaves
RSSI and SNR away. Answers to commands (+OK, +ERR=…) are passed over.

The modules have a header of their own on air and give only its address, so the frame is put together
as LowCostLoRaGw's four-byte header would have it: from that address to the gateway, data, sequence
number 0. That makes a module with address 7 a [[device]] with address = 7.

Source: REYAX, LoRa AT Command Guide (RYLR998, RYLR896), section "+RCV".
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

from lora_post.formats.line_reader import show
from lora_post.lowcost import header as lowcost
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from lora_post.times import WallUs

MAX_LINE: Final = 256
"""Answers to commands are much shorter."""

MAX_PAUSE_US: Final = 2_000_000
"""The modules print a packet in one go; after a longer silence its rest is lost."""

_MAX_DATA: Final = 240
_MAX_TRAILER: Final = 14
_PREFIX: Final = b"+RCV="
_header: Final = re.compile(rb"\+RCV=(\d{1,5}),(\d{1,3}),").match
_trailer: Final = re.compile(rb"(?:,(-?\d{1,4}),(-?\d{1,4}))?\r?\n").match
_ADDRESSES: Final = range(1, 256)
_LOWCOST: Final = Link.LOWCOST


class ReyaxParser:
    """Reads the output of one module; holds at most one packet or line, about 300 bytes.

    zone: not used, the modules know no time.
    """

    def __init__(self, gateway: str, zone: tzinfo) -> None:
        self._gateway = gateway
        self._held = b""  # begins where a line begins, unless _skipping
        self._skipping = False  # the rest of the line is noise
        self._fed_us = WallUs(0)

    def feed(self, data: bytes, now_us: WallUs) -> list[Frame | Noise]:
        """Take bytes that arrived at now_us; return what they complete. b"": only time has passed."""
        if not data:
            return self.finish(now_us) if now_us - self._fed_us > MAX_PAUSE_US else []
        self._fed_us = now_us
        self._held += data
        return self._parse(now_us)

    def finish(self, now_us: WallUs) -> list[Frame | Noise]:
        """End the input, or a pause: what has begun is lost; return what is found inside it."""
        events: list[Frame | Noise] = []
        while self._held and not self._skipping:
            first_line = self._held[: self._held.find(b"\n") + 1 or len(self._held)]
            events.append(Noise(NoiseReason.TRUNCATED, len(first_line), show(first_line)))
            self._held = self._held[len(first_line) :]
            events += self._parse(now_us)
        self._held, self._skipping = b"", False
        return events

    def _parse(self, now_us: WallUs) -> list[Frame | Noise]:
        """Take from the held bytes all that is complete."""
        events: list[Frame | Noise] = []
        held, at = self._held, 0
        end = len(held)
        while at < end:
            if self._skipping:
                at = held.find(b"\n", at) + 1 or end
                self._skipping = held[at - 1] != 0x0A
            elif (header := _header(held, at)) and int(header[2]) <= _MAX_DATA:
                start = header.end()
                stop = start + int(header[2])
                trailer = _trailer(held, stop)
                if trailer is None and end - stop < _MAX_TRAILER and held.find(b"\n", stop) < 0:
                    break
                if trailer is None:
                    # Bytes were lost or added: a packet may begin on any line of what was taken for data.
                    lost = held[at : held.find(b"\n", at, stop + _MAX_TRAILER) + 1 or stop]
                    events.append(Noise(NoiseReason.DAMAGED, len(lost), show(lost)))
                    self._skipping = True
                    at += len(_PREFIX)
                else:
                    size = trailer.end() - at
                    events.append(self._frame(header[1], held[start:stop], trailer, size, now_us))
                    at += size
            elif line_end := held.find(b"\n", at, at + MAX_LINE) + 1:
                line = held[at:line_end]
                if line.startswith(_PREFIX):
                    events.append(Noise(NoiseReason.BAD_HEADER, len(line), show(line)))
                at = line_end
            elif end - at >= MAX_LINE:
                events.append(Noise(NoiseReason.LINE_TOO_LONG, MAX_LINE, show(held[at : at + MAX_LINE])))
                self._skipping = True
                at += MAX_LINE
            else:
                break
        self._held = held[at:]
        return events

    def _frame(self, address: bytes, data: bytes, trailer: re.Match[bytes], size: int, now_us: WallUs) -> Frame | Noise:
        src = int(address)
        if src not in _ADDRESSES:
            hint = f"address {src}, want 1 to 255: AT+ADDRESS=… on the sending module"
            return Noise(NoiseReason.BAD_HEADER, size, hint)
        packet = lowcost.build_header(lowcost.Header(lowcost.GATEWAY, lowcost.DATA, src, 0)) + data
        rssi, snr = (None if level is None else int(level) for level in trailer.groups())
        return Frame(self._gateway, now_us, packet, RxInfo(rssi, snr), _LOWCOST)
