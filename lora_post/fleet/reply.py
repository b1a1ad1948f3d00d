"""What goes to a device, and by which gateways it may go."""

from __future__ import annotations

from collections.abc import Container, Mapping

from msgspec import Struct

from lora_post.downlink.transmit import Window
from lora_post.downlink.windows import windows_after
from lora_post.fleet.entry import Reception
from lora_post.lorawan.region import Region
from lora_post.model import Frame


class Way(Struct, frozen=True):
    """A gateway of the fleet, its packet forwarder that hears the device, and when it may send.

    snr_db, sf: of what it heard, None where it does not tell.
    """

    gateway: str
    station: str
    windows: tuple[Window, ...]
    snr_db: float | None = None
    sf: int | None = None


class Reply(Struct, frozen=True):
    """Bytes for a device. device: its id.

    about: how logs call it. ways: see `Asking` for their order. within_s: after the device was heard, a gateway must
    have it. command: the id of the one that it carries, 0 for none.
    """

    device: str
    about: str
    phy_payload: bytes
    ways: tuple[Way, ...]
    within_s: float
    command: int = 0


def ways_after(
    frames: Mapping[Reception, Frame], region: Region, delay_s: int, names: Container[str] = ("RX1", "RX2")
) -> tuple[Way, ...]:
    """Return the ways to answer a frame, one for each gateway that can. names: of windows."""
    found = []
    for reception, frame in frames.items():
        windows = tuple(each for each in windows_after(frame, region, delay_s) if each.name in names)
        if windows:
            found.append(Way(reception.gateway, frame.gateway, windows, frame.rx.snr_db, frame.rx.sf))
    return tuple(found)
