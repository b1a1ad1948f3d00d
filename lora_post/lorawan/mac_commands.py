"""The MAC commands of data frames: a type for the body of each, up and down, and how to find them in a frame.

    FOpts, FRMPayload on FPort 0  =  CID(1) | body | CID(1) | body | …

Lengths are not on air: a CID that is not known here hides where the next command begins.

Sources: LoRaWAN 1.0.4, section 5; LoRaWAN 1.1, section 5; chirpstack/chirpstack: lrwn/src/maccommand.rs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from msgspec import Struct

from lora_post.lorawan.mac_body import U3, U4, U8, U16, U32, Bits, Body, Flag, Hz, LowU3, LowU4
from lora_post.lorawan.phy_payload import DOWN_TYPES, MType


class ResetInd(Body, frozen=True):
    """A 1.1 device that is activated by personalisation was restarted. minor: its version is 1.minor."""

    cid = 0x01
    minor: LowU4


class LinkCheckReq(Body, frozen=True):
    """How well was this frame heard?"""

    cid = 0x02


class LinkADRAns(Body, frozen=True):
    """The answer to LinkADRReq: all bits set, or nothing was applied."""

    cid = 0x03
    channel_mask_ok: Flag
    data_rate_ok: Flag
    power_ok: Annotated[bool, Bits(1, unused=5)]


class DutyCycleAns(Body, frozen=True):
    """The answer to DutyCycleReq."""

    cid = 0x04


class RXParamSetupAns(Body, frozen=True):
    """The answer to RXParamSetupReq: all bits set, or nothing was applied."""

    cid = 0x05
    channel_ok: Flag
    rx2_data_rate_ok: Flag
    rx1_offset_ok: Annotated[bool, Bits(1, unused=5)]


class DevStatusAns(Body, frozen=True):
    """What a device tells of itself.

    battery: 0 external power, 1 … 254 empty … full, 255 unknown. margin_db: of the last DevStatusReq above the noise.
    """

    cid = 0x06
    battery: U8
    margin_db: Annotated[int, Bits(6, unused=2, signed=True)]


class NewChannelAns(Body, frozen=True):
    """The answer to NewChannelReq: both bits set, or nothing was applied."""

    cid = 0x07
    frequency_ok: Flag
    data_rates_ok: Annotated[bool, Bits(1, unused=6)]


class RXTimingSetupAns(Body, frozen=True):
    """The answer to RXTimingSetupReq."""

    cid = 0x08


class TXParamSetupAns(Body, frozen=True):
    """The answer to TXParamSetupReq."""

    cid = 0x09


class DlChannelAns(Body, frozen=True):
    """The answer to DlChannelReq: both bits set, or nothing was applied."""

    cid = 0x0A
    frequency_ok: Flag
    uplink_channel_ok: Annotated[bool, Bits(1, unused=6)]


class RekeyInd(Body, frozen=True):
    """A 1.1 device uses the keys of its join. minor: its version is 1.minor."""

    cid = 0x0B
    minor: LowU4


class ADRParamSetupAns(Body, frozen=True):
    """The answer to ADRParamSetupReq."""

    cid = 0x0C


class DeviceTimeReq(Body, frozen=True):
    """What time is it?"""

    cid = 0x0D


class RejoinParamSetupAns(Body, frozen=True):
    """The answer to RejoinParamSetupReq. time_ok: the device keeps to the time, too, and not to the count alone."""

    cid = 0x0F
    time_ok: Annotated[bool, Bits(1, unused=7)]


class PingSlotInfoReq(Body, frozen=True):
    """A class B device listens every 2^periodicity seconds."""

    cid = 0x10
    periodicity: Annotated[int, Bits(3, unused=5)]


class PingSlotChannelAns(Body, frozen=True):
    """The answer to PingSlotChannelReq: both bits set, or nothing was applied."""

    cid = 0x11
    frequency_ok: Flag
    data_rate_ok: Annotated[bool, Bits(1, unused=6)]


class BeaconTimingReq(Body, frozen=True):
    """When is the next beacon? (LoRaWAN 1.0 to 1.0.2)"""

    cid = 0x12


class BeaconFreqAns(Body, frozen=True):
    """The answer to BeaconFreqReq."""

    cid = 0x13
    frequency_ok: Annotated[bool, Bits(1, unused=7)]


class DeviceModeInd(Body, frozen=True):
    """The class that a device has changed to: 0 A, 2 C."""

    cid = 0x20
    device_class: U8


class ResetConf(Body, frozen=True):
    """The answer to ResetInd."""

    cid = 0x01
    minor: LowU4


class LinkCheckAns(Body, frozen=True):
    """How many dB above what the data rate needs the frame was heard, and by how many gateways."""

    cid = 0x02
    margin_db: U8
    gateways: U8


class LinkADRReq(Body, frozen=True):
    """Use this data rate, power and channels. nb_trans: how often each frame is sent, 0: as before."""

    cid = 0x03
    power_index: U4
    data_rate: U4
    channel_mask: U16
    nb_trans: U4
    mask_control: LowU3


class DutyCycleReq(Body, frozen=True):
    """Send at most 1/2^limit_exponent of the time."""

    cid = 0x04
    limit_exponent: LowU4


class RXParamSetupReq(Body, frozen=True):
    """Listen in RX2 with this data rate and frequency, in RX1 with this offset to the uplink's data rate."""

    cid = 0x05
    rx2_data_rate: U4
    rx1_offset: LowU3
    rx2_hz: Hz


