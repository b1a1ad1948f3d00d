"""What a device does as its network tells it in MAC commands: obey and answer, or refuse and complain.

Sources: LoRaWAN 1.0.4, section 5; RP002-1.0.4, "LinkADRReq command" of each region.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.cf_list import CFList, Frequencies
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.region import Region

BATTERY: Final = 127
_MASK_BITS: Final = 16
_ALL_ON: Final = 6
_ALL_NARROW_OFF: Final = 7
_WIDE: Final = 64
_MAX_FREE_CHANNELS: Final = 16


class Obedience(Struct):
    """The settings of a device in a session.

    channels: frequencies by number. enabled: those that it sends on. once, sticky: answers that it owes: for its next
    uplink, and for all of them until it hears a downlink. complaints: what it was told and cannot do.
    """

    region: Region
    rx_delay_s: int
    rx2: tuple[int, int]
    channels: dict[int, int]
    enabled: set[int]
    data_rate: int
    power: int = 0
    nb_trans: int = 1
    duty_exponent: int = 0
    tx_params: tuple[int, bool] | None = None
    once: list[Body] = []
    sticky: list[Body] = []
    complaints: list[str] = []
    obeyed: int = 0

    def usable(self, data_rate: int) -> list[int]:
        """Return the channels that it may send on with a data rate."""
        return [number for number in sorted(self.enabled) if data_rate in self._rates(number)]

    def _rates(self, number: int) -> Sequence[int]:
        region = self.region
        narrow = range(region.adr[0] + 1)
        if not region.is_fixed or number < _WIDE or len(region.channels) == 1:
            return narrow
        return [dr for dr, rate in region.data_rates.items() if rate.bw_hz == 500_000 and dr < 8]

    def hears_downlink(self) -> None:
        """Note that a downlink came: what is repeated until then is said."""
        self.sticky = []

    def answers(self) -> list[Body]:
        """Return what its next uplink answers."""
        once, self.once = self.once, []
        return [*self.sticky, *once]

    def obey(self, commands: Sequence[Body]) -> None:
        """Do what it is told; answers to its own questions are not for here."""
        links: list[mac.LinkADRReq] = []
        for each in [*commands, None]:
            if isinstance(each, mac.LinkADRReq):
                links.append(each)
                continue
            if links:
                self._link_adr(links)
                links = []
            if each is not None:
                self._obey_one(each)

    def _obey_one(self, command: Body) -> None:
        low, high = self.region.band
        if isinstance(command, mac.RXTimingSetupReq):
            self.rx_delay_s = command.delay_s or 1
            self.sticky.append(mac.RXTimingSetupAns())
        elif isinstance(command, mac.RXParamSetupReq):
            is_known, is_offset = command.rx2_data_rate in self.region.data_rates, command.rx1_offset == 0
            answer = mac.RXParamSetupAns(low <= command.rx2_hz <= high, is_known, is_offset)
            if self._takes(command, answer.channel_ok, is_known, is_offset):
                self.rx2 = command.rx2_hz, command.rx2_data_rate
            self.sticky.append(answer)
        elif isinstance(command, mac.NewChannelReq):
            self._new_channel(command)
        elif isinstance(command, mac.DutyCycleReq):
            self.duty_exponent = command.limit_exponent
            self.once.append(mac.DutyCycleAns())
        elif isinstance(command, mac.TXParamSetupReq):
            if self._takes(command, bool(self.region.eirp_dbm)):
                self.tx_params = command.max_eirp_index, command.uplink_dwell
                self.sticky.append(mac.TXParamSetupAns())
        elif isinstance(command, mac.DevStatusReq):
            self.once.append(mac.DevStatusAns(BATTERY, 5))
        else:
            return
        self.obeyed += 1

    def _new_channel(self, command: mac.NewChannelReq) -> None:
        low, high = self.region.band
        usual = self.region.usual_channels
        is_free = not self.region.is_fixed and usual <= command.channel < _MAX_FREE_CHANNELS
        answer = mac.NewChannelAns(is_free and low <= command.frequency_hz <= high, command.max_data_rate <= 7)
        if self._takes(command, answer.frequency_ok, answer.data_rates_ok):
            self.channels[command.channel] = command.frequency_hz
            self.enabled.add(command.channel)
        self.once.append(answer)

    def _link_adr(self, links: Sequence[mac.LinkADRReq]) -> None:
        """Take all of a block or nothing."""
        last, enabled = links[-1], set(self.enabled)
        for link in links:
            enabled = self._masked(enabled, link)
        is_mask = bool(enabled) and enabled <= set(self.channels)
        is_rate = any(last.data_rate in self._rates(number) for number in enabled)
        answer = mac.LinkADRAns(is_mask, is_rate, last.power_index <= self.region.adr[1])
        if self._takes(last, is_mask, is_rate, answer.power_ok):
            self.enabled, self.data_rate, self.power = enabled, last.data_rate, last.power_index
            self.nb_trans = last.nb_trans or 1
        self.once += [answer] * len(links)
        self.obeyed += 1

    def _masked(self, enabled: set[int], link: mac.LinkADRReq) -> set[int]:
        bits = {bit for bit in range(_MASK_BITS) if link.channel_mask >> bit & 1}
        if link.mask_control == _ALL_NARROW_OFF:
            return {_WIDE + bit for bit in bits}
        if link.mask_control == _ALL_ON:
            return set(self.channels)
        first = link.mask_control * _MASK_BITS
        others = {number for number in enabled if not first <= number < first + _MASK_BITS}
        return others | {first + bit for bit in bits}

    def _takes(self, command: Body, *checks: bool) -> bool:
        if not all(checks):
            self.complaints.append(f"it cannot obey {command}")
        return all(checks)


def new_obedience(region: Region, rx_delay_s: int, rx2_rate: int, told: CFList | None, data_rate: int) -> Obedience:
    """Return the settings of a device that has joined. told: the channels that it was given."""
    numbers = ((each, at) for each in region.channels for at in range(each.count))
    channels = {each.first + at: each.hz + at * each.step for each, at in numbers}
    if isinstance(told, Frequencies):
        channels |= {len(channels) + at: hz for at, hz in enumerate(told.hz) if hz}
    enabled = set(channels) if told is None or isinstance(told, Frequencies) else set(told.numbers)
    return Obedience(region, rx_delay_s, (region.rx2[0], rx2_rate), channels, enabled, data_rate)
