"""Hold the settings of [network]: what devices are told when they join."""

from __future__ import annotations

from msgspec import Struct

from lora_post.lorawan.region import Region


class Network(Struct, frozen=True):
    """What devices are told when they join.

    net_id: 24 bits, of type 0. rx_delay_s: from the end of an uplink to RX1. name: of the region. sub_band: that the
    gateways hear in a plan of fixed channels, from 1; None: the one in which a device is heard. own_rx2: frequency and
    data rate where they are not the region's. duty_exponent: devices send 1/2^n of the time at most. tx_params: index
    in MAX_EIRP_DBM, and whether uplinks are 400 ms at most; None: devices are not told.
    """

    region: Region
    net_id: int
    rx_delay_s: int
    name: str = ""
    sub_band: int | None = None
    own_rx2: tuple[int, int] | None = None
    duty_exponent: int = 0
    tx_params: tuple[int, bool] | None = None

    @property
    def rx2(self) -> tuple[int, int]:
        """Frequency and data rate of RX2, once a device was told."""
        return self.own_rx2 or self.region.rx2
