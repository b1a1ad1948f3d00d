"""Answers to uplinks, through the gateway that heard its device best.

The value of FCntDown and the bytes are in the entry that accepts the uplink, before anything is sent: whoever sends the
answer once more sends the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.mac_answers import STICKY, answers, asked
from lora_post.downlink.transmit import Downlink, Transmits, Window
from lora_post.downlink.windows import windows_after
from lora_post.lorawan.downlinks import Content, seal_downlink
from lora_post.lorawan.phy_payload import MAX_FCNT, MType, parse_data_frame
from lora_post.lorawan.region import Region
from lora_post.model import Link
from lora_post.uplink.model import Uplink

_ADR_ACK_REQ: Final = 0x40
MAX_KNOWN: Final = 256


class Request(Struct, frozen=True):
    """What a gateway is asked to send. id: of the entry; the same one twice is one transmission.

    station: the packet forwarder that heard the device. windows: in the order in which they are tried.
    """

    id: str
    station: str
    phy_payload: bytes
    windows: tuple[Window, ...]


class Reply(Struct, frozen=True):
    """What a gateway says to that. why: it sends nothing, "" when it does."""

    why: str = ""


encode = msgspec.msgpack.Encoder().encode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_request = msgspec.msgpack.Decoder(Request).decode


def answer_to(uplink: Uplink, fcnt_down: int, region: Region) -> bytes | None:
    """Return the answer that an uplink wants, sealed with this FCntDown; None where it wants none, or cannot get one.

    Confirmed uplinks are acknowledged, LinkCheckReq, DeviceTimeReq and ADRACKReq are answered.
    """
    device = uplink.device
    if device.link is not Link.LORAWAN or not uplink.authentic or device.keys is None or device.address is None:
        return None
    if not device.rx_delay_s or not windows_after(uplink.frame, region, device.rx_delay_s) or fcnt_down > MAX_FCNT:
        return None
    data = parse_data_frame(uplink.frame.phy_payload)
    commands = asked(uplink, data)
    fopts = answers(commands, uplink)
    is_confirmed = data.mtype is MType.CONFIRMED_UP
    is_wanted = data.fctrl & _ADR_ACK_REQ or any(isinstance(each, STICKY) for each in commands)
    if not (is_confirmed or fopts or is_wanted):
        return None
    content = Content(fopts, acked_fcnt=uplink.fcnt if is_confirmed else None)
    return seal_downlink(device.keys, device.address, fcnt_down, content)


class WayBack:
    """The transmitters of a gateway, for what the hub asks it to send."""

    def __init__(self, duty_cycle: DutyCycle, inputs: Iterable[object]) -> None:
        self._duty_cycle = duty_cycle
        self._ways = [each for each in inputs if isinstance(each, Transmits)]
        self._known: dict[tuple[str, tuple[Window, ...]], bytes] = {}

    def hear(self, data: bytes) -> bytes:
        """Do what a request asks; return the reply. For one thread."""
        try:
            request = _decode_request(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return encode(Reply("it cannot be read"))
        key = request.id, request.windows
        if key not in self._known:
            self._known[key] = encode(Reply(self._send(request)))
            while len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[key]

    def _send(self, request: Request) -> str:
        """Send it; return why not, "" when it is on its way."""
        station, size = request.station, len(request.phy_payload)
        transmitters = (way.transmitter for way in self._ways)
        able = next((each for each in transmitters if each and each.station(station) is not None), None)
        if able is None:
            return f"{station} cannot send"
        allowed = self._duty_cycle.within(station, request.windows, size)
        if not allowed:
            return f"{station} has sent as long as it may in this hour"
        self._duty_cycle.spend(station, allowed[0], size)
        able.send(Downlink(f"answer {request.id} of the fleet", station, request.phy_payload, allowed))
        return ""
