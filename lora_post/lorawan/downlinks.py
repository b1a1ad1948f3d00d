"""Seal what a network sends to a device in a session.

Sources: LoRaWAN 1.0.4, section 4; LoRaWAN 1.1, section 4.
"""

from __future__ import annotations

from typing import Final

from lora_post.lorawan.phy_payload import MType, build_data_frame
from lora_post.lorawan.session_keys import DOWNLINK, AnySessionKeys, SessionKeys

MAX_FOPTS: Final = 15
_ACK: Final = 0x20


def seal_answer(keys: AnySessionKeys, dev_addr: int, fcnt: int, fopts: bytes, acked_fcnt: int | None) -> bytes:
    """Return the PHYPayload of an unconfirmed downlink without application data.

    fcnt: FCntDown, in LoRaWAN 1.1 NFCntDown; never used before. fopts: MAC commands in clear, at most MAX_FOPTS bytes.
    acked_fcnt: of the confirmed uplink that it acknowledges, None for none.
    """
    signed = build_data_frame(
        mtype=MType.UNCONFIRMED_DOWN,
        dev_addr=dev_addr,
        fcnt=fcnt,
        fopts=fopts if isinstance(keys, SessionKeys) else keys.crypt_fopts(dev_addr, fcnt, fopts, DOWNLINK),
        flags=0 if acked_fcnt is None else _ACK,
    )
    if isinstance(keys, SessionKeys):
        return signed + keys.downlink_mic(dev_addr, fcnt, signed)
    return signed + keys.downlink_mic(dev_addr, fcnt, signed, (acked_fcnt or 0) & 0xFFFF)
