"""What a serial module is told to send a frame, and how it says what became of it.

    radio rxstop, radio set iqi on, …, radio tx 6004…     →  ok, then radio_tx_ok, or radio_err
    AT+PRECV=0, AT+IQINVER=1, AT+P2P=…, AT+PSEND=6004…    →  OK, then +EVT:TXP2P DONE

None of them sends at a time that it is told: it begins when the command has come. Downlinks have inverted IQ.

Sources: Microchip, RN2483 LoRa Technology Module Command Reference User's Guide, sections 2.4 and 2.5 (radio
rxstop: from firmware 1.0.5 on); RAKwireless, RUI3 AT Command Manual, P2P commands (IQINVER: from RUI3 4.0 on).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from lora_post.lorawan.region import Slot

_rn_hz: Final = re.compile(r"radio set freq (\d{8,10})").fullmatch
_rn_sf: Final = re.compile(r"radio set sf sf(\d{1,2})").fullmatch
_rn_bw: Final = re.compile(r"radio set bw (125|250|500)").fullmatch
_rak: Final = re.compile(r"AT\+P2P=(\d{8,10}):(\d{1,2}):(\d{1,3}):(\d):(\d{1,5}):(\d{1,2})").fullmatch
_RAK_BW_HZ: Final = {"0": 125_000, "1": 250_000, "2": 500_000, "125": 125_000, "250": 250_000, "500": 500_000}
_SPREADING_FACTORS: Final = range(5, 13)
_RN_DBM: Final = 14
_RAK_DBM: Final = 22


class ModuleRadio(Struct, frozen=True):
    """How a module receives, as its set-up says."""

    hz: int
    sf: int
    bw_hz: int


class Sending(Struct, frozen=True):
    """Commands to send a frame. prepare: before its time. restore: afterwards, so that it receives as before.

    sent, failed: how it begins to say what became of the frame.
    """

    prepare: tuple[str, ...]
    send: str
    restore: tuple[str, ...]
    sent: bytes
    failed: bytes


def radio_of(module: str, setup: Sequence[str]) -> ModuleRadio | None:
    """Return how a module is set up to receive; None where the commands do not say it, or it cannot send.

    module: the format of its input.
    """
    found: dict[str, int] = {}
    for command in setup:
        if module == "rn2483":
            for name, read, unit in (("hz", _rn_hz, 1), ("sf", _rn_sf, 1), ("bw_hz", _rn_bw, 1000)):
                if said := read(command):
                    found[name] = int(said[1]) * unit
        elif module == "rak" and (said := _rak(command)) and said[3] in _RAK_BW_HZ:
            found = {"hz": int(said[1]), "sf": int(said[2]), "bw_hz": _RAK_BW_HZ[said[3]]}
    if "hz" not in found or found.get("sf") not in _SPREADING_FACTORS:
        return None
    return ModuleRadio(found["hz"], found["sf"], found.get("bw_hz", 125_000))


def sending(module: str, setup: Sequence[str], slot: Slot, phy_payload: bytes) -> Sending:
    """Return what sends a frame; see `radio_of`."""
    data = phy_payload.hex()
    if module == "rn2483":
        tune: tuple[str, ...] = (
            f"radio set freq {slot.hz}",
            f"radio set sf sf{slot.rate.sf}",
            f"radio set pwr {min(slot.power_dbm, _RN_DBM)}",
        )
        prepare: tuple[str, ...] = ("radio rxstop", "radio set iqi on", "radio set crc off", *tune)
        undo = ("radio set iqi off", "radio set crc on")
        return Sending(prepare, f"radio tx {data}", (*undo, *setup), b"radio_tx_ok", b"radio_err")
    said = next(said for command in reversed(setup) if (said := _rak(command)))
    tune = (f"AT+P2P={slot.hz}:{slot.rate.sf}:{said[3]}:{said[4]}:{said[5]}:{min(slot.power_dbm, _RAK_DBM)}",)
    prepare = ("AT+PRECV=0", "AT+IQINVER=1", *tune)
    return Sending(prepare, f"AT+PSEND={data}", ("AT+IQINVER=0", *setup), b"+EVT:TXP2P DONE", b"+EVT:TXP2P ERROR")
