"""What serial radio modules print when they receive: lines with the payload in hex.

    radio_rx  4003…                     RN2483, RN2903; SNR and RSSI follow as bare numbers when they were asked for
    +EVT:RXP2P:-57:8:4003…              RAK, RUI3
    +EVT:RXP2P, RSSI -57, SNR 8         RAK, RUI3 before 1.0.4: two lines, the second
    +EVT:4003…                          directly behind the first
    at+recv=0,-57,8,2:4003              RAK811, firmware 3: port, RSSI, SNR, length
    at+recv=0,0,-57,8,2,4003            RAK811, firmware 2: status before them; other than 0 it is an event

Answers to commands and the modules' own LoRaWAN downlinks are passed over. REYAX modules do not
print hex: `at_reyax`.

Sources: Microchip, RN2483 LoRa Technology Module Command Reference User's Guide, sections 2.4 and 2.5;
RAKwireless, RUI3 AT Command Manual, P2P commands; RAK811 AT Command Manual, at+recv.
"""

from __future__ import annotations

import binascii
import re
from datetime import tzinfo
from typing import Final, Protocol

from lora_post.formats.line_reader import LineReader, show
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD
from lora_post.model import Frame, Noise, NoiseReason, RxInfo
from lora_post.times import WallUs

MAX_LINE: Final = 1024
"""255 bytes in hex and a few words; a longer line is noise on the wire."""

MAX_PAUSE_US: Final = 2_000_000
"""The modules print a line in one go; after a longer silence its rest is lost."""

_rn_receive: Final = re.compile(rb"radio_rx +(\S+)").fullmatch
_level: Final = re.compile(rb"-?\d{1,3}").fullmatch
_rui3: Final = re.compile(rb"RXP2P:(-?\d{1,3}):(-?\d{1,3}):(\S*)").fullmatch
_rui3_old: Final = re.compile(rb"RXP2P, RSSI (-?\d{1,3}), SNR (-?\d{1,3})").fullmatch
_rui3_payload: Final = re.compile(rb"(?:[0-9A-Fa-f]{2})+").fullmatch
_RAK811: Final = rb"\d{1,3},(-?\d{1,3}),(-?\d{1,3}),(\d{1,3})"
_rak811_v3: Final = re.compile(rb"at\+recv=" + _RAK811 + rb"(?::(\S*))?").fullmatch
_rak811_v2: Final = re.compile(rb"at\+recv=0," + _RAK811 + rb"(?:,(\S*))?").fullmatch
_rak811_event: Final = re.compile(
    rb"at\+recv=(?:\d{1,3}(?:,\d{1,3}){2}|[1-9]\d{0,2}(?:,-?\d{1,3}){4}(?:,.*)?)"
).fullmatch


