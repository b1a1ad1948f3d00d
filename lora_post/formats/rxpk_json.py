"""Semtech's packet forwarder in JSON: `rxpk` objects (gateway protocol GWMP), a line each.

    {"rxpk":[{…},{…}],"stat":{…}}                what the forwarder sends in a PUSH_DATA
    {"tmst":…,"freq":868.5,…,"data":"QANc…"}     one rxpk alone
    JSON up: {"rxpk":[…]}                        on lora_pkt_fwd's standard output, among other text;
                                                 others write "rxpk update:", "RXTX~" or an MQTT topic before it

Only `data` is needed; what else is missing or of a strange type is left open. Text that is not JSON
is passed over. What is damaged or cut off behind a packet costs nothing that stood before it.
A log's own time before the JSON is the time of packets that tell none, see `log_time`.

Sources: Lora-net/packet_forwarder: PROTOCOL.TXT, version 1.4, section 4;
chirpstack/chirpstack-gateway-bridge: internal/backend/semtechudp/packets/;
CongducPham/LowCostLoRaGw: gw_full_latest/scripts/rak2245-rak831/lora_pkt_fwd_formatter.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from functools import partial
from typing import Final

import msgspec
from msgspec import Raw, Struct

from lora_post.errors import FrameError
from lora_post.formats.line_reader import LineParser, show
from lora_post.formats.log_time import logged_us
from lora_post.formats.rxpk_time import arrivals, reception_us
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD
from lora_post.model import SPREADING_FACTORS, Frame, Link, Noise, NoiseReason, RxInfo
from lora_post.text import parse_base64, plural
from lora_post.times import WallUs

MAX_LINE: Final = 1 << 16
"""The forwarder sends each object in one UDP datagram, and no datagram is longer."""

MAX_PACKETS: Final = 255
"""The most that a concentrator holds; a datagram that claims more is meant to keep the gateway busy."""

_UP: Final = b"JSON up: "
_PACKETS: Final = re.compile(rb'\{\s*"rxpk"\s*:\s*\[').search
# Inside of a list of packets: what stands between them, and what can end or begin an object in one. A text without end
# is one text: a search from each of its escaped quotes anew would take minutes, and hold all threads up.
_BETWEEN: Final = re.compile(rb"[\s,]*").match
_MARKS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[{}]', re.DOTALL).finditer
_JUNK: Final = b" \t\r\n\0"  # forwarders have sent the NUL that ends a text in C along
_LORAWAN: Final = Link.LORAWAN
_LORA_RATE: Final = re.compile(r"SF(\d{1,2})BW(\d{1,4}(?:\.\d{1,3})?)", re.ASCII).fullmatch
# Semtech's library names the same rate in more than one way; LI is the long interleaver of 2.4 GHz.
_CODING_RATES: Final = {rate: rate for rate in ("4/5", "4/6", "4/7", "4/8", "4/5LI", "4/6LI", "4/8LI")} | {
    "2/3": "4/6",
    "1/2": "4/8",
    "2/4": "4/8",
}
# What a gateway tells of itself, as far as it is a number.
_STAT_KEYS: Final = ("rxnb", "rxok", "rxfw", "ackr", "dwnb", "txnb", "temp", "lati", "long", "alti")
# Counters of packets, degrees, metres: none has more digits.
_MAX_STAT: Final = 1e12
# The whole range of the numbers that a receiver can mean: dB and dBm, and MHz.
_LEVEL: Final = 1000
_MAX_MHZ: Final = 100_000
_MAX_TMST: Final = 0xFFFF_FFFF


class _Message(Struct, gc=False):
    """The top level, and what tells it from a single rxpk and from other people's JSON."""

    rxpk: list[Raw] | None = None
    data: Raw = Raw()
    stat: Raw = Raw()
    txpk: Raw = Raw()
    txpk_ack: Raw = Raw()


class _Rxpk(Struct, gc=False):
    """One packet. All types are taken: a strange one in a dispensable field costs no frame."""

    data: object = None
    time: object = None
    tmms: object = None
    tmst: object = None
    stat: object = 1
    datr: object = None
    codr: object = None
    freq: object = None
    rssi: object = None
    lsnr: object = None
    rsig: object = None


class PushData(Struct, frozen=True, gc=False):
    """What one PUSH_DATA says. stat: numbers about the gateway itself, by their names."""

    events: list[Frame | Noise]
    stat: Mapping[str, float]


_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_rxpk: Final = msgspec.json.Decoder(_Rxpk).decode
# Text that is not UTF-8, and nesting without end, have errors of their own.
_JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def rxpk_parser(gateway: str, zone: tzinfo) -> LineParser:
    """Return a parser for one such stream. zone: of the times that a log puts before the JSON; the JSON's are UTC."""
    return LineParser(gateway, MAX_LINE, partial(read_line, zone=zone))


def read_line(line: bytes, gateway: str, now_us: WallUs, zone: tzinfo = UTC) -> list[Frame | Noise]:
    """Return the frames of one line; none for lines that are not JSON of a forwarder."""
    if not line.startswith(b"{"):
        at = line.find(_UP) + len(_UP) if _UP in line else -1
        if at < 0 and (packets := _PACKETS(line)):
            at = packets.start()
        if at < 0:
            return []
        now_us = logged_us(line[:at], zone, now_us)
        line = line[at:]
    line = line.strip()
    return read_gwmp(line, gateway, now_us) if line else []


