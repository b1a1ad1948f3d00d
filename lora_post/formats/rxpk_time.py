"""When a forwarder's packets were received: `time`, `tmms` and `tmst` of an rxpk object.

Source: Lora-net/packet_forwarder: PROTOCOL.TXT, version 1.4, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from lora_post.clocks.scale import parse_utc
from lora_post.times import WallUs

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)(Z|[+-]\d\d:?\d\d)?", re.ASCII
).fullmatch  # fmt: skip
_COUNTER_RANGE: Final = 1 << 32
_MAX_BURST_US: Final = 60_000_000  # packets that a forwarder sends together were received within milliseconds
_GPS_EPOCH_MS: Final = 315_964_800_000  # 1980-01-06
_LEAP_MS: Final = 18_000  # what GPS time is ahead of UTC since 2017
_MAX_GPS_MS: Final = 1 << 47  # the calendar ends before it


class _Counter(Struct, gc=False):
    """The concentrator's counter of microseconds, which begins anew after 71.6 minutes."""

    tmst: object = None


_decode_counter: Final = msgspec.json.Decoder(_Counter).decode


def arrivals(packets: Sequence[Raw], now_us: WallUs) -> list[WallUs]:
    """Return when packets that came together were received: the last now, others by `tmst`.

    packets: the JSON text of each. A packet without a counter that can be right was received now.
    """
    if len(packets) < 2:
        return [now_us] * len(packets)
    counters = [_tmst(packet) for packet in packets]
    first = next((counter for counter in counters if counter is not None), 0)
    half = _COUNTER_RANGE // 2
    since = [None if counter is None else (counter - first + half) % _COUNTER_RANGE - half for counter in counters]
    last = max((each for each in since if each is not None), default=0)
    return [now_us if each is None or last - each > _MAX_BURST_US else now_us - (last - each) for each in since]


def _tmst(packet: Raw) -> int | None:
    try:
        tmst = _decode_counter(packet).tmst
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tmst if type(tmst) is int and 0 <= tmst < _COUNTER_RANGE else None


def reception_us(time: object, tmms: object, now_us: WallUs) -> WallUs:
    """Return the time of reception by `time` or `tmms`, else now_us.

    time: UTC whether it says so or not. tmms: GPS time in ms.
    """
    match = _TIME(time) if isinstance(time, str) else None
    if match is not None:
        try:
            return parse_utc(match[1] + (match[2] or "Z"))
        except ValueError:
            return now_us
    if type(tmms) is int and 0 < tmms < _MAX_GPS_MS:
        return WallUs((_GPS_EPOCH_MS + tmms - _LEAP_MS) * 1000)
    return now_us
