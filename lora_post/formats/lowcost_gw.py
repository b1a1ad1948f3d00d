"""What LowCostLoRaGw's radio programs print: text lines and binary payloads in one stream.

    --- rxlora[N]. dst=D type=0xTT src=S …        for people
    ^pD,T,S,Q,L,n,r                               header fields, payload length, SNR, RSSI
    ^rb,c,s[,f]                                   bandwidth, coding rate, spreading factor, kHz
    ^tYYYY-MM-DDTHH:MM:SS.uuuuuu*M                time of reception; not from an Arduino
    FF FE, then L bytes, or 3 × L characters "0A 00 FF " in hex mode, then a line end

The payload may hold anything, line feeds and false headers too: only L says where it ends. A line
end is "\\n", or "\\r\\n" from an Arduino gateway. All other lines are talk and are passed over.

Sources: CongducPham/LowCostLoRaGw: gw_full_latest/SX12XX_lora_gateway.cpp, SX1272_lora_gateway.cpp,
scripts/rak2245-rak831/lora_pkt_fwd_formatter.py; Arduino/Arduino_LoRa_Gateway/Arduino_LoRa_Gateway.ino.
"""

from __future__ import annotations

import re
from copy import copy
from datetime import tzinfo
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.formats.line_reader import show
from lora_post.formats.lowcost_text import (
    NO_RADIO,
    TMST_RANGE,
    four_byte_header,
    match_header,
    match_packet,
    match_radio,
    match_time,
    read_radio,
    reception_us,
    rssi_of,
    size_of,
    snr_of,
    usual_reception_us,
)
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from lora_post.times import WallUs

MAX_LINE: Final = 1024
"""No line of the programs has 200 characters; a longer one is noise on the wire."""

MAX_PAUSE_US: Final = 2_000_000
"""The programs write a packet in one go; a longer silence inside it means that the rest was lost."""

_begins_in_hex: Final = re.compile(rb"(?:[0-9A-F]{2} )*[0-9A-F]{0,2}").fullmatch
_is_hex: Final = re.compile(rb"(?:[0-9A-F]{2} )*").fullmatch

_PREFIX: Final = b"\xff\xfe"
_LF: Final = 0x0A
_CR: Final = 0x0D
_NO_ADDRESS: Final = b"0,0,0,0"
_LOWCOST: Final = Link.LOWCOST


class Announced(Struct, frozen=True):
    """What the lines before a payload say of it, most of it as printed. time_us: None where they tell none."""

    address: bytes
    size: int
    snr: bytes
    rssi: bytes
    radio: bytes | None = None
    time_us: WallUs | None = None
    tmst: int | None = None

    @property
    def text(self) -> bytes:
        """The line with its numbers."""
        return b"^p%b,%d,%b,%b" % (self.address, self.size, self.snr, self.rssi)


