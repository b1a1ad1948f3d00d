"""The least that a loop in CPython does for a frame: what `bench_pipeline` has beside lora-post.

Written out by hand for one device, one kind of packet, two temperatures: the lines by a regular expression,
CMAC and AES by `cryptography`, values by `struct`, rows as tuples, one commit for each chunk. Nothing is checked but
the MIC, nothing can be told of a frame, and whatever is not as expected ends it. `reports` makes of the same what the
page, the log and the queue have of a frame: `Report` with all that is in it.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from lora_post.formats.lowcost_text import match_packet
from lora_post.model import Device, Frame, Reading, RxInfo
from lora_post.spool.spool_file import PAGE_BYTES
from lora_post.times import WallUs
from lora_post.uplink.model import Report, Uplink

_block = struct.Struct("<BIBIIBB").pack
_head = struct.Struct("<BIBHB").unpack_from
_value = struct.Struct(">xxh").unpack_from
_TOGETHER = 32
_INSERT = "INSERT OR REPLACE INTO reading VALUES (?, ?, ?)"
_INSERT_TOGETHER = _INSERT + ", (?, ?, ?)" * (_TOGETHER - 1)

Row = tuple[int, int, bytes]


class Floor:
    """A loop for the frames of one device."""

    def __init__(self, nwk_skey: bytes, app_skey: bytes, path: Path) -> None:
        self._mac = CMAC(AES(nwk_skey))
        self._block = Cipher(AES(app_skey), modes.ECB()).encryptor().update
        self._held = b""
        self._next_fcnt = 0
        self._db = sqlite3.connect(path, isolation_level=None)
        for statement in (
            f"PRAGMA page_size={PAGE_BYTES}",
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=NORMAL",
            "CREATE TABLE session (device INTEGER PRIMARY KEY, next_fcnt INTEGER)",
            "CREATE TABLE reading (lane INTEGER, time_us INTEGER, value BLOB,"
            " PRIMARY KEY (lane, time_us)) WITHOUT ROWID",
        ):
            self._db.execute(statement)

    def close(self) -> None:
        """Close its file."""
        self._db.close()

    def read(self, chunks: Sequence[bytes]) -> list[Row]:
        """Return (channel, time, JSON of the value) of each reading. Raises ValueError for a false MIC."""
        rows: list[Row] = []
        for chunk in chunks:
            held, at = self._held + chunk, 0
            while match := match_packet(held, at):
                _, size, _, _, _, minute, second, fraction, _ = match.groups()
                start = match.end()
                stop = start + int(size)
                if stop >= len(held):
                    break
                values = self._values(held[start:stop], minute, second, fraction)
                rows += [(channel, time_us, b"%g" % value) for channel, time_us, value in values]
                at = stop + 1
            self._held = held[at:]
        return rows

    def _values(
        self, phy_payload: bytes, minute: bytes, second: bytes, fraction: bytes
    ) -> list[tuple[int, int, float]]:
        _, dev_addr, _, fcnt, _ = _head(phy_payload)
        signed = phy_payload[:-4]
        mac = self._mac.copy()
        mac.update(_block(0x49, 0, 0, dev_addr, fcnt, 0, len(signed)) + signed)
        if mac.finalize()[:4] != phy_payload[-4:]:
            raise ValueError("false MIC")
        sealed = phy_payload[9:-4]
        size = len(sealed)
        stream = self._block(_block(1, 0, 0, dev_addr, fcnt, 0, 1))[:size]
        clear = (int.from_bytes(sealed, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
        self._next_fcnt = fcnt + 1
        minutes = int(minute[11:13]) * 60 + int(minute[14:])
        time_us = minutes * 60_000_000 + int(second[1:3]) * 1_000_000 + int(fraction)
        return [(clear[at], time_us, _value(clear, at)[0] / 10) for at in range(0, size, 4)]

    def reports(self, chunks: Sequence[bytes], device: Device) -> list[Report]:
        """Do what `read` does, and make the reports; its loop once more, as a shared one would add a call a frame."""
        reports: list[Report] = []
        for chunk in chunks:
            held, at = self._held + chunk, 0
            while match := match_packet(held, at):
                _, size, snr, rssi, _, minute, second, fraction, _ = match.groups()
                start = match.end()
                stop = start + int(size)
                if stop >= len(held):
                    break
                phy_payload = held[start:stop]
                values = self._values(phy_payload, minute, second, fraction)
                rx = RxInfo(float(rssi), float(snr), 12, 125.0, "4/5", 868.1)
                heard = Frame("gw1", WallUs(values[0][1]), phy_payload, rx)
                uplink = Uplink(heard, device, self._next_fcnt - 1, phy_payload[8], phy_payload, True)
                readings = tuple([Reading("temperature_1", value, "°C", channel) for channel, _, value in values])
                reports.append(Report(uplink, readings))
                at = stop + 1
            self._held = held[at:]
        return reports

    def keep(self, chunks: Sequence[bytes]) -> None:
        """Read, and commit what was read."""
        rows = self.read(chunks)
        rows.sort(key=itemgetter(0))
        whole = len(rows) - len(rows) % _TOGETHER
        self._db.execute("BEGIN IMMEDIATE")
        for at in range(0, whole, _TOGETHER):
            self._db.execute(_INSERT_TOGETHER, tuple(chain.from_iterable(rows[at : at + _TOGETHER])))
        self._db.executemany(_INSERT, rows[whole:])
        self._db.execute("INSERT OR REPLACE INTO session VALUES (1, ?)", (self._next_fcnt,))
        self._db.execute("COMMIT")
