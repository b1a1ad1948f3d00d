"""The time that a log puts before a program's line: syslog, journalctl, OpenWrt's logread, ISO 8601.

    May 09 00:10:26 pi lora_pkt_fwd[8158]: …            no year and no zone
    Fri Sep 24 12:06:00 2021 daemon.info …              no zone
    2026-05-09T00:10:26+02:00 pi …                      ISO 8601, with or without a zone

Sources: RFC 3164, section 4.1.2; RFC 5424, section 6.2.3; OpenWrt, logread; systemd, journalctl --output.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Final

from lora_post.clocks.scale import EPOCH, since_epoch
from lora_post.times import WallUs

_MONTHS: Final = {month: n for n, month in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_SYSLOG: Final = re.compile(
    rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.\d+)?(?: (\d{4}))? "
).match
_ISO: Final = re.compile(rb"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?) ?(Z|[+-]\d\d:?\d\d)?").match
_SLACK: Final = timedelta(days=1)  # what a log's clock may be ahead of the reader's before the year is the last one


def logged_us(prefix: bytes, zone: tzinfo, now_us: WallUs) -> WallUs:
    """Return the time in a log line's prefix in µs since 1970 UTC, now_us when it has none.

    zone: for times that tell none. A time without a year is the last such time before now.
    """
    try:
        if found := _ISO(prefix):
            moment = datetime.fromisoformat((found[1].replace(b",", b".") + (found[2] or b"")).decode())
            return since_epoch(moment if moment.tzinfo else moment.replace(tzinfo=zone))
        if (found := _SYSLOG(prefix)) and found[1] in _MONTHS:
            day, hour, minute, second = (int(part) for part in found.group(2, 3, 4, 5))
            now = EPOCH + timedelta(microseconds=now_us)
            years = [int(found[6])] if found[6] else [now.year + 1, now.year, now.year - 1]
            for year in years:
                moment = datetime(year, _MONTHS[found[1]], day, hour, minute, second, tzinfo=zone)
                if found[6] or moment <= now + _SLACK:
                    return since_epoch(moment)
    except (ValueError, OverflowError):
        pass
    return now_us