class DevStatusReq(Body, frozen=True):
    """How are battery and reception?"""

    cid = 0x06


class NewChannelReq(Body, frozen=True):
    """Use this channel, too. frequency_hz: 0 switches it off."""

    cid = 0x07
    channel: U8
    frequency_hz: Hz
    min_data_rate: U4
    max_data_rate: U4


class RXTimingSetupReq(Body, frozen=True):
    """Open RX1 so many seconds after an uplink; 0 means 1."""

    cid = 0x08
    delay_s: LowU4


class TXParamSetupReq(Body, frozen=True):
    """Keep to these limits. max_eirp_index: in MAX_EIRP_DBM. dwell: 400 ms at most."""

    cid = 0x09
    max_eirp_index: U4
    uplink_dwell: Flag
    downlink_dwell: Annotated[bool, Bits(1, unused=2)]


class DlChannelReq(Body, frozen=True):
    """Listen in RX1 on this frequency after an uplink on this channel."""

    cid = 0x0A
    channel: U8
    frequency_hz: Hz


class RekeyConf(Body, frozen=True):
    """The answer to RekeyInd."""

    cid = 0x0B
    minor: LowU4


class ADRParamSetupReq(Body, frozen=True):
    """Ask for an answer after 2^limit_exponent uplinks without one, lower the data rate after 2^delay_exponent more."""

    cid = 0x0C
    delay_exponent: U4
    limit_exponent: U4


class DeviceTimeAns(Body, frozen=True):
    """The GPS time when the uplink ended: seconds since 1980-01-06, and 1/256 of a second."""

    cid = 0x0D
    gps_s: U32
    fraction: U8


class ForceRejoinReq(Body, frozen=True):
    """Send a rejoin-request now, again after 2^period × 32 s, at most max_retries times more."""

    cid = 0x0E
    data_rate: U4
    rejoin_type: LowU3
    max_retries: U3
    period: Annotated[int, Bits(3, unused=2)]


class RejoinParamSetupReq(Body, frozen=True):
    """Send a rejoin-request after 2^(count + 4) uplinks, and after 2^(time + 10) seconds."""

    cid = 0x0F
    count_exponent: U4
    time_exponent: U4


class PingSlotInfoAns(Body, frozen=True):
    """The answer to PingSlotInfoReq."""

    cid = 0x10


class PingSlotChannelReq(Body, frozen=True):
    """Listen in ping slots on this frequency, with this data rate."""

    cid = 0x11
    frequency_hz: Hz
    data_rate: LowU4


class BeaconTimingAns(Body, frozen=True):
    """The next beacon comes in 30 ms × (delay + 1), on this channel."""

    cid = 0x12
    delay: U16
    channel: U8


class BeaconFreqReq(Body, frozen=True):
    """Beacons are on this frequency; 0: on the usual one."""

    cid = 0x13
    frequency_hz: Hz


class DeviceModeConf(Body, frozen=True):
    """The answer to DeviceModeInd."""

    cid = 0x20
    device_class: U8


UP: Final[Sequence[type[Body]]] = (
    ResetInd,
    LinkCheckReq,
    LinkADRAns,
    DutyCycleAns,
    RXParamSetupAns,
    DevStatusAns,
    NewChannelAns,
    RXTimingSetupAns,
    TXParamSetupAns,
    DlChannelAns,
    RekeyInd,
    ADRParamSetupAns,
    DeviceTimeReq,
    RejoinParamSetupAns,
    PingSlotInfoReq,
    PingSlotChannelAns,
    BeaconTimingReq,
    BeaconFreqAns,
    DeviceModeInd,
)
"""What devices send."""
DOWN: Final[Sequence[type[Body]]] = (
    ResetConf,
    LinkCheckAns,
    LinkADRReq,
    DutyCycleReq,
    RXParamSetupReq,
    DevStatusReq,
    NewChannelReq,
    RXTimingSetupReq,
    TXParamSetupReq,
    DlChannelReq,
    RekeyConf,
    ADRParamSetupReq,
    DeviceTimeAns,
    ForceRejoinReq,
    RejoinParamSetupReq,
    PingSlotInfoAns,
    PingSlotChannelReq,
    BeaconTimingAns,
    BeaconFreqReq,
    DeviceModeConf,
)
"""What networks send."""
MAX_EIRP_DBM: Final = (8, 10, 12, 13, 14, 16, 18, 20, 21, 24, 26, 27, 29, 30, 33, 36)

_UP: Final = {body.cid: body for body in UP}
_DOWN: Final = {body.cid: body for body in DOWN}


class MacCommand(Struct, frozen=True):
    """One MAC command of a frame.

    kind: None for one that is not known. raw: as on air, CID included. body: None where it is not known, or cut short.
    """

    kind: type[Body] | None
    raw: bytes
    body: Body | None


def parse_mac_commands(commands: bytes, mtype: MType = MType.UNCONFIRMED_UP) -> Iterator[MacCommand]:
    """Yield the MAC commands of a data frame: FOpts, or the clear payload of FPort 0.

    mtype: of the frame; the same CID has one name and length in uplinks and another in downlinks.
    The first unknown command ends the list and takes all that is left; so does one that is cut short.
    """
    known = _DOWN if mtype in DOWN_TYPES else _UP
    at = 0
    while at < len(commands):
        kind = known.get(commands[at])
        end = len(commands) if kind is None else at + 1 + kind.size()
        raw = commands[at:end]
        yield MacCommand(kind, raw, kind.from_bytes(raw[1:]) if kind and end <= len(commands) else None)
        at = end
