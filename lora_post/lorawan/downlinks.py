"""Seal what a network sends to a device in a session.

Sources: LoRaWAN 1.0.4, section 4; LoRaWAN 1.1, section 4.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lora_post.lorawan.phy_payload import ACK, ADR, PENDING, MType, build_data_frame
from lora_post.lorawan.session_keys import DOWNLINK, AnySessionKeys, SessionKeys

MAX_FOPTS: Final = 15
OVERHEAD: Final = 13
"""Bytes of a data frame beside FOpts and FRMPayload: MHDR, DevAddr, FCtrl, FCnt, FPort, MIC."""
FPORTS: Final = range(1, 224)
"""Those of applications."""


class Content(Struct, frozen=True):
    """What a downlink says, in clear.

    fopts: MAC commands, at most MAX_FOPTS bytes. fport: None for one without application data, 0 for MAC commands in
    `payload`. is_confirmed: the device is to acknowledge it. acked_fcnt: of the confirmed uplink that it acknowledges,
    None for none. more: another one waits, so the device is to send soon. adr: the network sets the data rate.
    """

    fopts: bytes = b""
    fport: int | None = None
    payload: bytes = b""
    is_confirmed: bool = False
    acked_fcnt: int | None = None
    more: bool = False
    adr: bool = False


def seal_downlink(keys: AnySessionKeys, dev_addr: int, fcnt: int, content: Content) -> bytes:
    """Return the PHYPayload of a downlink.

    fcnt: FCntDown; in LoRaWAN 1.1 AFCntDown with an FPort above 0, else NFCntDown. Never used before.
    """
    fopts, fport, acked = content.fopts, content.fport, content.acked_fcnt
    signed = build_data_frame(
        mtype=MType.CONFIRMED_DOWN if content.is_confirmed else MType.UNCONFIRMED_DOWN,
        dev_addr=dev_addr,
        fcnt=fcnt,
        fport=fport,
        frm_payload=b"" if fport is None else keys.crypt(dev_addr, fcnt, DOWNLINK, fport, content.payload),
        fopts=fopts if isinstance(keys, SessionKeys) else keys.crypt_fopts(dev_addr, fcnt, fopts, DOWNLINK, fport),
        flags=ADR * content.adr | ACK * (acked is not None) | PENDING * content.more,
    )
    if isinstance(keys, SessionKeys):
        return signed + keys.downlink_mic(dev_addr, fcnt, signed)
    return signed + keys.downlink_mic(dev_addr, fcnt, signed, (acked or 0) & 0xFFFF)
