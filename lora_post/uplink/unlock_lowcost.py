"""LowCostLoRaGw packets: find the device, open the packet where it is encrypted (AES, LSC).

A packet in clear has no MIC; it is taken from devices without keys only. Neither that nor LSC's MIC, which
a stranger can make, proves anything: such an uplink says that it is not authentic.

Source: CongducPham/LowCostLoRaGw: gw_full_latest/decrypt_AES.py, gw_full_latest/decrypt_LSC.py,
gw_full_latest/post_processing_gw.py.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from lora_post.errors import BadAppKey, BadMIC, FrameError, ImagePacket, NoKey, NotEncrypted, NotUplink, UnknownDevice
from lora_post.lorawan.phy_payload import MHDR_MASK, MHDR_UPLINKS, DataFrame, full_fcnt, parse_data_frame
from lora_post.lorawan.session_keys import UPLINK, SessionKeys
from lora_post.lowcost import header as lowcost
from lora_post.lowcost.lsc import MIC_SIZE
from lora_post.model import Device, Frame, Link
from lora_post.text import plural
from lora_post.uplink.counters import is_old, stale, tolerates
from lora_post.uplink.model import FindSessions, Session, Uplink

_LOWCOST: Final = Link.LOWCOST
_HEADER_SIZE: Final = 4


def unlock_lowcost(frame: Frame, find: FindSessions) -> tuple[Uplink, Session]:
    """Do what `unlock` does, for a frame with the four-byte header."""
    packet = frame.phy_payload
    header = lowcost.parse_header(packet)
    ptype, src = header.ptype, header.src
    if ptype & lowcost.TYPE_MASK != lowcost.DATA or ptype & lowcost.DOWNLINK:
        way = ", a downlink overheard" if ptype & lowcost.DOWNLINK else ""
        raise NotUplink(f"LowCostLoRaGw {lowcost.type_text(ptype)} from address {src}{way} (type {ptype:02x})")
    sessions = find(_LOWCOST, src)
    if not sessions:
        raise UnknownDevice(
            f"no device has address {src}", fix=f"add a [[device]] with address = {src}: lora-post devices add {src}"
        )
    session = sessions[0]  # one byte of address has one device: nothing else would tell two apart
    device = session.device
    if ptype & lowcost.ENCRYPTED:
        payload, fcnt, session, authentic = _open(packet, header, session)
    else:
        payload, fcnt, authentic = packet[_HEADER_SIZE:], header.seq, False
        if lowcost.is_image(payload):
            raise ImagePacket(f"a piece of a picture from address {src}, and pictures are not put together here")
        if device.keys is not None or device.lsc is not None:
            raise NotEncrypted(
                f"{device.id} has keys and sent in clear", fix="remove its keys if it really does not encrypt"
            )
    payload = _take_app_key(device, ptype, payload)
    return Uplink(frame, device, fcnt, None, payload, authentic), session


def _open(packet: bytes, header: lowcost.Header, session: Session) -> tuple[bytes, int, Session, bool]:
    """Verify and decrypt a packet, AES first.

    Returns clear bytes, FCnt, the session, and whether the uplink is authentic.
    """
    device, src, inner = session.device, header.src, packet[_HEADER_SIZE:]
    keys, lsc = device.keys, device.lsc
    data = None
    if isinstance(keys, SessionKeys):
        if inner and inner[0] & MHDR_MASK in MHDR_UPLINKS:
            data = _parse_inner(inner, src, strict=lsc is None)
        elif lsc is None:
            raise FrameError(
                f"address {src}: encrypted, but no LoRaWAN frame inside", fix="for the LSC cipher add lsc_key"
            )
        if data is not None and compare_digest(
            keys.data_mic(data.dev_addr, data.fcnt16, UPLINK, data.signed), data.mic
        ):
            return (*_accept_aes(data, keys, session), True)
    if lsc is not None and len(inner) >= MIC_SIZE:
        sealed = inner[:-MIC_SIZE]
        if compare_digest(lsc.mic(packet[:_HEADER_SIZE], sealed, header.seq), inner[-MIC_SIZE:]):
            return lsc.crypt(sealed, header.seq), header.seq, session, False
    if keys is None and lsc is None:
        raise NoKey(f"{device.id} encrypts, and has no keys", fix="add nwk_skey and app_skey (AES), or lsc_key (LSC)")
    raise BadMIC(
        f"address {src}: the MIC fits no key of {device.id}: damaged, forged, or wrong keys",
        fix="if it is every packet, correct the keys in its [[device]]",
    )


def _parse_inner(inner: bytes, src: int, *, strict: bool) -> DataFrame | None:
    """Return the LoRaWAN frame inside a packet.

    Other bytes raise FrameError, or give None when not strict.
    """
    try:
        data = parse_data_frame(inner)
        if data.dev_addr & 0xFF != src or data.fport == 0:
            raise FrameError(f"address {src}: DevAddr {data.dev_addr:08x}, FPort {data.fport} inside")
    except FrameError:
        if strict:
            raise
        return None
    return data


def _accept_aes(data: DataFrame, keys: SessionKeys, session: Session) -> tuple[bytes, int, Session]:
    """Decrypt the LoRaWAN frame inside a packet; gives clear bytes, its FCnt, the session.

    These devices count to 65535 and start again, and the MIC covers no more than that; the session
    keeps the unwrapped counter. A recording becomes playable again when half the range has passed.
    """
    device, next_fcnt, fcnt16 = session.device, session.next_fcnt, data.fcnt16
    fcnt = full_fcnt(next_fcnt, fcnt16)
    if is_old(next_fcnt, fcnt):
        if not tolerates(device, fcnt16):
            raise stale(device, fcnt16, (next_fcnt - 1) & 0xFFFF)
        fcnt = fcnt16
    return keys.crypt(data.dev_addr, fcnt16, UPLINK, 1, data.frm_payload), fcnt16, Session(device, fcnt + 1)


def _take_app_key(device: Device, ptype: int, payload: bytes) -> bytes:
    """Cut the application key off the clear payload, if it has one; errors do not show it."""
    if not ptype & lowcost.WITH_APP_KEY:
        if device.app_keys:
            raise BadAppKey(f"{device.id} sent no application key, and its [[device]] asks for one")
        return payload
    if len(payload) < lowcost.APP_KEY_SIZE:
        raise FrameError(
            f"{plural(len(payload), 'byte')} of payload, the application key alone has {lowcost.APP_KEY_SIZE}"
        )
    if device.app_keys and payload[: lowcost.APP_KEY_SIZE] not in device.app_keys:
        raise BadAppKey(f"the application key that {device.id} sent is not in its app_keys")
    return payload[lowcost.APP_KEY_SIZE :]
