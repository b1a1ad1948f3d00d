"""What the text lines of LowCostLoRaGw's radio programs say about a packet: ^p, ^r and ^t.

Sources: CongducPham/LowCostLoRaGw: gw_full_latest/SX12XX_lora_gateway.cpp, SX1272_lora_gateway.cpp,
scripts/rak2245-rak831/lora_pkt_fwd_formatter.py, test-folder/test-fakePacket.py.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, Final, TypeAlias

from lora_post.clocks.scale import since_epoch
from lora_post.model import SPREADING_FACTORS
from lora_post.times import WallUs

# Possessive, as what follows is never a digit: a fifth of the time.
_P: Final = rb"\^p" + rb",".join([rb"(-?\d{1,5}+)"] * 7) + rb"\r?\n"
_R: Final = rb"\^r([\d,]{1,40}+)\r?\n"
_T: Final = rb"\^t(\d{4}-\d\d-\d\dT[\d:.]{8,18}+)(Z|[+-]\d\d:?\d\d)?(?:\*(\d{1,10}+))?\r?\n"
# These lines follow each other, so that one match usually takes them all; it need not.
match_header: Final = re.compile(rb"(?:---.{0,1000}+\n)?" + _P + b"(?:" + _R + b")?(?:" + _T + b")?").match
match_radio: Final = re.compile(_R).match
match_time: Final = re.compile(_T).match
_match_radio_fields: Final = re.compile(rb"(\d{1,4}),(\d{1,2}),(\d{1,2})(?:,(\d{1,8}))?").fullmatch

Radio: TypeAlias = "tuple[int | None, float | None, str | None, float | None]"
NO_RADIO: Final[Radio] = (None, None, None, None)

# Numbers as a believable ^p line has them; looking one up is faster than int() and checks its range.
NUMBERS: Final = {b"%d" % number: number for number in range(-256, 256)}
BYTES: Final = {b"%d" % number: bytes((number,)) for number in range(256)}
BYTE_NUMBERS: Final = {b"%d" % number: number for number in range(256)}

_CODING_RATES: Final = range(5, 9)
# The programs cut off the fraction: whole kHz as printed, kHz as they are.
_BANDWIDTHS: Final = (
    {7: 7.8, 10: 10.4, 15: 15.6, 20: 20.8, 31: 31.25, 41: 41.7, 62: 62.5}
    | {bw: float(bw) for bw in (125, 250, 500)}
    | {203: 203.125, 406: 406.25, 812: 812.5, 1625: 1625.0}
)
_SECONDS: Final = {b":%02d." % second: second * 1_000_000 for second in range(60)}
_FIRST_YEAR: Final = b"1970"
_LAST_YEAR: Final = b"9000"
_QUARTER_HOUR_US: Final = 900_000_000
TMST_RANGE: Final = 1 << 32
_TMST_TOLERANCE_US: Final = 1_000
# Zone offsets from -12:00 to +14:00, by what they leave of (local time - tmst) modulo 2^32.
_ZONES: Final = sorted((n * _QUARTER_HOUR_US % TMST_RANGE, n * _QUARTER_HOUR_US) for n in range(-48, 57))
_OFFSETS: Final = dict(_ZONES)
_RESIDUES: Final = [residue for residue, _ in _ZONES]


HeaderLines: TypeAlias = "tuple[bytes | Any, ...]"
"""The lines before a payload, as printed: dst, ptype, src, seq, size, snr, rssi; radio, time, zone, tmst or None."""
SIZE: Final = 4
"""Where in them the payload's length is."""


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


def reception_us(time: bytes, printed_zone: bytes | None, tmst: int | None, zone: tzinfo, now_us: WallUs) -> WallUs:
    """Return the time of reception in µs since 1970 UTC; now_us when the text is not a time.

    The program prints local time without its zone, and after `*` the same clock reading in µs UTC
    modulo 2^32: what the two differ by is the zone's offset, and all offsets differ by 34 s or more.
    When none fits, the number is the counter of a concentrator, whose times are UTC. The
    oldest programs print no `*` and sometimes a zone; `zone` is for those that print neither.
    A year far away is not a time either: dates near the calendar's ends cannot
    be moved to another zone.
    """
    if printed_zone is None and tmst is not None:
        # As nearly always. A minute is worked out once: the calendar takes as long as the rest of the line.
        second_us, fraction = _SECONDS.get(time[16:20]), time[20:]
        if second_us is not None and len(fraction) == 6 and fraction.isdigit():
            minute_us = _minute_us(time[:16])
            if minute_us is not None:
                return _in_utc(minute_us + (second_us + int(fraction)), tmst)
    if not _FIRST_YEAR <= time[:4] <= _LAST_YEAR:
        return now_us
    text = time.decode()
    try:
        if printed_zone is not None:
            return since_epoch(datetime.fromisoformat(text + printed_zone.decode()))
        if tmst is None:
            return since_epoch(datetime.fromisoformat(text).replace(tzinfo=zone))
        local_us = since_epoch(datetime.fromisoformat(text + "Z"))
    except (ValueError, OverflowError):
        return now_us
    return _in_utc(local_us, tmst)


@lru_cache(maxsize=64)
def _minute_us(text: bytes) -> WallUs | None:
    if not _FIRST_YEAR <= text[:4] <= _LAST_YEAR:
        return None
    try:
        return since_epoch(datetime.fromisoformat(text.decode() + "Z"))
    except ValueError:
        return None


def _in_utc(local_us: WallUs, tmst: int) -> WallUs:
    offset_us = _OFFSETS.get((local_us - tmst) % TMST_RANGE)
    if offset_us is not None:
        return local_us - offset_us
    residue = (local_us - tmst + _TMST_TOLERANCE_US) % TMST_RANGE
    nearest, nearest_us = _ZONES[bisect_right(_RESIDUES, residue) - 1]
    return local_us - nearest_us if residue - nearest <= 2 * _TMST_TOLERANCE_US else local_us
