"""Ask a gateway to send a frame, and read its replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.transmit import Downlink, Transmission, Transmits, Window
from lora_post.fleet.errors import UNREADABLE
from lora_post.text import one_line

MAX_KNOWN: Final = 256
MAX_TEXT: Final = 200
"""Characters of a text that a gateway tells."""


class Request(Struct, frozen=True, array_like=True):
    """What a gateway is asked to send. id: of the entry; the same one twice is one transmission.

    station: the packet forwarder that heard the device. windows: in the order in which they are tried. is_told: the
    hub wants to know what became of it, and not only that it was not sent.
    """

    id: str
    station: str
    phy_payload: bytes
    windows: tuple[Window, ...]
    is_told: bool = False


class RequestReply(Struct, frozen=True, array_like=True):
    """What a gateway says to that. why: it sends nothing, "" when it does."""

    why: str = ""


class RequestFate(Struct, frozen=True, array_like=True):
    """What became of a request, as its gateway tells it. id: of the request."""

    id: str
    transmission: Transmission


encode = msgspec.msgpack.Encoder().encode
_decode_fate = msgspec.msgpack.Decoder(RequestFate).decode
_decode_reply = msgspec.msgpack.Decoder(RequestReply).decode
_decode_request = msgspec.msgpack.Decoder(Request).decode


def decode_fate(data: bytes) -> RequestFate:
    """Return what a gateway tells, with texts that an entry has room for. Raises UNREADABLE."""
    fate = _decode_fate(data)
    told = fate.transmission
    gateway, window, why = (one_line(each, MAX_TEXT) for each in (told.gateway, told.window, told.why))
    return RequestFate(fate.id, Transmission(gateway, window, told.is_sent, why))


def decode_reply(data: bytes) -> RequestReply:
    """Return what a gateway says, as `decode_fate` does."""
    return RequestReply(one_line(_decode_reply(data).why, MAX_TEXT))


class WayBack:
    """The transmitters of a gateway, for what the hub asks it to send."""

    def __init__(self, duty_cycle: DutyCycle, inputs: Iterable[object]) -> None:
        """tell: what became of requests goes there, by any thread."""
        self.tell: Callable[[RequestFate], None] = lambda fate: None
        self._duty_cycle = duty_cycle
        self._ways = [each for each in inputs if isinstance(each, Transmits)]
        self._known: dict[tuple[str, tuple[Window, ...]], str] = {}
        self._lock = Lock()

    def hear(self, data: bytes) -> bytes:
        """Do what a request asks; return the reply."""
        try:
            request = _decode_request(data)
        except UNREADABLE:
            return encode(RequestReply("it cannot be read"))
        return encode(RequestReply(self.ask(request, lambda fate: self.tell(fate))))

    def ask(self, request: Request, tell: Callable[[RequestFate], None]) -> str:
        """Send it, once; return why not, "" when it is on its way. tell: told what became of it, by any thread."""
        key = request.id, request.windows
        with self._lock:
            if key not in self._known:
                self._known[key] = self._send(request, tell)
                while len(self._known) > MAX_KNOWN:
                    del self._known[next(iter(self._known))]
            return self._known[key]

    def _send(self, request: Request, tell: Callable[[RequestFate], None]) -> str:
        station, size = request.station, len(request.phy_payload)
        transmitters = (way.transmitter for way in self._ways)
        able = next((each for each in transmitters if each and each.station(station) is not None), None)
        if able is None:
            return f"{station} cannot send"
        allowed = self._duty_cycle.within(station, request.windows, size)
        if not allowed:
            return f"{station} has sent as long as it may in this hour"
        self._duty_cycle.spend(station, allowed[0], size)

        def note(told: Transmission) -> None:
            if request.is_told or told.is_sent is False:
                tell(RequestFate(request.id, told))

        able.send(Downlink(f"answer {request.id} of the fleet", station, request.phy_payload, allowed, note))
        return ""
