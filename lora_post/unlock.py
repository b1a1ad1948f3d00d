"""From a frame to an uplink: find the device, prove that it sent the frame, decrypt. And back: `seal`.

Nothing a frame says is believed before its MIC is verified. A four-byte-header frame in clear has
none; it is taken from devices without keys only, and the uplink says that it is not authentic.

Sources: LoRaWAN 1.0.3, sections 4.3 and 4.4; CongducPham/LowCostLoRaGw: gw_full_latest/decrypt_AES.py,
gw_full_latest/post_processing_gw.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hmac import compare_digest
from typing import Final

from lora_post import lowcost
from lora_post.crypto import UPLINK, SessionKeys
from lora_post.errors import BadAppKey, BadMIC, FrameError, NoKey, NotEncrypted, NotUplink, StaleFCnt, UnknownDevice
from lora_post.lorawan import MAX_FCNT, DataFrame, MType, build_data_frame, describe, full_fcnt, parse_data_frame
from lora_post.model import Device, FindSessions, Frame, Link, Session, Uplink

# Looking a member up on its enum costs as much as a dict look-up; this is the hot path.
_LORAWAN: Final = Link.LORAWAN
_LOWCOST: Final = Link.LOWCOST

# How many upper halves of FCnt are tried above and below the expected one before a frame counts as
# forged. Each costs one CMAC: a stranger must not be able to buy seconds of work with one frame.
_UPPER_HALVES: Final = 16

# A counter of 16 bits that fell back by less than half its range is an old frame, not a roll-over.
_HALF_RANGE: Final = 0x8000

_JOIN_REQUEST_SIZE: Final = 23
_JOIN_ACCEPT_SIZES: Final = (17, 33)
_UPPER_STEP: Final = 0x10000

# MHDR without its three reserved bits, and what uplinks have there: unconfirmed, confirmed.
_MHDR_MASK: Final = 0xE3
_MHDR_UPLINKS: Final = (0x40, 0x80)


def unlock(frame: Frame, find: FindSessions) -> tuple[Uplink, Session]:
    """Turn a frame into the uplink that it proves to be, and the session with its counter advanced.

    find: the sessions of an address; for a DevAddr there may be several, and the MIC decides.
    The session of a frame without MIC comes back as it is.
    Raises FrameError for bytes that are no frame, a subclass of UnlockError for a frame that is not
    accepted; the text says why and, where a person can do something about it, what.
    """
    link = frame.link or link_of(frame.phy_payload)
    if link is _LORAWAN:
        return _unlock_lorawan(frame, find)
    return _unlock_lowcost(frame, find)


def link_of(phy_payload: bytes) -> Link:
    """Tell from the bytes which header a frame starts with; raises FrameError when it is neither.

    A LowCostLoRaGw packet starts with the gateway's address, 1, or with 0 for everybody. 0 is
    also the MHDR of a join-request, which has 23 bytes; a packet of 23 bytes to everybody is
    therefore taken for one.
    """
    if not phy_payload:
        raise FrameError("an empty frame")
    first, size = phy_payload[0], len(phy_payload)
    if first & 0xC0:
        return _LORAWAN
    if first == lowcost.GATEWAY:
        return _LOWCOST
    if first == 0x00 and size == _JOIN_REQUEST_SIZE:
        return _LORAWAN
    if first == lowcost.BROADCAST and size >= 4 and phy_payload[1] & lowcost.TYPE_MASK in (lowcost.DATA, lowcost.ACK):
        return _LOWCOST
    if first == 0x20 and size in _JOIN_ACCEPT_SIZES:
        return _LORAWAN
    raise FrameError(f"first byte {first:02x} of {size}: neither a LoRaWAN nor a LowCostLoRaGw header")


def seal_lorawan(
    keys: SessionKeys,
    dev_addr: int,
    fcnt: int,
    fport: int | None,
    payload: bytes = b"",
    *,
    mtype: MType = MType.UNCONFIRMED_UP,
    fopts: bytes = b"",
    flags: int = 0,
) -> bytes:
    """The PHYPayload in which a LoRaWAN 1.0 device sends this; fcnt has 32 bits, flags are FCtrl's."""
    frm_payload = keys.crypt(dev_addr, fcnt, UPLINK, fport or 0, payload)
    signed = build_data_frame(
        mtype=mtype, dev_addr=dev_addr, fcnt=fcnt, fport=fport, frm_payload=frm_payload, fopts=fopts, flags=flags
    )
    return signed + keys.data_mic(dev_addr, fcnt, UPLINK, signed)


