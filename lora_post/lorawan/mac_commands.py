"""The MAC commands of data frames: names and sizes, and how a list of them is split.

    FOpts, FRMPayload on FPort 0  =  CID(1) | body | CID(1) | body | …

Sources: LoRaWAN 1.0.3, section 5; LoRaWAN 1.1, section 5.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lora_post.lorawan.phy_payload import DOWN_TYPES, MType

# CID: name, bytes of body.
_UP: Final = {
    0x01: ("ResetInd", 1),
    0x02: ("LinkCheckReq", 0),
    0x03: ("LinkADRAns", 1),
    0x04: ("DutyCycleAns", 0),
    0x05: ("RXParamSetupAns", 1),
    0x06: ("DevStatusAns", 2),
    0x07: ("NewChannelAns", 1),
    0x08: ("RXTimingSetupAns", 0),
    0x09: ("TXParamSetupAns", 0),
    0x0A: ("DlChannelAns", 1),
    0x0B: ("RekeyInd", 1),
    0x0C: ("ADRParamSetupAns", 0),
    0x0D: ("DeviceTimeReq", 0),
    0x0F: ("RejoinParamSetupAns", 1),
    0x10: ("PingSlotInfoReq", 1),
    0x11: ("PingSlotChannelAns", 1),
    0x12: ("BeaconTimingReq", 0),
    0x13: ("BeaconFreqAns", 1),
    0x20: ("DeviceModeInd", 1),
}

_DOWN: Final = {
    0x01: ("ResetConf", 1),
    0x02: ("LinkCheckAns", 2),
    0x03: ("LinkADRReq", 4),
    0x04: ("DutyCycleReq", 1),
    0x05: ("RXParamSetupReq", 4),
    0x06: ("DevStatusReq", 0),
    0x07: ("NewChannelReq", 5),
    0x08: ("RXTimingSetupReq", 1),
    0x09: ("TXParamSetupReq", 1),
    0x0A: ("DlChannelReq", 4),
    0x0B: ("RekeyConf", 1),
    0x0C: ("ADRParamSetupReq", 1),
    0x0D: ("DeviceTimeAns", 5),
    0x0E: ("ForceRejoinReq", 2),
    0x0F: ("RejoinParamSetupReq", 1),
    0x10: ("PingSlotInfoAns", 0),
    0x11: ("PingSlotChannelReq", 4),
    0x12: ("BeaconTimingAns", 3),
    0x13: ("BeaconFreqReq", 3),
    0x20: ("DeviceModeConf", 1),
}


UNKNOWN: Final = "unknown"
"""The name of a command that is not in the tables, and of all behind it."""


class MacCommand(Struct, frozen=True, gc=False):
    """One MAC command; name: as in the specification."""

    cid: int
    name: str
    body: bytes


def parse_mac_commands(commands: bytes, mtype: MType = MType.UNCONFIRMED_UP) -> list[MacCommand]:
    """Split the MAC commands of a data frame: FOpts, or the clear payload of FPort 0.

    mtype: of the frame; the same CID has one name and length in uplinks and another in downlinks.
    Lengths are not on air, so the first unknown command ends the list and takes all that is left
    as its body; so does a command that is cut short.
    """
    known = _DOWN if mtype in DOWN_TYPES else _UP
    found = []
    at = 0
    while at < len(commands):
        cid = commands[at]
        name, size = known.get(cid, (UNKNOWN, len(commands)))
        body = commands[at + 1 : at + 1 + size]
        if cid in known and len(body) < size:
            name += ", cut short"
        found.append(MacCommand(cid, name, body))
        at += 1 + size
    return found
