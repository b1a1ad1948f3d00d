"""A frame on its way from a gateway to a worker, and what the hub says of it to the gateway."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple

from lora_post.clocks.scale import is_unknown
from lora_post.model import Frame, Link, RxInfo
from lora_post.times import StampUs, WallUs

CLOCK_DOUBT_US: Final = 5_000_000
"""A gateway whose clock is further from the hub's is not believed where its age tells the time."""


_MAX_CR: Final = 16
_Name: TypeAlias = Annotated[str, Meta(max_length=256)]


class Raw(Struct, frozen=True, array_like=True, gc=False):
    """A frame as a gateway heard it. MessagePack, an array: it goes over prepaid links.

    store, number: what the gateway knows it by; a new spool is a new store. kept: it waited there for a link.
    age_us: since reception, by a clock that is never set; None where the gateway was started in between.
    time_us: the reception by the gateway's clock; None while that is not known. heard_by: the packet forwarder, ""
    where that is the gateway itself.
    """

    store: _Name
    number: int
    kept: bool
    age_us: int | None
    time_us: WallUs | None
    phy_payload: bytes
    rx: tuple[float | None, float | None, int | None, float | None, str | None, float | None]
    heard_by: _Name = ""
    link: Link | None = None
    tmst: int | None = None

    @classmethod
    def of(cls, frame: Frame, store: str, number: int, gateway: str, *, kept: bool, age_us: int | None) -> Raw:
        """Return a frame of a gateway."""
        return cls(
            store,
            number,
            kept,
            age_us,
            None if is_unknown(frame.time_us) else WallUs(frame.time_us),
            frame.phy_payload,
            astuple(frame.rx),
            "" if frame.gateway == gateway else frame.gateway,
            frame.link,
            frame.tmst,
        )

    def frame(self, gateway: str, published_us: WallUs) -> Frame:
        """Return the frame. published_us: when the hub got it, by the hub's clock, which is right for all gateways."""
        return Frame(
            self.heard_by or gateway,
            WallUs(max(0, min(self._time_us(published_us), published_us + CLOCK_DOUBT_US))),
            self.phy_payload,
            self._rx(),
            self.link,
            self.tmst,
        )

    def _rx(self) -> RxInfo:
        """Return what can be true of it: a gateway may tell what it likes."""
        rssi_dbm, snr_db, sf, bw_khz, cr, freq_mhz = self.rx
        cr = None if cr is None or len(cr) > _MAX_CR else cr
        return RxInfo(_finite(rssi_dbm), _finite(snr_db), sf, _finite(bw_khz), cr, _finite(freq_mhz))

    def _time_us(self, published_us: WallUs) -> StampUs:
        if self.age_us is None:
            return published_us if self.time_us is None else self.time_us
        heard_us = published_us - self.age_us
        if self.time_us is not None and abs(heard_us - self.time_us) <= CLOCK_DOUBT_US:
            return self.time_us  # it knows the way's delay
        return heard_us


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


class Settled(Struct, frozen=True, array_like=True, tag="settled"):
    """The hub is done with these frames: what they say is with an uploader, or they are refused."""

    store: str
    numbers: tuple[int, ...]


class OfferAgain(Struct, frozen=True, array_like=True, tag="offer-again"):
    """The hub has lost entries: everything that is kept is to be published once more."""


encode = msgspec.msgpack.Encoder().encode
decode_raw = msgspec.msgpack.Decoder(Raw).decode
decode_word = msgspec.msgpack.Decoder(Settled | OfferAgain).decode