def seal_lowcost(
    keys: SessionKeys, src: int, fcnt: int, payload: bytes, *, seq: int = 0, app_key: bytes = b""
) -> bytes:
    """The packet in which a LowCostLoRaGw device with AES sends this; fcnt has 16 bits."""
    flags = lowcost.ENCRYPTED | (lowcost.WITH_APP_KEY if app_key else 0)
    header = lowcost.Header(lowcost.GATEWAY, lowcost.DATA | flags, src, seq)
    return lowcost.build_header(header) + seal_lorawan(keys, src, fcnt & 0xFFFF, 1, app_key + payload)


def _unlock_lorawan(frame: Frame, find: FindSessions) -> tuple[Uplink, Session]:
    phy_payload = frame.phy_payload
    if not phy_payload or phy_payload[0] & _MHDR_MASK not in _MHDR_UPLINKS:
        raise NotUplink(describe(phy_payload))
    data = parse_data_frame(phy_payload)
    sessions = find(_LORAWAN, data.dev_addr)
    for session in sessions:
        keys = session.device.keys
        if keys is not None:
            fcnt = full_fcnt(session.next_fcnt, data.fcnt16)
            if _fits(data, keys, fcnt):
                return _accept(frame, data, session, keys, fcnt)
    return _accept(frame, data, *_search(data, sessions))


def _accept(frame: Frame, data: DataFrame, session: Session, keys: SessionKeys, fcnt: int) -> tuple[Uplink, Session]:
    fport, device = data.fport, session.device
    payload = b"" if fport is None else keys.crypt(data.dev_addr, fcnt, UPLINK, fport, data.frm_payload)
    return Uplink(frame, device, fcnt, fport, payload, True), Session(device, fcnt + 1)


def _fits(data: DataFrame, keys: SessionKeys, fcnt: int) -> bool:
    return fcnt <= MAX_FCNT and compare_digest(keys.data_mic(data.dev_addr, fcnt, UPLINK, data.signed), data.mic)


def _search(data: DataFrame, sessions: Sequence[Session]) -> tuple[Session, SessionKeys, int]:
    """Find whose frame this is when no expected FCnt fits: a long gap, an old frame, or a forgery.

    All devices are tried for a new frame before any of them is tried for an old one, except for
    the newest frame heard again, the usual case where two gateways hear one device.
    """
    address = f"{data.dev_addr:08x}"
    if not sessions:
        raise UnknownDevice(f'no device has DevAddr {address}; add a [[device]] with dev_addr = "{address}"')
    keyed = [(session, session.device.keys) for session in sessions if session.device.keys is not None]
    if not keyed:
        raise NoKey(f"the device with DevAddr {address} has no keys; add nwk_skey and app_skey to its [[device]]")
    for session, keys in keyed:
        newest = session.next_fcnt - 1
        if newest >= 0 and newest & 0xFFFF == data.fcnt16 and _fits(data, keys, newest):
            raise _stale(session.device.id, newest, newest)
    for session, keys in keyed:
        expected = full_fcnt(session.next_fcnt, data.fcnt16)
        for fcnt in range(expected + _UPPER_STEP, expected + (_UPPER_HALVES + 1) * _UPPER_STEP, _UPPER_STEP):
            if _fits(data, keys, fcnt):
                return session, keys, fcnt
    for session, keys in keyed:
        for fcnt in _older(session.next_fcnt, data.fcnt16):
            if _fits(data, keys, fcnt):
                raise _stale(session.device.id, fcnt, session.next_fcnt - 1)
    whose = keyed[0][0].device.id if len(keyed) == 1 else f"any of {len(keyed)} devices"
    raise BadMIC(f"DevAddr {address}: the MIC fits no key of {whose}; damaged, forged, or configured with wrong keys")