def read_gwmp(body: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
    """Read the frames of a JSON object: GWMP's, or one rxpk. now_us: for packets without time."""
    return read_push_data(body, gateway, now_us).events


def read_push_data(body: bytes, gateway: str, now_us: WallUs) -> PushData:
    """Read all of a JSON object: GWMP's, or one rxpk. now_us: for packets without time."""
    body = body.rstrip(_JUNK)
    if not body:
        return PushData([], {})
    try:
        message = _decode_message(body)
    except _JSON_ERRORS as error:
        noise = Noise(NoiseReason.BAD_LINE, len(body), f"{error}: {show(body)}")
        return PushData([*_packets(list(_whole_packets(body)), gateway, now_us), noise], {})
    return PushData(_events(message, body, gateway, now_us), _stat(message.stat))


def _whole_packets(body: bytes) -> Iterator[Raw]:
    """Yield the packets of a damaged message that stand whole before the damage, as JSON text."""
    found = _PACKETS(body)
    at = found.end() if found else len(body)
    while body[at : at + 1] == b"{":
        depth = 0
        for mark in _MARKS(body, at):
            depth += {b"{": 1, b"}": -1}.get(mark[0], 0)
            if not depth:
                break
        else:
            return
        yield Raw(body[at : mark.end()])
        between = _BETWEEN(body, mark.end())
        at = between.end() if between else len(body)


def _events(message: _Message, body: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
    if message.rxpk is not None:
        events = _packets(message.rxpk, gateway, now_us)
        if len(message.rxpk) > MAX_PACKETS:
            why = f"{len(message.rxpk)} packets at once, a concentrator holds {MAX_PACKETS}; the rest is skipped"
            events.append(Noise(NoiseReason.BAD_RECORD, len(body), why))
        return events
    if bytes(message.data):
        return [read_rxpk(memoryview(body), gateway, now_us)]
    if any(map(bytes, (message.stat, message.txpk, message.txpk_ack))):
        return []
    return [Noise(NoiseReason.BAD_LINE, len(body), f"neither rxpk nor data in it: {show(body)}")]


def _packets(packets: list[Raw], gateway: str, now_us: WallUs) -> list[Frame | Noise]:
    packets = packets[:MAX_PACKETS]
    times = arrivals(packets, now_us)
    return [read_rxpk(memoryview(each), gateway, time_us) for each, time_us in zip(packets, times, strict=True)]


def _stat(raw: Raw) -> dict[str, float]:
    if not bytes(raw).startswith(b"{"):
        return {}  # a lone rxpk's stat is the verdict on its CRC
    try:
        found = msgspec.json.decode(raw)
    except _JSON_ERRORS:
        return {}
    values = ((key, found.get(key)) for key in _STAT_KEYS)
    return {
        key: value
        for key, value in values
        if isinstance(value, (int, float)) and not isinstance(value, bool) and -_MAX_STAT < value < _MAX_STAT
    }


def read_rxpk(packet: memoryview, gateway: str, now_us: WallUs) -> Frame | Noise:
    """Read the frame of one rxpk object, given as its JSON text.

    A packet that had no CRC on air may be damaged: only a MIC can speak for it, so it counts as LoRaWAN.
    """
    try:
        rxpk = _decode_rxpk(packet)
        if not isinstance(rxpk.data, str) or not rxpk.data:
            raise FrameError("no data")
        phy_payload = parse_base64(rxpk.data)
        if len(phy_payload) > MAX_PHY_PAYLOAD:
            raise FrameError(f"{len(phy_payload)} bytes, a frame has at most {MAX_PHY_PAYLOAD}")
    except (*_JSON_ERRORS, FrameError) as error:
        return Noise(NoiseReason.BAD_RECORD, len(packet), f"{error}: {show(bytes(packet))}")
    if rxpk.stat == -1:
        return Noise(NoiseReason.CRC, len(packet), f"a frame of {plural(len(phy_payload), 'byte')}")
    link = None if rxpk.stat == 1 or rxpk.stat is None else _LORAWAN
    tmst = rxpk.tmst if type(rxpk.tmst) is int and 0 <= rxpk.tmst <= _MAX_TMST else None
    return Frame(gateway, reception_us(rxpk.time, rxpk.tmms, now_us), phy_payload, _rx_info(rxpk), link, tmst)


def _rx_info(rxpk: _Rxpk) -> RxInfo:
    rssi, snr = _level(rxpk.rssi), _level(rxpk.lsnr)
    if isinstance(rxpk.rsig, list):
        rssi, snr = _best_antenna(rxpk.rsig, rssi, snr)
    sf = bw_khz = cr = freq_mhz = None
    if isinstance(rxpk.datr, str) and (rate := _LORA_RATE(rxpk.datr)):
        sf, bw_khz = int(rate[1]), float(rate[2])
        cr = _CODING_RATES.get(rxpk.codr) if isinstance(rxpk.codr, str) else None
    if isinstance(rxpk.freq, (int, float)) and 1 < rxpk.freq < _MAX_MHZ:
        # Channels are multiples of 100 Hz (LoRaWAN 1.0.3, section 5.6), which rids 868.099999 of its error.
        freq_mhz = round(rxpk.freq * 10_000) / 10_000
    return RxInfo(rssi, snr, sf if sf in SPREADING_FACTORS else None, bw_khz, cr, freq_mhz)


def _best_antenna(antennas: list[object], rssi: float | None, snr: float | None) -> tuple[float | None, float | None]:
    """Return RSSI and SNR of the antenna that heard best, as version 2 concentrators tell."""
    heard = [(_level(one.get("rssic")), _level(one.get("lsnr"))) for one in antennas if isinstance(one, dict)]
    if not heard:
        return rssi, snr
    return max(heard, key=lambda one: [-_LEVEL if level is None else level for level in (one[1], one[0])])


def _level(value: object) -> int | float | None:
    """Return a number of dB or dBm, None for what cannot be one."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if -_LEVEL < value < _LEVEL else None
