"""The layout of LoRaWAN frames (PHYPayload), parse and build; no keys.

    PHYPayload  =  MHDR(1) | MACPayload | MIC(4)
    MACPayload  =  DevAddr(4) | FCtrl(1) | FCnt(2) | FOpts(0…15) | [ FPort(1) | FRMPayload ]

All numbers are little-endian on air; DevAddr and EUIs are big-endian hex in text.
Sources: LoRaWAN 1.0.3, sections 4 to 6; LoRaWAN 1.1, section 6.2.4 (rejoin-request).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from lora_post.errors import FrameError
from lora_post.lorawan.join_messages import REQUEST_SIZE, parse_join_request

MAX_PHY_PAYLOAD: Final = 255
"""A LoRa radio sends no longer frame; it is also what the length byte under the MIC can say."""
MAX_FCNT: Final = 0xFFFF_FFFF

_MIN_DATA_FRAME: Final = 12
_MIC_SIZE: Final = 4
_MAJOR: Final = 0x03
_FOPTS_AT: Final = 8
ADR: Final = 0x80
ADR_ACK_REQ: Final = 0x40
ACK: Final = 0x20
PENDING: Final = 0x10
FOPTS_LEN: Final = 0x0F
"""The bits of FCtrl: PENDING in downlinks, FOPTS_LEN counts bytes."""
_HEAD: Final = Layout("<BIBH")
_unpack_head: Final = _HEAD.unpack_from


class MType(IntEnum):
    """What the upper three bits of MHDR say (LoRaWAN 1.0.3, section 4.2.1)."""

    JOIN_REQUEST = 0
    JOIN_ACCEPT = 1
    UNCONFIRMED_UP = 2
    UNCONFIRMED_DOWN = 3
    CONFIRMED_UP = 4
    CONFIRMED_DOWN = 5
    REJOIN_REQUEST = 6
    PROPRIETARY = 7


_MTYPES: Final = tuple(MType)
_DATA_TYPES: Final = (MType.UNCONFIRMED_UP, MType.UNCONFIRMED_DOWN, MType.CONFIRMED_UP, MType.CONFIRMED_DOWN)

# MHDR without its three reserved bits, and what uplinks have there: unconfirmed, confirmed.
MHDR_MASK: Final = 0xE3
MHDR_UPLINKS: Final = (0x40, 0x80)

DOWN_TYPES: Final = (MType.UNCONFIRMED_DOWN, MType.CONFIRMED_DOWN)
"""Data frames from the network to a device."""

_TYPE_TEXTS: Final = (
    "join-request",
    "join-accept",
    "unconfirmed uplink",
    "unconfirmed downlink",
    "confirmed uplink",
    "confirmed downlink",
    "rejoin-request",
    "proprietary frame",
)


class DataFrame(Struct, frozen=True, gc=False):
    """A data frame taken apart; nothing in it is verified or decrypted.

    fctrl: the whole byte, length of FOpts included. frm_payload: ciphertext.
    signed: all bytes that the MIC covers, that is, everything before it.
    """

    dev_addr: int
    fctrl: int
    fcnt16: int
    fport: int | None
    frm_payload: bytes
    mic: bytes
    signed: bytes

    @property
    def mtype(self) -> MType:
        """One of the four data types."""
        return _MTYPES[self.signed[0] >> 5]

    @property
    def fopts(self) -> bytes:
        """MAC commands in the header, as on air."""
        return self.signed[_FOPTS_AT : _FOPTS_AT + (self.fctrl & FOPTS_LEN)]


def message_type(phy_payload: bytes) -> MType:
    """Tell what a PHYPayload is from its MHDR. Raises FrameError when it is not LoRaWAN R1."""
    if not phy_payload:
        raise FrameError("an empty frame")
    mhdr = phy_payload[0]
    if mhdr & _MAJOR:
        raise FrameError(f"LoRaWAN major version {mhdr & _MAJOR}, want 0 (MHDR {mhdr:02x})")
    return _MTYPES[mhdr >> 5]


def full_fcnt(next_fcnt: int, fcnt16: int) -> int:
    """Widen the two FCnt bytes on air to the full 32-bit counter.

    next_fcnt: lowest FCnt not yet accepted, 0 for a new session.
    fcnt16: 0 … 65535.
    Returns the smallest value ≥ next_fcnt with these low 16 bits. A repeated frame therefore
    comes out 65 536 too high and fails its MIC. The result is above MAX_FCNT when the counter
    is used up; no frame has that one.
    Source: LoRaWAN 1.0.3, section 4.3.1.5.
    """
    return next_fcnt + ((fcnt16 - next_fcnt) & 0xFFFF)


def parse_data_frame(phy_payload: bytes) -> DataFrame:
    """Take apart a data frame, uplink or downlink. Raises FrameError with what is wrong where."""
    size = len(phy_payload)
    if size < _MIN_DATA_FRAME:
        raise FrameError(f"a LoRaWAN data frame has at least {_MIN_DATA_FRAME} bytes, this one {size}")
    if size > MAX_PHY_PAYLOAD:
        raise FrameError(f"a LoRaWAN frame has at most {MAX_PHY_PAYLOAD} bytes, this one {size}")
    mhdr, dev_addr, fctrl, fcnt16 = _unpack_head(phy_payload)
    if mhdr & _MAJOR or not 0x40 <= mhdr < 0xC0:
        raise FrameError(f"{_TYPE_TEXTS[message_type(phy_payload)]}, want a data frame (MHDR {mhdr:02x})")
    end = size - _MIC_SIZE
    start = _FOPTS_AT + (fctrl & FOPTS_LEN)
    if start > end:
        raise FrameError(f"FOpts are longer than the frame: {start - _FOPTS_AT} of {size} bytes")
    fport = None
    frm_payload = b""
    if start < end:
        fport = phy_payload[start]
        if fport == 0 and start > _FOPTS_AT:
            raise FrameError("MAC commands in FOpts and in FPort 0: only one of them is allowed")
        frm_payload = phy_payload[start + 1 : end]
    return DataFrame(dev_addr, fctrl, fcnt16, fport, frm_payload, phy_payload[end:], phy_payload[:end])


def build_data_frame(
    *,
    mtype: MType,
    dev_addr: int,
    fcnt: int,
    fport: int | None = None,
    frm_payload: bytes = b"",
    fopts: bytes = b"",
    flags: int = 0,
) -> bytes:
    """Build a data frame up to its MIC, which covers these bytes and stands behind them.

    fcnt: its low 16 bits are sent. frm_payload: ciphertext; needs an fport. flags: upper half of FCtrl.
    Raises ValueError for what the layout cannot hold.
    """
    if mtype not in _DATA_TYPES:
        raise ValueError(f"{_TYPE_TEXTS[mtype]} is not a data frame")
    if len(fopts) > FOPTS_LEN or flags & FOPTS_LEN:
        raise ValueError(f"FOpts of {len(fopts)} bytes, flags {flags:02x}: want at most 15, and 00 … f0")
    if (fport is None and frm_payload) or (fport == 0 and fopts):
        raise ValueError("FRMPayload needs an FPort, and FPort 0 excludes FOpts")
    head = _HEAD.pack(mtype << 5, dev_addr, flags | len(fopts), fcnt & 0xFFFF)
    tail = b"" if fport is None else bytes((fport,)) + frm_payload
    signed = head + fopts + tail
    if len(signed) > MAX_PHY_PAYLOAD - _MIC_SIZE:
        raise ValueError(f"{len(signed)} bytes before the MIC, want at most {MAX_PHY_PAYLOAD - _MIC_SIZE}")
    return signed


def describe(phy_payload: bytes) -> str:
    """Say what kind of message this is and which device it names, as far as clear bytes tell.

    Raises FrameError when it is not LoRaWAN R1.
    """
    mtype = message_type(phy_payload)
    text, size = _TYPE_TEXTS[mtype], len(phy_payload)
    if mtype is MType.JOIN_REQUEST and size == REQUEST_SIZE:
        join = parse_join_request(phy_payload)
        return f"{text} from DevEUI {join.dev_eui:016x}, JoinEUI {join.join_eui:016x}, DevNonce {join.dev_nonce:04x}"
    if mtype is MType.REJOIN_REQUEST and size == 19 and phy_payload[1] in (0, 2):
        return f"{text} type {phy_payload[1]} from DevEUI {_eui(phy_payload, 5)}"
    if mtype is MType.REJOIN_REQUEST and size == 24 and phy_payload[1] == 1:
        return f"{text} type 1 from DevEUI {_eui(phy_payload, 10)}, JoinEUI {_eui(phy_payload, 2)}"
    if mtype in _DATA_TYPES and size >= _MIN_DATA_FRAME:
        _, dev_addr, _, fcnt16 = _HEAD.unpack_from(phy_payload)
        way = "from" if mtype in (MType.UNCONFIRMED_UP, MType.CONFIRMED_UP) else "to"
        return f"{text} {way} DevAddr {dev_addr:08x}, FCnt {fcnt16}"
    return f"{text} of {size} bytes"


def _eui(phy_payload: bytes, at: int) -> str:
    return phy_payload[at : at + 8][::-1].hex()