def _older(next_fcnt: int, fcnt16: int) -> Iterator[int]:
    """Counters below next_fcnt that a frame with these 16 bits may have, newest first.

    The last is the one of a device that counts from 0 again, the most usual of all.
    """
    expected = full_fcnt(next_fcnt, fcnt16)
    for halves in range(1, min(_UPPER_HALVES, expected // _UPPER_STEP) + 1):
        yield expected - halves * _UPPER_STEP
    if expected // _UPPER_STEP > _UPPER_HALVES:
        yield fcnt16


def _stale(name: str, fcnt: int, last: int) -> StaleFCnt:
    if fcnt == last:
        return StaleFCnt(f"{name}: FCnt {fcnt} again, the newest one: a repeat, or the copy of another gateway")
    return StaleFCnt(f"{name}: FCnt {fcnt} after {last}: a replay, or the device was restarted and counts from 0 again")


def _unlock_lowcost(frame: Frame, find: FindSessions) -> tuple[Uplink, Session]:
    packet = frame.phy_payload
    header = lowcost.parse_header(packet)
    ptype, src, fcnt = header.ptype, header.src, header.seq
    if ptype & lowcost.TYPE_MASK != lowcost.DATA or ptype & lowcost.DOWNLINK:
        way = ", a downlink overheard" if ptype & lowcost.DOWNLINK else ""
        raise NotUplink(f"LowCostLoRaGw {lowcost.type_text(ptype)} from address {src}{way} (type {ptype:02x})")
    sessions = find(_LOWCOST, src)
    if not sessions:
        raise UnknownDevice(f"no device has address {src}; add a [[device]] with address = {src}")
    session = sessions[0]  # one byte of address has one device: nothing else would tell two apart
    device, payload = session.device, packet[4:]
    authentic = bool(ptype & lowcost.ENCRYPTED)
    if authentic:
        payload, fcnt, session = _open_aes(payload, src, session)
    elif lowcost.is_image(payload):
        raise NotUplink(f"image packet from address {src}")
    elif device.keys is not None:
        raise NotEncrypted(f"{device.id} has keys and sent in clear; remove its keys if it really does not encrypt")
    payload = _take_app_key(device, ptype, payload)
    return Uplink(frame, device, fcnt, None, payload, authentic), session


def _open_aes(inner: bytes, src: int, session: Session) -> tuple[bytes, int, Session]:
    """Verify and decrypt the LoRaWAN frame inside a packet; gives clear bytes, its FCnt, the session.

    These devices count to 65535 and start again, and the MIC covers no more than that; the session
    keeps the unwrapped counter. A recording becomes playable again when half the range has passed.
    """
    device, next_fcnt = session.device, session.next_fcnt
    keys = device.keys
    if keys is None:
        raise NoKey(f"{device.id} encrypts, and has no keys; add nwk_skey and app_skey to its [[device]]")
    if not inner or inner[0] & _MHDR_MASK not in _MHDR_UPLINKS:
        raise FrameError(f"address {src}: encrypted, but no LoRaWAN frame inside; the LSC cipher is not supported")
    data = parse_data_frame(inner)
    if data.dev_addr & 0xFF != src or data.fport == 0:
        raise FrameError(f"address {src}: DevAddr {data.dev_addr:08x}, FPort {data.fport} inside")
    fcnt16 = data.fcnt16
    if not _fits(data, keys, fcnt16):
        raise BadMIC(f"address {src}: the MIC does not fit; damaged, forged, or the keys of {device.id} are wrong")
    fcnt = full_fcnt(next_fcnt, fcnt16)
    if next_fcnt and fcnt - next_fcnt >= _HALF_RANGE:
        raise _stale(device.id, fcnt16, (next_fcnt - 1) & 0xFFFF)
    return keys.crypt(data.dev_addr, fcnt16, UPLINK, 1, data.frm_payload), fcnt16, Session(device, fcnt + 1)


def _take_app_key(device: Device, ptype: int, payload: bytes) -> bytes:
    """Cut the application key off the clear payload, if it has one; neither text nor error shows it."""
    if not ptype & lowcost.WITH_APP_KEY:
        if device.app_keys:
            raise BadAppKey(f"{device.id} sent no application key, and its [[device]] asks for one")
        return payload
    if len(payload) < lowcost.APP_KEY_SIZE:
        raise FrameError(f"{len(payload)} bytes of payload, the application key alone has {lowcost.APP_KEY_SIZE}")
    if device.app_keys and payload[: lowcost.APP_KEY_SIZE] not in device.app_keys:
        raise BadAppKey(f"the application key that {device.id} sent is not in its app_keys")
    return payload[lowcost.APP_KEY_SIZE :]
