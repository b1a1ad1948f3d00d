"""Uplinks as LoRa Basics Station sends them to its network server: JSON, a message a line.

    {"msgtype":"updf","MHdr":64,"DevAddr":637606874,"FCtrl":0,"FCnt":91,"FOpts":"","FPort":1,
     "FRMPayload":"762EA6F6","MIC":1509176883,"DR":5,"Freq":867700000,"upinfo":{"rssi":-79,"snr":8,"rxtime":…}}
    {"msgtype":"jreq","MHdr":0,"JoinEui":"…","DevEui":"…","DevNonce":…,"MIC":…, …}

The station has taken the PHYPayload apart; it is put together again. DevAddr and MIC are signed numbers of 32 bits,
FPort is -1 where there is none. Other messages are passed over.

Source: lorabasics/basicstation: doc/tcproto, "Uplink data frames", "Join requests".
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

import msgspec
from msgspec import Struct, field

from lora_post.errors import FrameError
from lora_post.formats.line_reader import LineParser, show
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from lora_post.times import WallUs

MAX_LINE: Final = 1 << 12
"""255 bytes in hex and a dozen fields have 900 characters."""

_OTHERS_PASSED: Final = (None, "updf", "jreq")
_EUI: Final = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]?){7}[0-9A-Fa-f]{2}", re.ASCII).fullmatch
_JSON_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LEVEL: Final = 1000  # dB and dBm beyond it mean nothing
_LAST_S: Final = 4_102_444_800  # the year 2100


class _UpInfo(Struct, gc=False):
    rssi: object = None
    snr: object = None
    rxtime: object = None


class _Message(Struct, gc=False):
    msgtype: str | None = None
    mhdr: int = field(name="MHdr", default=0)
    dev_addr: int = field(name="DevAddr", default=0)
    fctrl: int = field(name="FCtrl", default=0)
    fcnt: int = field(name="FCnt", default=0)
    fopts: str = field(name="FOpts", default="")
    fport: int = field(name="FPort", default=-1)
    frm_payload: str = field(name="FRMPayload", default="")
    join_eui: str = field(name="JoinEui", default="")
    dev_eui: str = field(name="DevEui", default="")
    dev_nonce: int = field(name="DevNonce", default=0)
    mic: int = field(name="MIC", default=0)
    freq: object = field(name="Freq", default=None)
    upinfo: _UpInfo = field(default_factory=_UpInfo)


_decode: Final = msgspec.json.Decoder(_Message).decode


def station_parser(gateway: str, zone: tzinfo) -> LineParser:
    """Return a parser for one such stream; its times are UTC, so the zone plays no part."""
    return LineParser(gateway, MAX_LINE, read_line)


def read_line(line: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
    """Return the frame of one line, if it has one."""
    body = line[line.find(b"{") :].strip() if b"{" in line else line.strip()
    if not body:
        return []
    try:
        message = _decode(body)
        if message.msgtype not in _OTHERS_PASSED:
            return []
        phy_payload = _phy_payload(message)
    except (*_JSON_ERRORS, FrameError) as error:
        return [Noise(NoiseReason.BAD_LINE, len(line), f"{error}: {show(line)}")]
    hz = _number(message.freq, 100_000_000_000)
    rx = RxInfo(
        rssi_dbm=_number(message.upinfo.rssi, _LEVEL),
        snr_db=_number(message.upinfo.snr, _LEVEL),
        freq_mhz=hz / 1_000_000 if hz else None,
    )
    seconds = _number(message.upinfo.rxtime, _LAST_S)
    time_us = WallUs(int(seconds * 1_000_000)) if seconds and seconds > 0 else now_us
    return [Frame(gateway, time_us, phy_payload, rx, Link.LORAWAN)]


def _phy_payload(message: _Message) -> bytes:
    """Return the bytes that were on air. Raises FrameError, one printable line, when a field does not fit."""
    mhdr, mic = _little("MHdr", message.mhdr, 1), _little("MIC", message.mic, 4)
    if message.msgtype == "jreq":
        euis = _eui("JoinEui", message.join_eui) + _eui("DevEui", message.dev_eui)
        return mhdr + euis + _little("DevNonce", message.dev_nonce, 2) + mic
    if message.msgtype != "updf":
        raise FrameError("not a message of Basics Station")
    fopts, frm_payload = _hex("FOpts", message.fopts), _hex("FRMPayload", message.frm_payload)
    fctrl = _little("FCtrl", message.fctrl, 1)
    if fctrl[0] & 0x0F != len(fopts):
        raise FrameError(f"FCtrl announces {fctrl[0] & 0x0F} bytes of FOpts, there are {len(fopts)}")
    fport = b"" if message.fport == -1 else _little("FPort", message.fport, 1)
    if not fport and frm_payload:
        raise FrameError("FRMPayload without FPort")
    head = mhdr + _little("DevAddr", message.dev_addr, 4) + fctrl + _little("FCnt", message.fcnt, 2)
    phy_payload = head + fopts + fport + frm_payload + mic
    if len(phy_payload) > MAX_PHY_PAYLOAD:
        raise FrameError(f"{len(phy_payload)} bytes, a frame has at most {MAX_PHY_PAYLOAD}")
    return phy_payload


def _little(name: str, value: int, size: int) -> bytes:
    """Return a number as it is on air, little-endian; a negative one as two's complement."""
    if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
        raise FrameError(f"{name} does not fit into {size} bytes")
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def _hex(name: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise FrameError(f"{name} is not hex") from None


def _eui(name: str, text: str) -> bytes:
    if not _EUI(text):
        raise FrameError(f"{name} is not an EUI")
    return bytes.fromhex(text.replace("-", "").replace(":", ""))[::-1]


def _number(value: object, limit: float) -> int | float | None:
    """Return a number within the limit, or None where there is nothing that can be one."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if -limit <= value <= limit else None
