"""What the text lines of LowCostLoRaGw's radio programs say about a packet: ^p, ^r and ^t.

Sources: CongducPham/LowCostLoRaGw: gw_full_latest/SX12XX_lora_gateway.cpp, SX1272_lora_gateway.cpp,
scripts/rak2245-rak831/lora_pkt_fwd_formatter.py, test-folder/test-fakePacket.py.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final, TypeAlias

from lora_post.clocks.scale import since_epoch
from lora_post.model import SPREADING_FACTORS
from lora_post.times import WallUs

# Possessive, as what follows is never a digit: a fifth of the time.
_NUMBER: Final = rb"-?+\d{1,5}+"
_P: Final = rb"\^p(" + rb",".join([_NUMBER] * 4) + rb"),(" + rb"),(".join([_NUMBER] * 3) + rb")"
_R: Final = rb"\^r([\d,]{1,40}+)"
_T: Final = rb"\^t(\d{4}-\d\d-\d\dT[\d:.]{8,18}+)(Z|[+-]\d\d:?\d\d)?(?:\*(\d{1,10}+))?"
_LINE_END: Final = rb"\r?\n"
match_header: Final = re.compile(_P + _LINE_END).match
match_radio: Final = re.compile(_R + _LINE_END).match
match_time: Final = re.compile(_T + _LINE_END).match
# As today's programs print a packet, up to its payload; other programs and other lines in between are read by lines.
_USUAL_TIME: Final = rb"\^t(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d\.)(\d{6})\*(\d{1,10}+)"
match_packet: Final = re.compile(rb"(?:---.{0,1000}+\n)?" + _P + b"\n" + _R + b"\n" + _USUAL_TIME + b"\n\xff\xfe").match
_match_radio_fields: Final = re.compile(rb"(\d{1,4}),(\d{1,2}),(\d{1,2})(?:,(\d{1,8}))?").fullmatch

Radio: TypeAlias = "tuple[int | None, float | None, str | None, float | None]"
NO_RADIO: Final[Radio] = (None, None, None, None)

# Numbers as a believable ^p line has them; looking one up is faster than int() and checks its range.
snr_of: Final = {b"%d" % number: number for number in range(-256, 256)}.get
# Kept in eight bits by the SX12XX program, so that a positive one is 256 too high.
rssi_of: Final = {b"%d" % number: number - 256 if number > 0 else number for number in range(-256, 256)}.get
size_of: Final = {b"%d" % number: number for number in range(256)}.get

_BYTES: Final = {b"%d" % number: bytes((number,)) for number in range(256)}
_DESTINATIONS: Final = frozenset((b"0", b"1"))
_PTYPES: Final = frozenset(b"%d" % ptype for ptype in range(0x10, 0x30))
_SOURCES: Final = frozenset(b"%d" % src for src in range(1, 256))
_CODING_RATES: Final = range(5, 9)
# The programs cut off the fraction: whole kHz as printed, kHz as they are.
_BANDWIDTHS: Final = (
    {7: 7.8, 10: 10.4, 15: 15.6, 20: 20.8, 31: 31.25, 41: 41.7, 62: 62.5}
    | {bw: float(bw) for bw in (125, 250, 500)}
    | {203: 203.125, 406: 406.25, 812: 812.5, 1625: 1625.0}
)
_second_us: Final = {b":%02d." % second: second * 1_000_000 for second in range(60)}.get
_FIRST_YEAR: Final = b"1970"
_LAST_YEAR: Final = b"9000"
_QUARTER_HOUR_US: Final = 900_000_000
TMST_RANGE: Final = 1 << 32
_TMST_TOLERANCE_US: Final = 1_000
# Zone offsets from -12:00 to +14:00, by what they leave of (local time - tmst) modulo 2^32.
_ZONES: Final = sorted((n * _QUARTER_HOUR_US % TMST_RANGE, n * _QUARTER_HOUR_US) for n in range(-48, 57))
_offset_of: Final = dict(_ZONES).get
_RESIDUES: Final = [residue for residue, _ in _ZONES]


def four_byte_header(address: bytes) -> bytes:
    """Return the four-byte header that a program took off, b"" where it can have taken none off.

    address: the first four numbers of ^p: dst, ptype, src, seq.
    """
    dst, ptype, src, seq = address.split(b",")
    if ptype in _PTYPES and dst in _DESTINATIONS and src in _SOURCES and seq in _BYTES:
        return _BYTES[dst] + _BYTES[ptype] + _BYTES[src] + _BYTES[seq]
    return b""


def read_radio(text: bytes | None) -> Radio:
    """Return spreading factor, bandwidth (kHz), coding rate and frequency (MHz) of ^r.

    The frequency was cut off to whole kHz: 868.1 MHz is printed as 868100 or as 868099. No channel
    plan has a channel 1 kHz below a multiple of 100 kHz, so a number that ends in 99 is one too low.
    """
    match = _match_radio_fields(text or b"")
    if not match:
        return NO_RADIO
    bw, cr, sf, khz = (int(field) if field else 0 for field in match.groups())
    if khz % 100 == 99:
        khz += 1
    return (
        sf if sf in SPREADING_FACTORS else None,
        _BANDWIDTHS.get(bw),
        f"4/{cr}" if cr in _CODING_RATES else None,
        khz / 1000 if khz else None,
    )


def reception_us(time: bytes, printed_zone: bytes | None, tmst: int | None, zone: tzinfo) -> WallUs | None:
    """Return the time of reception in µs since 1970 UTC; None when the text is not a time.

    The program prints local time without its zone, and after `*` the same clock reading in µs UTC
    modulo 2^32: what the two differ by is the zone's offset, and all offsets differ by 34 s or more.
    When none fits, the number is the counter of a concentrator, whose times are UTC. The
    oldest programs print no `*` and sometimes a zone; `zone` is for those that print neither.
    A year far away is not a time either: dates near the calendar's ends cannot
    be moved to another zone.
    """
    if not _FIRST_YEAR <= time[:4] <= _LAST_YEAR:
        return None
    text = time.decode()
    try:
        if printed_zone is not None:
            return since_epoch(datetime.fromisoformat(text + printed_zone.decode()))
        if tmst is None:
            return since_epoch(datetime.fromisoformat(text).replace(tzinfo=zone))
        return _in_utc(since_epoch(datetime.fromisoformat(text + "Z")), tmst)
    except (ValueError, OverflowError):
        return None


def usual_reception_us(minute: bytes, second: bytes, fraction: bytes, tmst: int) -> WallUs | None:
    """Do what `reception_us` does, for the time of `match_packet`.

    A minute is worked out once: the calendar takes as long as the rest of the packet.
    """
    minute_us, second_us = _minute_us(minute), _second_us(second)
    if minute_us is None or second_us is None:
        return None
    local_us = minute_us + (second_us + int(fraction))
    offset_us = _offset_of((local_us - tmst) % TMST_RANGE)
    return _in_utc(local_us, tmst) if offset_us is None else local_us - offset_us


@lru_cache(maxsize=64)
def _minute_us(text: bytes) -> WallUs | None:
    return reception_us(text, b"Z", None, UTC)


def _in_utc(local_us: WallUs, tmst: int) -> WallUs:
    residue = (local_us - tmst + _TMST_TOLERANCE_US) % TMST_RANGE
    nearest, nearest_us = _ZONES[bisect_right(_RESIDUES, residue) - 1]
    return local_us - nearest_us if residue - nearest <= 2 * _TMST_TOLERANCE_US else local_us
