"""What is sent to a device, and who can send it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from lora_post.lorawan.region import Slot


class Window(Struct, frozen=True, array_like=True):
    """A moment at which a device listens, and how.

    name: RX1, RX2 or C. tmst: the gateway's counter at its beginning, µs modulo 2^32; None: at once, for class C.
    """

    name: str
    tmst: int | None
    slot: Slot


class Transmission(Struct, frozen=True):
    """What became of a frame in a window.

    is_sent: None where its gateway does not say. why: it was not sent, for a person.
    """

    gateway: str
    window: str
    is_sent: bool | None
    why: str = ""


Tell: TypeAlias = Callable[[Transmission], None]
"""Is told what became of a frame, by any thread; for each window that was tried."""


class Downlink(Struct, frozen=True):
    """A frame for a device. about: how logs call it. windows: in the order in which they are tried."""

    about: str
    gateway: str
    phy_payload: bytes
    windows: tuple[Window, ...]
    tell: Tell = lambda transmission: None


class Station(Struct, frozen=True):
    """A gateway that can send now. many_channels: it was heard on more than one."""

    many_channels: bool


class Transmitter(Protocol):
    """Sends by the gateways of an input."""

    def station(self, gateway: str) -> Station | None:
        """Return what is known of a gateway; None when nothing can be sent by it."""
        ...

    def send(self, downlink: Downlink) -> None:
        """Hand a frame to its gateway; tell the log and `downlink.tell` what became of it."""
        ...


@runtime_checkable
class Transmits(Protocol):
    """An input that can send; transmitter: None while it cannot. is_awaited: its senders wait until `kept`."""

    @property
    def transmitter(self) -> Transmitter | None: ...

    @property
    def is_awaited(self) -> bool: ...
