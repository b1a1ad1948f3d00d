"""Define a downlink, its windows, and what transmitters do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from lora_post.lorawan.region import Slot

COUNTER: Final = 1 << 32
"""The counters of gateways, in µs, begin anew there."""


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


Tell: TypeAlias = Callable[[Transmission], object]
"""Is told what became of a frame, by any thread; for each window that was tried.

Returns True where another gateway is given the frame for the windows that are left.
"""


class Downlink(Struct, frozen=True):
    """A frame for a device. about: how logs call it. windows: in the order in which they are tried."""

    about: str
    gateway: str
    phy_payload: bytes
    windows: tuple[Window, ...]
    tell: Tell = lambda transmission: None


class Station(Struct, frozen=True):
    """A gateway that can send now.

    many_channels: it was heard on more than one. round_trip_s: until it says what becomes of a frame, None: not
    measured. silent: frames in a row of which it said nothing. counter: its tmst, and when it was that, monotonic;
    None: not known.
    """

    many_channels: bool
    round_trip_s: float | None = None
    silent: int = 0
    counter: tuple[int, float] | None = None


LEAD_S: Final = 0.15
"""So long before a window begins a frame must go: forwarders want it 43 ms before, and the network takes its time."""
_PROGRAMMED_S: Final = 0.05
"""What of that a forwarder wants."""


def lead_s(round_trip_s: float | None) -> float:
    """Return how long before a window a frame must go to a gateway."""
    return max(LEAD_S, _PROGRAMMED_S + (round_trip_s or 0.0) / 2)


def left_s(counter: tuple[int, float], tmst: int, now_s: float) -> float:
    """Return the time until a gateway's counter is at tmst, negative when that is over; the counter wraps.

    counter: see `Station`. now_s: monotonic.
    """
    at_counter, at_s = counter
    half = COUNTER // 2
    return ((tmst - at_counter + half) % COUNTER - half) / 1e6 - (now_s - at_s)


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
