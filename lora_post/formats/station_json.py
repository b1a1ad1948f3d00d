"""Uplinks as LoRa Basics Station sends them to its network server: JSON, a message a line.

    {"msgtype":"updf","MHdr":64,"DevAddr":637606874,"FCtrl":0,"FCnt":91,"FOpts":"","FPort":1,
     "FRMPayload":"762EA6F6","MIC":1509176883,"DR":5,"Freq":867700000,"upinfo":{"rssi":-79,"snr":8,"rxtime":…}}
    {"msgtype":"jreq","MHdr":0,"JoinEui":"…","DevEui":"…","DevNonce":…,"MIC":…, …}

The station has taken the PHYPayload apart; it is put together again. DevAddr and MIC are signed numbers of 32 bits,
FPort is -1 where there is none. A rejoin-request has the fields of a join-request. Other messages are passed over.

Source: lorabasics/basicstation: doc/tcproto, "Uplink data frames", "Join requests"; src/lora.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct, field

from lora_post.errors import FrameError
from lora_post.formats.line_reader import LineParser, show
from lora_post.lorawan.phy_payload import FOPTS_LEN, MAX_PHY_PAYLOAD
from lora_post.lorawan.region import DataRate
from lora_post.model import Frame, Link, Noise, NoiseReason, RxInfo
from lora_post.text import plural
from lora_post.times import WallUs

MAX_LINE: Final = 1 << 12
"""255 bytes in hex and a dozen fields have 900 characters."""

UPLINKS: Final = ("updf", "jreq", "rejoin", "propdf")
"""The messages that have a frame of a device."""
COUNTER: Final = 1 << 32
_EUI: Final = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]?){7}[0-9A-Fa-f]{2}", re.ASCII).fullmatch
NO_RATES: Final[Mapping[int, DataRate]] = MappingProxyType({})
_LEVEL: Final = 1000  # dB and dBm beyond it mean nothing
_LAST_S: Final = 4_102_444_800  # the year 2100


class _UpInfo(Struct, gc=False):
    rssi: object = None
    snr: object = None
    rxtime: object = None
    xtime: object = None
    rctx: object = None


class Message(Struct, gc=False):
    """What a station says; of the fields of all its messages those that matter.

    xtime: of the concentrator, whose lower half counts µs. diid: of the downlink that it was given.
    """

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
    dr: int = field(name="DR", default=-1)
    upinfo: _UpInfo = field(default_factory=_UpInfo)
    station: str = ""
    model: str = ""
    diid: int = 0
    xtime: int = 0
    txtime: float = 0


_decode: Final = msgspec.json.Decoder(Message).decode


def station_parser(gateway: str, zone: tzinfo) -> LineParser:
    """Return a parser for one such stream; its times are UTC, so the zone plays no part."""
    return LineParser(gateway, MAX_LINE, read_line)


def read_line(line: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
    """Return the frame of one line, if it has one."""
    body = line[line.find(b"{") :].strip() if b"{" in line else line.strip()
    if not body:
        return []
    try:
        message = decode_message(body)
        if message.msgtype is not None and message.msgtype not in UPLINKS:
            return []
        seconds = _number(message.upinfo.rxtime, _LAST_S)
        time_us = WallUs(int(seconds * 1_000_000)) if seconds and seconds > 0 else now_us
        return [frame_of(message, gateway, time_us)]
    except FrameError as error:
        return [Noise(NoiseReason.BAD_LINE, len(line), f"{error}: {show(line)}")]


def decode_message(body: bytes) -> Message:
    """Read one message. Raises FrameError, one printable line."""
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(str(error)) from error


def frame_of(message: Message, gateway: str, time_us: WallUs, rates: Mapping[int, DataRate] = NO_RATES) -> Frame:
    """Return the frame of one of UPLINKS. rates: data rates by their numbers. Raises FrameError."""
    phy_payload, info = _phy_payload(message), message.upinfo
    hz, rate = _number(message.freq, 100_000_000_000), rates.get(message.dr)
    rx = RxInfo(
        rssi_dbm=_number(info.rssi, _LEVEL),
        snr_db=_number(info.snr, _LEVEL),
        sf=rate.sf if rate else None,
        bw_khz=rate.bw_hz / 1000 if rate else None,
        freq_mhz=hz / 1_000_000 if hz else None,
    )
    tmst = info.xtime % COUNTER if isinstance(info.xtime, int) and info.xtime else None
    if not 0 < len(phy_payload) <= MAX_PHY_PAYLOAD:
        raise FrameError(f"{len(phy_payload)} bytes, a frame has at most {MAX_PHY_PAYLOAD}")
    return Frame(gateway, time_us, phy_payload, rx, Link.LORAWAN, tmst)


def _phy_payload(message: Message) -> bytes:
    """Return the bytes that were on air. Raises FrameError, one printable line, when a field does not fit."""
    if message.msgtype == "propdf":
        return _hex("FRMPayload", message.frm_payload)
    mhdr, mic = _little("MHdr", message.mhdr, 1), _little("MIC", message.mic, 4)
    if message.msgtype in ("jreq", "rejoin"):
        euis = _eui("JoinEui", message.join_eui) + _eui("DevEui", message.dev_eui)
        return mhdr + euis + _little("DevNonce", message.dev_nonce, 2) + mic
    if message.msgtype != "updf":
        raise FrameError("not a message of Basics Station")
    fopts, frm_payload = _hex("FOpts", message.fopts), _hex("FRMPayload", message.frm_payload)
    fctrl = _little("FCtrl", message.fctrl, 1)
    if fctrl[0] & FOPTS_LEN != len(fopts):
        raise FrameError(f"FCtrl announces {plural(fctrl[0] & FOPTS_LEN, 'byte')} of FOpts, there are {len(fopts)}")
    fport = b"" if message.fport == -1 else _little("FPort", message.fport, 1)
    if not fport and frm_payload:
        raise FrameError("FRMPayload without FPort")
    head = mhdr + _little("DevAddr", message.dev_addr, 4) + fctrl + _little("FCnt", message.fcnt, 2)
    return head + fopts + fport + frm_payload + mic


def _little(name: str, value: int, size: int) -> bytes:
    """Return a number as it is on air, little-endian; a negative one as two's complement."""
    if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
        raise FrameError(f"{name} does not fit into {plural(size, 'byte')}")
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