class Dialect(Protocol):
    """What one kind of module says; remembers at most what it said last."""

    def take(self, line: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
        """Take one line, without blanks around it; never empty."""
        ...

    def give_up(self) -> list[Frame | Noise]:
        """Give up what waits for a next line: it does not come."""
        ...


class ModemParser:
    """Reads the lines of one module; holds at most one of them, about 1 kB."""

    def __init__(self, gateway: str, dialect: Dialect) -> None:
        self._gateway = gateway
        self._dialect = dialect
        self._lines = LineReader(MAX_LINE)
        self._fed_us = WallUs(0)

    def feed(self, data: bytes, now_us: WallUs) -> list[Frame | Noise]:
        """Take bytes that arrived at now_us; return what they complete. b"": only time has passed."""
        if not data:
            return self.finish(now_us) if now_us - self._fed_us > MAX_PAUSE_US else []
        self._fed_us = now_us
        events: list[Frame | Noise] = []
        for line in self._lines.feed(data):
            if isinstance(line, Noise):
                events += self._dialect.give_up()
                events.append(line)
            elif text := line.strip():
                events += self._dialect.take(text, self._gateway, now_us)
        return events

    def finish(self, now_us: WallUs) -> list[Frame | Noise]:
        """End the input, or a pause: a line without end is cut short."""
        events = self._dialect.give_up()
        if rest := self._lines.take_rest():
            events.append(Noise(NoiseReason.TRUNCATED, len(rest), show(rest)))
        return events


class Rn2483:
    """Microchip's modules. A frame waits for the two numbers that may follow it: SNR, then RSSI."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._snr: int | None = None

    def take(self, line: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
        # A damaged line end joins two lines; the word for a frame begins the second one.
        line = line[max(line.rfind(b"radio_rx"), 0) :]
        if self._frame is not None and _level(line):
            if self._snr is None:
                self._snr = int(line)
                return []
            return self._complete(int(line))
        events = self.give_up()
        if received := _rn_receive(line):
            frame = _frame(line, gateway, now_us, received[1], RxInfo())
            if isinstance(frame, Noise):
                events.append(frame)
            else:
                self._frame = frame
        elif line.startswith(b"radio_rx"):
            events.append(_bad(line))
        elif line == b"radio_err":
            events.append(Noise(NoiseReason.RECEIVE_ERROR, len(line), "radio_err"))
        return events

    def give_up(self) -> list[Frame | Noise]:
        return self._complete(None)

    def _complete(self, rssi: int | None) -> list[Frame | Noise]:
        frame, snr = self._frame, self._snr
        self._frame = self._snr = None
        if frame is None:
            return []
        return [Frame(frame.gateway, frame.time_us, frame.phy_payload, RxInfo(rssi, snr))]


class Rak:
    """RAKwireless' modules, all three generations."""

    def __init__(self) -> None:
        self._announced: tuple[bytes, RxInfo] | None = None  # the first of two lines, and what it says

    def take(self, line: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
        line = line[max(line.rfind(b"+EVT:"), line.rfind(b"at+recv="), 0) :]
        if not line.startswith(b"+EVT:"):
            events = self.give_up()
            return [*events, _read_rak811(line, gateway, now_us)] if _is_received(line) else events
        said = line[5:]
        if _rui3_payload(said):
            if self._announced is None:
                return [Noise(NoiseReason.STRAY_PAYLOAD, len(line), show(line))]
            rx = self._announced[1]
            self._announced = None
            return [_frame(line, gateway, now_us, said, rx)]
        events = self.give_up()
        if received := _rui3(said):
            rssi, snr, payload = received.groups()
            events.append(_frame(line, gateway, now_us, payload, RxInfo(int(rssi), int(snr))))
        elif announced := _rui3_old(said):
            self._announced = line, RxInfo(int(announced[1]), int(announced[2]))
        elif said == b"RXP2P RECEIVE ERROR":
            events.append(Noise(NoiseReason.RECEIVE_ERROR, len(line), show(said)))
        elif said.startswith(b"RXP2P") and said != b"RXP2P RECEIVE TIMEOUT":
            events.append(_bad(line))
        return events

    def give_up(self) -> list[Frame | Noise]:
        announced, self._announced = self._announced, None
        return [] if announced is None else [Noise(NoiseReason.NO_PAYLOAD, len(announced[0]), show(announced[0]))]


def rn2483_parser(gateway: str, zone: tzinfo) -> ModemParser:
    """Return a parser for RN2483 and RN2903. zone: not used, modules know no time."""
    return ModemParser(gateway, Rn2483())


def rak_parser(gateway: str, zone: tzinfo) -> ModemParser:
    """Return a parser for RAK3172, RAK4631 and others with RUI3, and for RAK811."""
    return ModemParser(gateway, Rak())


def _is_received(line: bytes) -> bool:
    return line.startswith(b"at+recv=") and not _rak811_event(line)


def _read_rak811(line: bytes, gateway: str, now_us: WallUs) -> Frame | Noise:
    received = _rak811_v3(line) or _rak811_v2(line)
    if received is None:
        return _bad(line)
    rssi, snr, size, payload = received.groups(b"")
    if 2 * int(size) != len(payload):
        return _bad(line)
    return _frame(line, gateway, now_us, payload, RxInfo(int(rssi), int(snr)))


def _frame(line: bytes, gateway: str, now_us: WallUs, digits: bytes, rx: RxInfo) -> Frame | Noise:
    try:
        phy_payload = binascii.unhexlify(digits)
    except binascii.Error:
        return _bad(line)
    if len(phy_payload) > MAX_PHY_PAYLOAD:
        return _bad(line)
    return Frame(gateway, now_us, phy_payload, rx)


def _bad(line: bytes) -> Noise:
    return Noise(NoiseReason.BAD_LINE, len(line), show(line))
