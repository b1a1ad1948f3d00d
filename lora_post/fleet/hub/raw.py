"""Define the messages between gateways and the hub about frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from lora_post.clocks.scale import is_unknown
from lora_post.fleet.errors import FleetError
from lora_post.model import Frame, Link, RxInfo
from lora_post.times import WallUs

VERSION: Final = 1
"""Another one whenever an older lora-post could not read what is handed in, or would take it for something else."""
_MAX_CR: Final = 16
_MAX_DB: Final = 1000.0
_MAX_NAME: Final = 256
_Name: TypeAlias = Annotated[str, Meta(max_length=_MAX_NAME)]
MAX_TOGETHER: Final = 64
"""Frames of one message; a million of them would take the memory of a worker."""


class Raw(Struct, frozen=True, array_like=True, gc=False):
    """A frame as a gateway heard it. MessagePack, an array of whole numbers: it goes over prepaid links.

    number: what the gateway's store knows it by. kept: it waited there for a link. age_ms: since reception, by a clock
    that is never set; None where the gateway was started in between. time_us: the reception by the gateway's clock;
    None while that is not known. rssi, snr: in hundredths of dBm and dB. bw_hz, freq_hz: 0 where not told. heard_by:
    the packet forwarder, "" where that is the gateway itself.
    """

    number: int
    kept: bool
    age_ms: int | None
    time_us: WallUs | None
    phy_payload: bytes
    rssi: int | None = None
    snr: int | None = None
    sf: int | None = None
    bw_hz: int = 0
    cr: str | None = None
    freq_hz: int = 0
    tmst: int | None = None
    heard_by: _Name = ""
    link: Link | None = None

    @classmethod
    def of(cls, frame: Frame, number: int, gateway: str, *, kept: bool, age_us: int | None) -> Raw:
        """Return a frame of a gateway."""
        rx = frame.rx
        return cls(
            number,
            kept,
            None if age_us is None else age_us // 1000,
            None if is_unknown(frame.time_us) else WallUs(frame.time_us),
            frame.phy_payload,
            _hundredths(rx.rssi_dbm),
            _hundredths(rx.snr_db),
            rx.sf,
            rx.bw_hz,
            rx.cr,
            rx.freq_hz,
            frame.tmst,
            "" if frame.gateway == gateway else frame.gateway[:_MAX_NAME],
            frame.link,
        )

    def frame(self, gateway: str, time_us: WallUs) -> Frame:
        """Return the frame. time_us: when it was heard, see `gateway_times`."""
        return Frame(self.heard_by or gateway, time_us, self.phy_payload, self._rx(), self.link, self.tmst)

    def _rx(self) -> RxInfo:
        """Return the reception without values that cannot be true."""
        return RxInfo(
            None if self.rssi is None else self.rssi / 100,
            None if self.snr is None else self.snr / 100,
            self.sf,
            self.bw_hz / 1e3 if self.bw_hz else None,
            None if self.cr is None or len(self.cr) > _MAX_CR else self.cr,
            self.freq_hz / 1e6 if self.freq_hz else None,
        )


def _hundredths(number: float | None) -> int | None:
    return round(number * 100) if number is not None and abs(number) <= _MAX_DB else None


class Handed(Struct, frozen=True, array_like=True, gc=False):
    """Frames that a gateway hands in together. store: its spool; a new one counts its frames from 1 as well."""

    version: int
    store: _Name
    frames: Annotated[tuple[Raw, ...], Meta(max_length=MAX_TOGETHER)]


class OtherVersion(FleetError):
    """A gateway speaks as another version of lora-post."""


def hand_in(store: str, frames: Iterable[Raw]) -> bytes:
    """Return what a gateway publishes."""
    return encode(Handed(VERSION, store, tuple(frames)))


def decode_handed(data: bytes) -> Handed:
    """Return what a gateway has published. Raises OtherVersion, UNREADABLE."""
    version = _version_of(data)
    if version != VERSION:
        fix = "install the same version of lora-post everywhere, on workers first"
        raise OtherVersion("what it hands in is of another version of lora-post", fix=fix)
    return _decode_handed(data)


def _version_of(data: bytes) -> object:
    match msgspec.msgpack.decode(data):
        case [version, *_]:
            return version
    return None


class Settled(Struct, frozen=True, array_like=True, tag="settled"):
    """The hub is done with these frames: what they say is with an uploader, or they are refused."""

    store: str
    numbers: tuple[int, ...]


class OfferAgain(Struct, frozen=True, array_like=True, tag="offer-again"):
    """The hub has lost entries: everything that is kept is to be published once more."""


class OfferWaiting(Struct, frozen=True, array_like=True, tag="offer-waiting"):
    """A home gateway is back: what was published and is not settled is to be published once more, without waiting."""


encode = msgspec.msgpack.Encoder().encode
_decode_handed = msgspec.msgpack.Decoder(Handed).decode
decode_word = msgspec.msgpack.Decoder(Settled | OfferAgain | OfferWaiting).decode
