"""The channel plans of the world: where and how a network sends, and how long that takes.

`regions.json` has the plans; frequencies are in Hz, sizes in bytes, powers in dBm as a packet forwarder takes them.

Sources: LoRaWAN Regional Parameters RP002-1.0.4, as TheThingsNetwork/lorawan-stack: pkg/band/testdata/ and
chirpstack/chirpstack: lrwn/src/region/ have it; CN470: Regional Parameters 1.0.3; ETSI EN 300 220-2, annex B, for the
sub-bands of EU868; AN1200.13 (Semtech) for the time on air.
"""

from __future__ import annotations

from importlib.resources import files
from math import ceil
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.lorawan.cf_list import CFList, Frequencies, Masks

DATA: Final = "regions.json"
_SUB_BAND: Final = 8
_PREAMBLE_SYMBOLS: Final = 8 + 4.25
_LOW_RATE_S: Final = 0.016
"""Symbols as long as this need the optimisation for low data rates."""


class DataRate(Struct, frozen=True, array_like=True):
    """How fast a frame is sent. max_payload: the most application bytes of such a frame without FOpts."""

    sf: int
    bw_hz: int
    max_payload: int

    @property
    def text(self) -> str:
        """As packet forwarders write it: SF7BW125."""
        return f"SF{self.sf}BW{self.bw_hz // 1000}"

    def airtime_s(self, size: int) -> float:
        """Return how long a downlink of `size` bytes is on air: coding rate 4/5, explicit header, no CRC."""
        symbol_s = (1 << self.sf) / self.bw_hz
        low_rate = 2 if symbol_s >= _LOW_RATE_S else 0
        blocks = ceil((8 * size - 4 * self.sf + 28) / (4 * (self.sf - low_rate)))
        return (_PREAMBLE_SYMBOLS + 8 + max(blocks, 0) * 5) * symbol_s


class Channels(Struct, frozen=True, array_like=True):
    """Channels at equal distances."""

    first: int
    count: int
    hz: int
    step: int

    def number(self, hz: int) -> int | None:
        """Return the number of the channel at a frequency, None when there is none."""
        for at in range(self.count):
            if self.hz + at * self.step == hz:
                return self.first + at
        return None


class SubBand(Struct, frozen=True, array_like=True):
    """A range of frequencies with limits. duty: the share of an hour that one may send."""

    min_hz: int
    max_hz: int
    duty: float
    power_dbm: int

    @property
    def text(self) -> str:
        """Return it as people write it: 868–868.6 MHz."""
        return f"{self.min_hz / 1e6:g}–{self.max_hz / 1e6:g} MHz"


class Slot(Struct, frozen=True, array_like=True):
    """A frequency and a data rate to send with."""

    hz: int
    rate: DataRate
    power_dbm: int


class Region(Struct, frozen=True):
    """The channel plan of a region.

    band: lowest and highest frequency. channels: of uplinks that every device has. downlink_channels: None where
    downlinks are on the uplinks' channels. rx1_dr: data rate in RX1 by that of the uplink. rx2: frequency and data
    rate. adr: the highest data rate and TXPower index that a network sets. more_channels: what networks usually add.
    sub_bands: where one must not send all the time. eirp_dbm: the most that devices may send, in plans that know
    TXParamSetupReq; 0 in others.
    """

    band: tuple[int, int]
    power_dbm: int
    data_rates: dict[int, DataRate]
    channels: tuple[Channels, ...]
    rx1_dr: dict[int, int]
    rx2: tuple[int, int]
    adr: tuple[int, int]
    downlink_channels: Channels | None = None
    more_channels: tuple[int, ...] = ()
    sub_bands: tuple[SubBand, ...] = ()
    eirp_dbm: int = 0

    @property
    def is_fixed(self) -> bool:
        """Whether its channels are fixed, and a device is told which of them are used."""
        return self.downlink_channels is not None

    @property
    def usual_channels(self) -> int:
        """How many channels every device has."""
        return sum(each.count for each in self.channels)

    def data_rate(self, sf: int | None, bw_hz: int) -> int | None:
        """Return the number of the data rate of an uplink, None where there is none."""
        return next((dr for dr, rate in self.data_rates.items() if (rate.sf, rate.bw_hz) == (sf, bw_hz)), None)

    def rx1(self, hz: int, sf: int, bw_hz: int) -> Slot | None:
        """Return how RX1 is sent after an uplink like this; None for one that is not of this region."""
        uplink_dr = self.data_rate(sf, bw_hz)
        dr = self.rx1_dr.get(-1 if uplink_dr is None else uplink_dr)
        down_hz = self._downlink_hz(hz)
        return None if dr is None or down_hz is None else self.slot(down_hz, dr)

    def rx2_slot(self) -> Slot:
        """Return how RX2 is sent to a device that was told nothing else."""
        return self.slot(*self.rx2)

    def cf_list(self, hz: int, sub_band: int | None = None) -> CFList | None:
        """Return the channels for a device that was heard on this frequency, None for the ones that it has.

        sub_band: as for `used_channels`.
        """
        if not self.is_fixed:
            return Frequencies(self.more_channels) if self.more_channels else None
        used = self.used_channels(hz, sub_band)
        return Masks(used) if used else None

    def used_channels(self, hz: int, sub_band: int | None = None) -> tuple[int, ...]:
        """Return the numbers of the channels that a gateway of a fixed plan hears; none for a frequency of none.

        sub_band: the one that it is set up for, from 1; None: the one of a frequency that it has heard.
        """
        if sub_band is not None:
            return self._block((sub_band - 1) * _SUB_BAND)
        number = self._channel(hz)
        return () if number is None else self._block(number)

    @property
    def blocks(self) -> int:
        """How many sub-bands a fixed plan has."""
        return self.channels[0].count // _SUB_BAND

    def sub_band(self, hz: int) -> SubBand | None:
        """Return the limits at a frequency, None for none."""
        return next((each for each in self.sub_bands if each.min_hz <= hz <= each.max_hz), None)

    def _block(self, number: int) -> tuple[int, ...]:
        """Return the channels that a gateway of eight channels hears which has heard this one."""
        narrow, *wide = self.channels
        block = number // _SUB_BAND if number < narrow.count else number - narrow.count
        numbers = range(block * _SUB_BAND, (block + 1) * _SUB_BAND)
        return (*numbers, *(each.first + block for each in wide))

    def _channel(self, hz: int) -> int | None:
        return next((number for each in self.channels if (number := each.number(hz)) is not None), None)

    def _downlink_hz(self, hz: int) -> int | None:
        down = self.downlink_channels
        if down is None:
            return hz if self.band[0] <= hz <= self.band[1] else None
        number = self._channel(hz)
        return None if number is None else down.hz + number % down.count * down.step

    def slot(self, hz: int, dr: int) -> Slot:
        """Return how a frame is sent on this frequency with this data rate."""
        limits = self.sub_band(hz)
        return Slot(hz, self.data_rates[dr], self.power_dbm if limits is None else limits.power_dbm)


def region_names() -> list[str]:
    """Return the names of all regions."""
    return list(_plans())


def load_region(name: str) -> Region:
    """Return the plan of a region. Raises KeyError when there is none of this name."""
    return msgspec.json.decode(_plans()[name], type=Region)


def _plans() -> dict[str, msgspec.Raw]:
    text = files("lora_post.lorawan").joinpath(DATA).read_bytes()
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
