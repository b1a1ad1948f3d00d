"""Define a reply to a device, and the gateways that can send it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from lora_post.downlink.transmit import Downlink, Window
from lora_post.downlink.windows import windows_after, windows_of_copy
from lora_post.fleet.log.entry import Reception
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
    frames: Mapping[Reception, Frame], region: Region, delay_s: int, rx2: tuple[int, int] | None = None
) -> tuple[Way, ...]:
    """Return the ways to answer a frame, one for each gateway that can. rx2: see `windows_after`."""
    heard = frames.items()
    return _ways((reception, frame, windows_after(frame, region, delay_s, rx2)) for reception, frame in heard)


def ways_of(downlink: Downlink, heard: Frame, frames: Mapping[Reception, Frame]) -> tuple[Way, ...]:
    """Return the ways on which a downlink may go. heard: what it answers. frames: the same, as gateways heard it."""
    windows = downlink.windows
    return _ways((reception, frame, windows_of_copy(windows, heard, frame)) for reception, frame in frames.items())


def _ways(found: Iterable[tuple[Reception, Frame, Iterable[Window]]]) -> tuple[Way, ...]:
    ways = (
        Way(reception.gateway, frame.gateway, tuple(windows), frame.rx.snr_db, frame.rx.sf)
        for reception, frame, windows in found
    )
    return tuple(way for way in ways if way.windows)
