"""From a frame to an uplink: find the device, prove that it sent the frame, decrypt.

What a frame says is not believed before its MIC is verified. Frames with the four-byte header are in
`unlock_lowcost`. The way back is `seal_lorawan` and `seal_lowcost`.

Sources: LoRaWAN 1.0.3, sections 4.3 and 4.4; LoRaWAN 1.1, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hmac import compare_digest
from itertools import chain, islice
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from lora_post.errors import BadMIC, FrameError, NoKey, NotUplink, StaleFCnt, UnknownDevice, UnlockError
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
from lora_post.model import ClearUplink, Device, FCntPolicy, Frame, Link, RxInfo
from lora_post.uplink.counters import is_old, stale, tolerates, wider_than_16_bit
from lora_post.uplink.join_state import Joiner
from lora_post.uplink.mic_11 import NextDown, nothing_sent
from lora_post.uplink.mic_11 import fits as fits_11
from lora_post.uplink.model import FindSessions, MaybeLate, MaybeRestarted, Session, Uplink
from lora_post.uplink.shared_address import NEIGHBOURS, SharedAddress
from lora_post.uplink.unlock_lowcost import unlock_lowcost

# Looking a member up on its enum costs as much as a dict look-up; this is the hot path.
_LORAWAN: Final = Link.LORAWAN
_LOWCOST: Final = Link.LOWCOST

# How many upper halves of FCnt are tried above and below the expected one before a frame counts as
# forged. Each costs one CMAC: a stranger must not be able to buy seconds of work with one frame, see `shared_address`.
_UPPER_HALVES: Final = 16

_UPPER_STEP: Final = 0x10000

NO_JOINERS: Final[Mapping[int, Joiner]] = MappingProxyType({})


def unlock(
    frame: Frame,
    find: FindSessions,
    joiners: Mapping[int, Joiner] = NO_JOINERS,
    next_down: NextDown = nothing_sent,
) -> tuple[Uplink, Session]:
    """Return the uplink that a frame proves to be, and the session with its counter advanced.

    find: the sessions of an address; for a DevAddr there may be several, and the MIC decides. joiners: the devices that
    join, by DevEUI; a DevAddr that nobody has may be that of a join which was not heard. next_down: the next AFCntDown
    of a device, by which an acknowledgement is known.
    The session of a frame without MIC comes back as it is.
    Raises FrameError for bytes that are not a frame, a subclass of UnlockError for a frame that is not
    accepted; the text says why and, where a person can do something about it, what.
    """
    phy_payload, link = frame.phy_payload, frame.link
    is_uplink = bool(phy_payload) and phy_payload[0] & MHDR_MASK in MHDR_UPLINKS
    if link is None:
        link = _LORAWAN if is_uplink else link_of(phy_payload)
    if link is not _LORAWAN:
        return unlock_lowcost(frame, find)
    if not is_uplink:
        raise NotUplink(describe(phy_payload))
    data = parse_data_frame(phy_payload)
    sessions = find(_LORAWAN, data.dev_addr)
    if not sessions:
        raise _unknown(data.dev_addr, joiners)
    if type(sessions) is SharedAddress:
        return _unlock_shared(frame, data, sessions, next_down)
    for session in sessions:
        device = session.device
        keys = device.keys
        if keys is not None:
            fcnt = full_fcnt(session.next_fcnt, data.fcnt16)
            if _fits(data, device, keys, fcnt, frame.rx, next_down):
                return _open(frame, data, keys, fcnt, Session(device, fcnt + 1))
    for session, fcnt in _others(sessions, data.fcnt16):
        keys = session.device.keys
        if keys is not None and _fits(data, session.device, keys, fcnt, frame.rx, next_down):
            return _accept(frame, data, keys, fcnt, session)
    raise _refusal(data, sessions, frame.rx)


def opened_by(device: Device, frame: Frame, fcnt: int) -> Uplink | None:
    """Return what was accepted before as the keys of a device open it; None where its MIC does not fit them."""

    def session(link: Link, address: int) -> list[Session]:
        return [Session(device, fcnt)] if (link, address) == (device.link, device.address) else []

    try:
        uplink, _ = unlock(frame, session)
    except (FrameError, UnlockError):
        return None
    return uplink if uplink.authentic else None


def is_sent_by(device: Device, frame: Frame, fcnt: int) -> bool | None:
    """Tell whether a device has sent what was accepted before; None where nothing proves it.

    Keys of a device that joins prove nothing: its sessions have others.
    """
    if not frame.phy_payload or device.keys is None or device.root is not None:
        return None
    return opened_by(device, frame, fcnt) is not None


def identify(event: ClearUplink, find: FindSessions) -> tuple[Uplink, Session]:
    """Find the device of an uplink that a network server has authenticated and decrypted.

    Counters are the server's business as well: they start again when a device joins again.
    Raises UnknownDevice with the lines that would let it in.
    """
    sessions = find(Link.SERVER, event.dev_eui)
    if not sessions:
        raise UnknownDevice(
            f"no device has DevEUI {event.dev_eui:016x}",
            fix=f'add a [[device]] with dev_eui = "{event.dev_eui:016x}" and a decoder, without dev_addr and keys',
        )
    session = sessions[0]
    return Uplink(event.frame, session.device, event.fcnt, event.fport, event.payload, False), session


def link_of(phy_payload: bytes) -> Link:
    """Tell from the bytes which header a frame starts with. Raises FrameError for neither.

    A LowCostLoRaGw packet starts with the gateway's address, 1, or with 0, the broadcast address. 0 is
    also the MHDR of a join-request, which has 23 bytes; a broadcast of 23 bytes is therefore taken for one.
    """
    if not phy_payload:
        raise FrameError("an empty frame")
    first, size = phy_payload[0], len(phy_payload)
    if first & MHDR_MASK in MHDR_UPLINKS:
        return _LORAWAN
    if lowcost.is_radiohead(phy_payload):
        return _LOWCOST
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
    """Return the PHYPayload in which a LoRaWAN 1.0 device sends this.

    fcnt: 32 bits. flags: those of FCtrl.
    """
    frm_payload = keys.crypt(dev_addr, fcnt, UPLINK, fport or 0, payload)
    signed = build_data_frame(
        mtype=mtype, dev_addr=dev_addr, fcnt=fcnt, fport=fport, frm_payload=frm_payload, fopts=fopts, flags=flags
    )
    return signed + keys.data_mic(dev_addr, fcnt, UPLINK, signed)


def seal_lowcost(
    keys: SessionKeys, src: int, fcnt: int, payload: bytes, *, seq: int = 0, app_key: bytes = b""
) -> bytes:
    """Return the packet in which a LowCostLoRaGw device with AES sends this; fcnt has 16 bits."""
    flags = lowcost.ENCRYPTED | (lowcost.WITH_APP_KEY if app_key else 0)
    header = lowcost.Header(lowcost.GATEWAY, lowcost.DATA | flags, src, seq)
    return lowcost.build_header(header) + seal_lorawan(keys, src, fcnt & 0xFFFF, 1, app_key + payload)


def _unlock_shared(
    frame: Frame, data: DataFrame, sessions: SharedAddress, next_down: NextDown
) -> tuple[Uplink, Session]:
    """Try the likeliest device and FCnt first, as long as the DevAddr has tries left."""
    most, count = sessions.tries(), 0
    expected = ((each, full_fcnt(each.next_fcnt, data.fcnt16)) for each in sessions.closest(data.fcnt16))
    copied = ((each, each.next_fcnt - 1) for each in sessions.heard_last(data.fcnt16))
    likely = chain(islice(expected, NEIGHBOURS), copied, expected, _others(sessions, data.fcnt16))
    try:
        for session, fcnt in islice(likely, most):
            count += 1
            keys = session.device.keys
            if keys is not None and _fits(data, session.device, keys, fcnt, frame.rx, next_down):
                return _accept(frame, data, keys, fcnt, session)
        raise _refusal_shared(data, len(sessions), count, is_all=count < most)
    except UnlockError:
        sessions.charge(count)
        raise


def _accept(frame: Frame, data: DataFrame, keys: AnySessionKeys, fcnt: int, session: Session) -> tuple[Uplink, Session]:
    """Return the uplink of an authentic frame. Raises StaleFCnt for a counter that its device may not send."""
    device = session.device
    try:
        return _open(frame, data, keys, fcnt, _advanced(session, fcnt))
    except StaleFCnt as error:
        if device.fcnt is FCntPolicy.SIXTEEN_BIT:
            raise
        uplink, restarted = _open(frame, data, keys, fcnt, Session(device, fcnt + 1))
        if device.fcnt is FCntPolicy.RESTARTS:
            raise MaybeRestarted(error, uplink, restarted) from None
        is_newest = fcnt == session.next_fcnt - 1
        raise MaybeLate(error, replace(uplink, is_late=True), is_newest=is_newest) from None


def _open(frame: Frame, data: DataFrame, keys: AnySessionKeys, fcnt: int, session: Session) -> tuple[Uplink, Session]:
    fport = data.fport
    payload = b"" if fport is None else keys.crypt(data.dev_addr, fcnt, UPLINK, fport, data.frm_payload)
    return Uplink(frame, session.device, fcnt, fport, payload, True), session


def _fits(
    data: DataFrame,
    device: Device,
    keys: AnySessionKeys,
    fcnt: int,
    rx: RxInfo,
    next_down: NextDown = nothing_sent,
) -> bool:
    if fcnt > MAX_FCNT:
        return False
    if isinstance(keys, SessionKeys):
        return compare_digest(keys.data_mic(data.dev_addr, fcnt, UPLINK, data.signed), data.mic)
    return fits_11(data, device, keys, fcnt, rx, next_down)


def _others(sessions: Sequence[Session], fcnt16: int) -> Iterator[tuple[Session, int]]:
    """Yield the sessions and FCnts that a frame may have which is not the expected one.

    First the newest frame of a device heard again, the usual case where two gateways hear one device; then, for all
    devices, the nearest counters, above and below. The one below is that of a device that counts from 0 again.
    """
    wide = []
    for session in sessions:
        if session.device.fcnt is FCntPolicy.SIXTEEN_BIT:
            yield session, fcnt16
        else:
            wide.append(session)
    for session in wide:
        if session.next_fcnt and (session.next_fcnt - 1) & 0xFFFF == fcnt16:
            yield session, session.next_fcnt - 1
    for step in range(_UPPER_STEP, (_UPPER_HALVES + 1) * _UPPER_STEP, _UPPER_STEP):
        for session in wide:
            expected = full_fcnt(session.next_fcnt, fcnt16)
            if expected >= step:
                yield session, expected - step
            yield session, expected + step
    for session in wide:
        if full_fcnt(session.next_fcnt, fcnt16) >= (_UPPER_HALVES + 1) * _UPPER_STEP:
            yield session, fcnt16


def _advanced(session: Session, fcnt: int) -> Session:
    """Return the session after an authentic frame with this FCnt.

    Raises StaleFCnt for a counter that its device may not send.
    """
    device, next_fcnt = session.device, session.next_fcnt
    if device.fcnt is FCntPolicy.SIXTEEN_BIT:
        unwrapped = full_fcnt(next_fcnt, fcnt)
        if is_old(next_fcnt, unwrapped):
            raise stale(device, fcnt, (next_fcnt - 1) & 0xFFFF)
        return Session(device, unwrapped + 1)
    if fcnt < next_fcnt and not tolerates(device, fcnt):
        raise stale(device, fcnt, next_fcnt - 1)
    return Session(device, fcnt + 1)


def _unknown(dev_addr: int, joiners: Mapping[int, Joiner]) -> UnknownDevice:
    fix = f'add a [[device]] with dev_addr = "{dev_addr:08x}": lora-post devices add {dev_addr:08x}'
    if joiners:
        who = next(iter(joiners.values())).device.id if len(joiners) == 1 else f"one of {len(joiners)} devices"
        fix += f"; or, if it is {who} (OTAA) after a join that was not heard, see docs/devices.md, Joining"
    return UnknownDevice(f"no device has DevAddr {dev_addr:08x}", fix=fix)


def _refusal(data: DataFrame, sessions: Sequence[Session], rx: RxInfo) -> UnlockError:
    """Return why a frame is of none of these sessions."""
    address = f"{data.dev_addr:08x}"
    tried = [session.device.id for session in sessions if session.device.keys is not None]
    if not tried:
        return NoKey(
            f"the device with DevAddr {address} has no keys", fix="add nwk_skey and app_skey to its [[device]]"
        )
    for session in sessions:
        device, keys = session.device, session.device.keys
        if keys is not None and device.fcnt is FCntPolicy.SIXTEEN_BIT:
            for fcnt in range(data.fcnt16 + _UPPER_STEP, (_UPPER_HALVES + 1) * _UPPER_STEP, _UPPER_STEP):
                if _fits(data, device, keys, fcnt, rx):
                    return wider_than_16_bit(device, fcnt)
    whose = tried[0] if len(tried) == 1 else f"any of {len(tried)} devices"
    return BadMIC(
        f"DevAddr {address}: the MIC fits no key of {whose}: damaged, forged, or wrong keys",
        fix="if it is every frame, correct the keys in its [[device]]",
    )


def _refusal_shared(data: DataFrame, devices: int, tries: int, *, is_all: bool) -> BadMIC:
    address = f"{data.dev_addr:08x}"
    if is_all:
        return BadMIC(
            f"DevAddr {address}: the MIC fits no key of any of {devices} devices: damaged, forged, or wrong keys",
            fix="if it is every frame of a device, correct the keys in its [[device]]",
        )
    return BadMIC(
        f"DevAddr {address}: the MIC fits none of the {tries} likeliest keys and FCnts of {devices} devices, "
        "and the rest was not tried, because too many frames with this DevAddr fit none",
        fix="give each device a DevAddr of its own",
    )
