"""Answer what devices ask in MAC commands.

Sources: LoRaWAN 1.0.4, section 5; LoRaWAN 1.1, section 5; chirpstack/chirpstack: chirpstack/src/config.rs, for the SNR
that a spreading factor needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import floor
from typing import Final

from lora_post.clocks.scale import is_unknown
from lora_post.downlink.adr import REQUIRED_SNR_DB
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.downlinks import MAX_FOPTS
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.phy_payload import DataFrame, MType
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import RxInfo
from lora_post.times import StampUs
from lora_post.uplink.model import Uplink

_MAX_MARGIN_DB: Final = 254
_MAX_GATEWAYS: Final = 255
_GPS_EPOCH_US: Final = 315_964_800_000_000
_LEAP_US: Final = 18_000_000
_VERSION_11: Final = 1

STICKY: Final = (mac.RXParamSetupAns, mac.RXTimingSetupAns, mac.DlChannelAns, mac.TXParamSetupAns)
"""A device repeats these in every uplink until it hears any downlink."""


def asked(uplink: Uplink, data: DataFrame) -> list[Body]:
    """Return the MAC commands of an uplink that can be read. data: its frame taken apart."""
    commands = uplink.payload if data.fport == 0 else _clear_fopts(uplink, data)
    return [each.body for each in mac.parse_mac_commands(commands, data.mtype) if each.body is not None]


def answers(commands: list[Body], uplink: Uplink, gateways: int) -> bytes:
    """Return the answers to MAC commands that fit into one downlink, the most urgent first; each kind once.

    gateways: how many hear the device.
    """
    found = b""
    for answer in dict.fromkeys(_answers(commands, uplink, gateways)):
        on_air = answer.to_bytes()
        if len(found) + len(on_air) <= MAX_FOPTS:
            found += on_air
    return found


def says_time(fopts: bytes) -> bool:
    """Tell whether an answer to DeviceTimeReq is among MAC commands for a device."""
    return any(each.kind is mac.DeviceTimeAns for each in mac.parse_mac_commands(fopts, MType.UNCONFIRMED_DOWN))


def _answers(commands: list[Body], uplink: Uplink, gateways: int) -> Iterator[Body]:
    kinds = {type(each) for each in commands}
    frame = uplink.frame
    if mac.RekeyInd in kinds:
        yield mac.RekeyConf(_VERSION_11)
    if mac.ResetInd in kinds:
        yield mac.ResetConf(_VERSION_11)
    if mac.DeviceTimeReq in kinds and not is_unknown(frame.time_us):
        yield gps_time(frame.time_us)
    if mac.LinkCheckReq in kinds:
        yield mac.LinkCheckAns(margin_db(frame.rx), min(gateways, _MAX_GATEWAYS))
    yield from (mac.DeviceModeConf(each.device_class) for each in commands if isinstance(each, mac.DeviceModeInd))


def _clear_fopts(uplink: Uplink, data: DataFrame) -> bytes:
    keys = uplink.device.keys
    if keys is None or isinstance(keys, SessionKeys):
        return data.fopts
    return keys.crypt_fopts(data.dev_addr, uplink.fcnt, data.fopts)


def gps_time(time_us: StampUs) -> mac.DeviceTimeAns:
    """Return the answer to DeviceTimeReq: the time when the uplink ended."""
    seconds, us = divmod(time_us - _GPS_EPOCH_US + _LEAP_US, 1_000_000)
    return mac.DeviceTimeAns(seconds & 0xFFFF_FFFF, us * 256 // 1_000_000)


def margin_db(rx: RxInfo) -> int:
    """Return the link margin of a frame in dB: its SNR above what its data rate needs."""
    required = REQUIRED_SNR_DB.get(rx.sf or 0)
    if required is None or rx.snr_db is None:
        return 0
    return min(max(floor(rx.snr_db - required), 0), _MAX_MARGIN_DB)
