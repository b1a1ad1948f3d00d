"""The CSV of `util_pkt_logger`, which comes with Semtech's concentrator library: a packet a line.

    "gateway ID","node MAC","UTC timestamp","us count","frequency","RF chain","RX chain","status","size",
    "modulation","bandwidth","datarate","coderate","RSSI","SNR","payload"

The payload is hex in groups of eight digits; the time is UTC with `Z`. The first line names the columns.

Source: Lora-net/lora_gateway: util_pkt_logger/src/util_pkt_logger.c.
"""

from __future__ import annotations

import binascii
import csv
import re
from datetime import tzinfo
from typing import Final

from lora_post.clocks.scale import parse_utc
from lora_post.formats.line_reader import LineParser, show
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from lora_post.text import plural
from lora_post.times import WallUs

MAX_LINE: Final = 1024
"""255 bytes in hex and fifteen short columns have 800 characters."""

HEADER: Final = b'"gateway ID","node MAC"'

_COLUMNS: Final = 16
_number: Final = re.compile(r"-?\d{1,10}(?:\.\d{1,6})?", re.ASCII).fullmatch
_rate: Final = re.compile(r"SF(\d{1,2})", re.ASCII).fullmatch


def pkt_logger_parser(gateway: str, zone: tzinfo) -> LineParser:
    """Return a parser for one such stream; its times are UTC, so the zone plays no part."""
    return LineParser(gateway, MAX_LINE, read_line)


def read_line(line: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
    """Return the frame of one line, if it has one."""
    line = line.strip()
    if not line or line.startswith(HEADER):
        return []
    try:
        (row,) = csv.reader([line.decode("ascii", "replace")], skipinitialspace=True)
    except csv.Error as error:
        return [Noise(NoiseReason.BAD_LINE, len(line), f"{error}: {show(line)}")]
    cells = [cell.strip() for cell in row]
    if len(cells) != _COLUMNS:
        return [
            Noise(NoiseReason.BAD_LINE, len(line), f"{plural(len(cells), 'column')}, want {_COLUMNS}: {show(line)}")
        ]
    status, modulation, payload = cells[7], cells[9], cells[15].replace("-", "")
    try:
        phy_payload = binascii.unhexlify(payload)
    except (binascii.Error, ValueError):
        return [Noise(NoiseReason.BAD_LINE, len(line), f"the payload is not hex: {show(line)}")]
    if not 0 < len(phy_payload) <= MAX_PHY_PAYLOAD or modulation != "LORA":
        return [
            Noise(
                NoiseReason.BAD_LINE, len(line), f"{plural(len(phy_payload), 'byte')} of {modulation!r}: {show(line)}"
            )
        ]
    if status == "CRC_BAD":
        return [Noise(NoiseReason.CRC, len(line), f"a frame of {plural(len(phy_payload), 'byte')}")]
    # Without a CRC on air only a MIC can speak for the frame.
    link = None if status == "CRC_OK" else Link.LORAWAN
    return [Frame(gateway, _time_us(cells[2], now_us), phy_payload, _rx_info(cells), link)]


def _time_us(text: str, now_us: WallUs) -> WallUs:
    try:
        return parse_utc(text)
    except ValueError:
        return now_us


def _rx_info(cells: list[str]) -> RxInfo:
    hz, bandwidth, rssi, snr = (_value(cells[column]) for column in (4, 10, 13, 14))
    rate = _rate(cells[11])
    return RxInfo(
        rssi_dbm=rssi,
        snr_db=snr,
        sf=int(rate[1]) if rate else None,
        bw_khz=bandwidth / 1000 if bandwidth else None,
        cr=cells[12] if cells[12] in ("4/5", "4/6", "4/7", "4/8") else None,
        freq_mhz=hz / 1_000_000 if hz else None,
    )


def _value(text: str) -> float | None:
    return float(text) if _number(text) else None
