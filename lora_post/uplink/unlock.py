"""From a frame to an uplink: find the device, prove that it sent the frame, decrypt. And back: `seal`.

Nothing a frame says is believed before its MIC is verified; four-byte-header frames are in `unlock_lowcost`.

Sources: LoRaWAN 1.0.3, sections 4.3 and 4.4; LoRaWAN 1.1, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hmac import compare_digest
from typing import Final

from lora_post.errors import BadMIC, FrameError, NoKey, NotUplink, UnknownDevice
from lora_post.lorawan.join_messages import ACCEPT_SIZES, REQUEST_SIZE
from lora_post.lorawan.phy_payload import (
    MAX_FCNT,
    MHDR_MASK,
    MHDR_UPLINKS,
    DataFrame,
    MType,
    build_data_frame,
    describe,
    full_fcnt,
    parse_data_frame,
)
from lora_post.lorawan.session_keys import UPLINK, AnySessionKeys, SessionKeys
from lora_post.lowcost import header as lowcost
from lora_post.model import Device, FCntPolicy, FindSessions, Frame, Link, RxInfo, Session, Uplink
from lora_post.uplink.counters import is_old, stale, tolerates
from lora_post.uplink.mic_11 import fits as fits_11
from lora_post.uplink.unlock_lowcost import unlock_lowcost

# Looking a member up on its enum costs as much as a dict look-up; this is the hot path.
_LORAWAN: Final = Link.LORAWAN
_LOWCOST: Final = Link.LOWCOST

# How many upper halves of FCnt are tried above and below the expected one before a frame counts as
# forged. Each costs one CMAC: a stranger must not be able to buy seconds of work with one frame.
_UPPER_HALVES: Final = 16

_UPPER_STEP: Final = 0x10000


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
    return unlock_lowcost(frame, find)


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
    if first == 0x00 and size == REQUEST_SIZE:
        return _LORAWAN
    if first == lowcost.BROADCAST and size >= 4 and phy_payload[1] & lowcost.TYPE_MASK in (lowcost.DATA, lowcost.ACK):
        return _LOWCOST
    if first == 0x20 and size in ACCEPT_SIZES:
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
    if not phy_payload or phy_payload[0] & MHDR_MASK not in MHDR_UPLINKS:
        raise NotUplink(describe(phy_payload))
    data = parse_data_frame(phy_payload)
    sessions = find(_LORAWAN, data.dev_addr)
    for session in sessions:
        device = session.device
        keys = device.keys
        if keys is not None:
            fcnt = full_fcnt(session.next_fcnt, data.fcnt16)
            if _fits(data, device, keys, fcnt, frame.rx):
                return _accept(frame, data, device, keys, fcnt, fcnt + 1)
    return _accept(frame, data, *_search(data, sessions, frame.rx))


def _accept(
    frame: Frame, data: DataFrame, device: Device, keys: AnySessionKeys, fcnt: int, next_fcnt: int
) -> tuple[Uplink, Session]:
    fport = data.fport
    payload = b"" if fport is None else keys.crypt(data.dev_addr, fcnt, UPLINK, fport, data.frm_payload)
    return Uplink(frame, device, fcnt, fport, payload, True), Session(device, next_fcnt)


def _fits(data: DataFrame, device: Device, keys: AnySessionKeys, fcnt: int, rx: RxInfo) -> bool:
    if fcnt > MAX_FCNT:
        return False
    if isinstance(keys, SessionKeys):
        return compare_digest(keys.data_mic(data.dev_addr, fcnt, UPLINK, data.signed), data.mic)
    return fits_11(data, device, keys, fcnt, rx)


def _search(data: DataFrame, sessions: Sequence[Session], rx: RxInfo) -> tuple[Device, AnySessionKeys, int, int]:
    """Find whose frame this is when no expected FCnt fits: a long gap, an old frame, or a forgery.

    All devices are tried for a new frame before any of them is tried for an old one, except for
    the newest frame heard again, the usual case where two gateways hear one device.
    Gives device, keys, FCnt, and the next FCnt of its session.
    """
    address = f"{data.dev_addr:08x}"
    if not sessions:
        raise UnknownDevice(f'no device has DevAddr {address}; add a [[device]] with dev_addr = "{address}"')
    keyed = [(session.next_fcnt, session.device, session.device.keys) for session in sessions]
    tried = [(next_fcnt, device, keys) for next_fcnt, device, keys in keyed if keys is not None]
    if not tried:
        raise NoKey(f"the device with DevAddr {address} has no keys; add nwk_skey and app_skey to its [[device]]")
    for next_fcnt, device, keys in tried:
        if device.fcnt is FCntPolicy.SIXTEEN_BIT and _fits(data, device, keys, data.fcnt16, rx):
            fcnt = full_fcnt(next_fcnt, data.fcnt16)
            if is_old(next_fcnt, fcnt):
                raise stale(device, data.fcnt16, (next_fcnt - 1) & 0xFFFF)
            return device, keys, data.fcnt16, fcnt + 1
    wide = [each for each in tried if each[1].fcnt is not FCntPolicy.SIXTEEN_BIT]
    for next_fcnt, device, keys in wide:
        newest = next_fcnt - 1
        if newest >= 0 and newest & 0xFFFF == data.fcnt16 and _fits(data, device, keys, newest, rx):
            return _take_again(device, keys, newest, newest)
    for next_fcnt, device, keys in wide:
        expected = full_fcnt(next_fcnt, data.fcnt16)
        for fcnt in range(expected + _UPPER_STEP, expected + (_UPPER_HALVES + 1) * _UPPER_STEP, _UPPER_STEP):
            if _fits(data, device, keys, fcnt, rx):
                return device, keys, fcnt, fcnt + 1
    for next_fcnt, device, keys in wide:
        for fcnt in _older(next_fcnt, data.fcnt16):
            if _fits(data, device, keys, fcnt, rx):
                return _take_again(device, keys, fcnt, next_fcnt - 1)
    whose = tried[0][1].id if len(tried) == 1 else f"any of {len(tried)} devices"
    raise BadMIC(f"DevAddr {address}: the MIC fits no key of {whose}; damaged, forged, or configured with wrong keys")


def _take_again(device: Device, keys: AnySessionKeys, fcnt: int, last: int) -> tuple[Device, AnySessionKeys, int, int]:
    """What `_search` gives for a counter that is not above the last one, if the device may do that."""
    if not tolerates(device, fcnt):
        raise stale(device, fcnt, last)
    return device, keys, fcnt, fcnt + 1


def _older(next_fcnt: int, fcnt16: int) -> Iterator[int]:
    """Counters below next_fcnt that a frame with these 16 bits may have, newest first.

    The last is the one of a device that counts from 0 again, the most usual of all.
    """
    expected = full_fcnt(next_fcnt, fcnt16)
    for halves in range(1, min(_UPPER_HALVES, expected // _UPPER_STEP) + 1):
        yield expected - halves * _UPPER_STEP
    if expected // _UPPER_STEP > _UPPER_HALVES:
        yield fcnt16
