"""LowCostLoRaGw's four-byte header, parse and build.

    dst(1) | ptype(1) | src(1) | seq(1) | payload

The gateway has address 1, devices 2 … 255, dst 0 is a broadcast; seq counts the sender's packets and
wraps at 255. ptype: the upper four bits are the type, the lower four are flags.
Source: CongducPham/LowCostLoRaGw: gw_full_latest/post_processing_gw.py, gw_full_latest/SX1272/SX1272.h.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from lora_post.errors import FrameError

BROADCAST: Final = 0
GATEWAY: Final = 1

TYPE_MASK: Final = 0xF0
DATA: Final = 0x10
ACK: Final = 0x20
RTS: Final = 0x30

ACK_REQUESTED: Final = 0x08
ENCRYPTED: Final = 0x04
WITH_APP_KEY: Final = 0x02
DOWNLINK: Final = 0x01

APP_KEY_SIZE: Final = 4

_HEADER: Final = Layout("BBBB")
_TYPES: Final = (DATA, ACK, RTS)
_TEXT: Final = b"\\!"
_IMAGE: Final = 0xFF
_CAMERAS: Final = range(0x50, 0x55)


class Header(Struct, frozen=True, gc=False):
    """The four bytes in front of the payload, 0 … 255 each."""

    dst: int
    ptype: int
    src: int
    seq: int


def parse_header(packet: bytes) -> Header:
    """Read the header of a packet, whose payload begins at byte 4; RadioHead's as this one would say it.

    Raises FrameError for a packet that is too short.
    """
    if len(packet) < _HEADER.size:
        raise FrameError(f"LowCostLoRaGw's header has {_HEADER.size} bytes, the whole packet {len(packet)}")
    if is_radiohead(packet):
        _, sender, number, _ = packet[: _HEADER.size]
        return Header(GATEWAY, DATA, sender, number)
    return Header(*_HEADER.unpack_from(packet))


def is_radiohead(packet: bytes) -> bool:
    """Tell whether a text of LowCostLoRaGw's stands behind RadioHead's header: to, from, id, flags, a byte each.

    Only texts are told, by their mark: nothing else in such a packet says what it is.
    Source: RadioHead, RH_RF95.h, "Packet Format".
    """
    if packet[4:6] != _TEXT:
        return False
    return packet[0] not in (BROADCAST, GATEWAY) or packet[1] & TYPE_MASK not in _TYPES


def build_header(header: Header) -> bytes:
    """Build the four bytes of a header. Raises struct.error for a field that is not 0 … 255."""
    return _HEADER.pack(header.dst, header.ptype, header.src, header.seq)


def type_text(ptype: int) -> str:
    """Return the name of a packet type, for people."""
    names = {DATA: "data", ACK: "acknowledgement", RTS: "request to send"}
    return names.get(ptype & TYPE_MASK, "packet of unknown type")


def is_image(payload: bytes) -> bool:
    """Tell whether a payload is one piece of a camera's picture.

    FF, 50 + camera number, [source address(2)], packet number, quality, n, n bytes; without the source
    address in an older form. n is checked too, because a sensor's binary payload may begin with FF 50.
    Source: CongducPham/LowCostLoRaGw: Arduino/Arduino_LoRa_ucamII/Arduino_LoRa_ucamII.ino.
    """
    size = len(payload)
    if size < 7 or payload[0] != _IMAGE or payload[1] not in _CAMERAS:
        return False
    return payload[6] == size - 7 or payload[4] == size - 5
