"""The subjects of a fleet's hub.

    raw.PART.ADDRESS.GATEWAY    frames as a gateway heard them           stream LP_RAW
    log.PART.DEVICE             entries of a device                      stream LP_LOG
    log.uploader                see `turns`                              stream LP_LOG
    gw.GATEWAY.state            what a gateway says of itself            stream LP_STATE, the newest only
    moved                       see `inheritance.moved`                  stream LP_STATE, the newest only
    lease.PART, worker.ID       who works on what                        stream LP_STATE, the newest only
    pos.ID                      how far an uploader has read             stream LP_STATE, the newest only
    hub.GATEWAY, hub.all        what the hub says to gateways            not kept
    down.GATEWAY                what a gateway is asked to send          a request, not kept
    gw.GATEWAY.sent             what became of that                      not kept
    cmd.PART.DEVICE             a command                                stream LP_RAW

PART is CRC-32 of the address as on the air, modulo PARTS: a device's frames meet at one worker, whoever heard them. A
device that joins is given only a DevAddr whose PART is that of its DevEUI.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from zlib import crc32

from lora_post.errors import FrameError
from lora_post.lorawan.join_messages import REJOIN_SIZE, REQUEST_SIZE
from lora_post.lorawan.phy_payload import MHDR_MASK, MHDR_UPLINKS
from lora_post.lowcost.header import parse_header
from lora_post.model import Device, Frame, Link
from lora_post.uplink.unlock import link_of

PARTS: Final = 16
TO_ALL: Final = "hub.all"
ALL_SENT: Final = "gw.*.sent"
SEVERAL: Final = "several"
"""Stands for the ADDRESS of frames of more than one."""

_DEV_ADDR: Final = slice(1, 5)
_JOINING: Final = slice(9, 17)
_REJOINING: Final = slice(5, 13)


def token(text: str) -> str:
    """Return an id as a part of a subject; other characters than letters, digits, _ and - are escaped."""
    return re.sub(rb"[^A-Za-z0-9_-]", lambda match: b"~%02x" % match[0][0], text.encode()).decode()


def id_of(part: str) -> str:
    """Return the id that `token` has made a part of a subject of; what stands for none is left as it is."""
    found = re.sub(rb"~([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), part.encode())
    return found.decode(errors="replace")


def part_of(address: bytes) -> int:
    """Return the partition of an address as it is on the air."""
    return crc32(address) % PARTS


def address_of(frame: Frame) -> tuple[int, str]:
    """Return the partition of a frame and its address. Raises FrameError for bytes that are not a frame."""
    phy_payload = frame.phy_payload
    if (frame.link or link_of(phy_payload)) is Link.LOWCOST:
        source = parse_header(phy_payload).src
        address, name = bytes([source]), f"h{source}"
    elif phy_payload[:1] and phy_payload[0] & MHDR_MASK in MHDR_UPLINKS and len(phy_payload) >= _DEV_ADDR.stop:
        address = phy_payload[_DEV_ADDR]
        name = address[::-1].hex()
    elif address := _dev_eui(phy_payload):
        name = f"j{address[::-1].hex()}"
    else:
        raise FrameError("neither an uplink nor a request to join")
    return part_of(address), name


def _dev_eui(phy_payload: bytes) -> bytes:
    """Return the DevEUI of a join-request, or a rejoin-request of type 0 or 2, as on the air; b"" for other frames."""
    if phy_payload[:1] == b"\0" and len(phy_payload) == REQUEST_SIZE:
        return phy_payload[_JOINING]
    if phy_payload[:1] == b"\xc0" and len(phy_payload) == REJOIN_SIZE:
        return phy_payload[_REJOINING]
    return b""


def raw_subject(part: int, addresses: Collection[str], gateway: str) -> str:
    """Return where a gateway publishes frames of a partition. addresses: of the frames."""
    name = next(iter(addresses)) if len(addresses) == 1 else SEVERAL
    return f"raw.{part}.{name}.{token(gateway)}"


def log_prefix(part: int | None = None) -> str:
    """Return what the subjects of all logs of a partition begin with; None: of all partitions."""
    return "log." if part is None else f"log.{part}."


def part_of_log(subject: str) -> int:
    """Return the partition of a log."""
    return int(subject.split(".")[1])


def log_subject(device: Device) -> str:
    """Return where the log of a device is, which has an address or joins."""
    address = device.address or 0
    if device.root is not None:
        on_air = device.root.dev_eui.to_bytes(8, "little")
    elif device.link is Link.LOWCOST:
        on_air = bytes([address & 0xFF])
    else:
        on_air = on_air_of(address)
    return f"{log_prefix(part_of(on_air))}{token(device.id)}"


def on_air_of(dev_addr: int) -> bytes:
    """Return a DevAddr as it is on the air."""
    return dev_addr.to_bytes(4, "little")


def hub_subject(gateway: str) -> str:
    """Return where the hub speaks to a gateway."""
    return f"hub.{token(gateway)}"


def sent_subject(gateway: str) -> str:
    """Return where a gateway tells what became of what it was asked to send."""
    return f"gw.{token(gateway)}.sent"


def command_subject(device: Device) -> str:
    """Return where a command for a device is handed in."""
    _, part, name = log_subject(device).split(".")
    return f"cmd.{part}.{name}"


def down_subject(gateway: str) -> str:
    """Return where a gateway is asked to send."""
    return f"down.{token(gateway)}"
