"""Uplinks of the device that is activated by personalisation."""

from __future__ import annotations

from typing import Final

from lora_post.lorawan.phy_payload import MType, build_data_frame
from lora_post.lorawan.session_keys import UPLINK
from tests.support.build import KEYS

DEV_ADDR: Final = 0x26011BDA
ACK: Final = 0x20


def up(fcnt: int, *, flags: int = 0, fopts: bytes = b"", confirmed: bool = False) -> bytes:
    """An uplink with the payload x on FPort 2."""
    signed = build_data_frame(
        mtype=MType.CONFIRMED_UP if confirmed else MType.UNCONFIRMED_UP,
        dev_addr=DEV_ADDR,
        fcnt=fcnt,
        fport=2,
        frm_payload=KEYS.crypt(DEV_ADDR, fcnt, UPLINK, 2, b"x"),
        fopts=fopts,
        flags=flags,
    )
    return signed + KEYS.data_mic(DEV_ADDR, fcnt, UPLINK, signed)