class LowcostParser:
    """Reads the output of one radio program.

    gateway: its id, for the frames. zone: of the machine that the program runs on, for times that
    do not tell theirs. Holds at most one line or one payload, about 1 kB.

    The program either takes the four-byte header off, and ^p has its fields, or it passes frames
    raw, and those fields mean nothing. They are believed when they are what the program lets
    through in the first case: to 0 or 1, data or acknowledgement, from 1 or higher; then the frame
    gets its header back. That is safe: raw, the programs print zeros or a leftover, and should the
    leftover be believed, a LoRaWAN frame becomes a packet without MIC from some source address,
    which is at worst an unreadable payload. It never makes anything authentic.
    """

    def __init__(self, gateway: str, zone: tzinfo) -> None:
        self._gateway = gateway
        self._zone = zone
        self._held = b""  # begins where a line begins, unless _skipping
        self._wanted = 0  # a payload is awaited, and fewer bytes than this do not complete it
        self._skipping = False  # the rest of the line is noise
        self._announced: Announced | None = None
        self._radio_text: bytes | None = None
        self._radio = NO_RADIO  # of the last frame; it hardly ever changes
        self._fed_us = WallUs(0)

    def copied(self) -> LowcostParser:
        """Return another one that goes on from here."""
        return copy(self)

    def feed(self, data: bytes, now_us: WallUs) -> list[Frame | Noise]:
        """Take bytes that arrived at now_us; return what they complete. b"": only time has passed."""
        if not data:
            return self._give_up(now_us) if now_us - self._fed_us > MAX_PAUSE_US else []
        self._fed_us = now_us
        self._held += data
        return self._parse(now_us) if len(self._held) >= self._wanted else []

    def finish(self, now_us: WallUs) -> list[Frame | Noise]:
        """End the input: what has begun is lost; return what is found inside it."""
        events = self._give_up(now_us)
        self._held, self._skipping = b"", False
        return events

    def _give_up(self, now_us: WallUs) -> list[Frame | Noise]:
        """Stop waiting for a payload; there may be whole packets in what was taken for its bytes."""
        events: list[Frame | Noise] = []
        while self._announced is not None:
            if self._held.startswith(_PREFIX):
                at = self._damaged(NoiseReason.TRUNCATED, self._held, 0, len(self._held), events)
                self._held = self._held[at:]
                events += self._parse(now_us)
            else:
                self._drop_header(events)
        return events

    def _parse(self, now_us: WallUs) -> list[Frame | Noise]:
        """Take from the held bytes all that is complete."""
        events: list[Frame | Noise] = []
        held, at = self._held, 0
        end = len(held)
        self._wanted = 0
        while at < end:
            if self._skipping:
                at = held.find(b"\n", at) + 1 or end
                self._skipping = held[at - 1] != _LF
            elif (
                (match := match_packet(held, at))
                and (size := size_of(match[2])) is not None
                and (stop := (start := match.end()) + size) < end
                and held[stop] == _LF
            ):
                if self._announced is not None:
                    self._drop_header(events)
                address, _, snr, rssi, radio, minute, second, fraction, tmst_text = match.groups()
                tmst = int(tmst_text)
                printed_us = usual_reception_us(minute, second, fraction, tmst)
                time_us = now_us if printed_us is None else printed_us
                events.append(self._frame(held[start:stop], address, snr, rssi, radio, time_us, tmst))
                at = stop + 1
            elif self._announced is not None and held.startswith(_PREFIX, at):
                used = self._take_payload(self._announced, held, at, now_us, events)
                if not used:
                    break
                at += used
            elif line_end := held.find(b"\n", at, at + MAX_LINE) + 1:
                self._take_line(held[at:line_end], events)
                at = line_end
            elif end - at >= MAX_LINE:
                events.append(Noise(NoiseReason.LINE_TOO_LONG, MAX_LINE, show(held[at : at + MAX_LINE])))
                self._skipping = True
                at += MAX_LINE
            else:
                break
        self._held = held[at:]
        return events

    def _take_line(self, line: bytes, events: list[Frame | Noise]) -> None:
        if line.startswith(b"^p"):
            self._drop_header(events)
            match = match_header(line)
            size = size_of(match[2]) if match else None
            if match and size is not None:
                self._announced = Announced(match[1], size, match[3], match[4])
            else:
                events.append(Noise(NoiseReason.BAD_HEADER, len(line), show(line)))
        elif line.startswith(b"---"):
            self._drop_header(events)
        elif line.startswith(_PREFIX):
            events.append(Noise(NoiseReason.STRAY_PAYLOAD, len(line), show(line)))
        elif line.startswith(b"^$Receive error"):
            events.append(Noise(NoiseReason.RECEIVE_ERROR, len(line), show(line[2:])))
        elif self._announced is not None:
            if match := match_radio(line):
                self._announced = replace(self._announced, radio=match[1])
            elif match := match_time(line):
                time, zone, tmst_text = match.groups()
                tmst = None if tmst_text is None else int(tmst_text)
                self._announced = replace(
                    self._announced, time_us=reception_us(time, zone, tmst, self._zone), tmst=tmst
                )

    def _drop_header(self, events: list[Frame | Noise]) -> None:
        """Drop an announced packet without payload: a new one begins, or none comes."""
        announced, self._announced = self._announced, None
        if announced is not None:
            text = announced.text
            events.append(Noise(NoiseReason.NO_PAYLOAD, len(text) + 1, show(text)))

    def _take_payload(
        self, announced: Announced, held: bytes, at: int, now_us: WallUs, events: list[Frame | Noise]
    ) -> int:
        """Take the payload behind the FF FE at `at`; return how many bytes it took, 0 to wait."""
        size = announced.size
        start = at + 2
        stop = start + size
        line_end = _line_end(held, stop)
        if line_end:
            payload = held[start:stop]
        else:
            # Position L of a payload in hex is never a line end, so the two cannot be confused.
            in_hex = line_end == 0 and _begins_in_hex(held, start, stop + 1)
            if in_hex:
                stop = start + 3 * size
                line_end = _line_end(held, stop)
            if line_end is None:
                self._wanted = max(stop, len(held)) + 1 - at
                return 0
            if not (in_hex and line_end and _is_hex(held, start, stop)):
                return self._damaged(NoiseReason.DAMAGED, held, at, start + size + 1, events)
            payload = bytes.fromhex(held[start:stop].decode())
        self._announced = None
        time_us = now_us if announced.time_us is None else announced.time_us
        rx = announced.address, announced.snr, announced.rssi, announced.radio
        events.append(self._frame(payload, *rx, time_us, announced.tmst))
        return stop + line_end - at

    def _damaged(self, reason: NoiseReason, held: bytes, at: int, end: int, events: list[Frame | Noise]) -> int:
        """Give up a payload whose bytes were lost or added; look for lines right behind its FF FE."""
        lost = held[at : held.find(b"\n", at, end) + 1 or end]
        announced = self._announced.size if self._announced else "?"
        events.append(Noise(reason, len(lost), f"{announced} bytes announced: {show(lost)}"))
        self._announced = None
        self._skipping = True
        return 2

    def _frame(
        self,
        payload: bytes,
        address: bytes,
        snr: bytes,
        rssi: bytes,
        radio: bytes | None,
        time_us: WallUs,
        tmst: int | None,
        /,
    ) -> Frame:
        link = None
        if address != _NO_ADDRESS and (header := four_byte_header(address)):
            payload, link = header + payload, _LOWCOST
        if radio != self._radio_text:
            self._radio_text, self._radio = radio, read_radio(radio)
        sf, bw_khz, cr, freq_mhz = self._radio
        rx = RxInfo(rssi_of(rssi), snr_of(snr), sf, bw_khz, cr, freq_mhz)
        return Frame(self._gateway, time_us, payload, rx, link, None if tmst is None else tmst % TMST_RANGE)


def _line_end(held: bytes, at: int) -> int | None:
    """Return the length of the line end here, 0 for another byte, None if bytes are missing."""
    if at >= len(held):
        return None
    if held[at] == _LF:
        return 1
    if held[at] != _CR:
        return 0
    if at + 1 == len(held):
        return None
    return 2 if held[at + 1] == _LF else 0
