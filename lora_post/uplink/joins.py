"""Joins heard: a device asks for a session (OTAA), and the network answers.

Where another network answers, a session can be followed when the join-request and the join-accept were both heard and
the root keys are configured. Where this gateway answers, see `downlink.join_server`.

Sources: LoRaWAN 1.0.3, section 6.2; LoRaWAN 1.1, section 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hmac import compare_digest
from shlex import quote
from typing import Final

from msgspec.structs import replace

from lora_post.errors import BadMIC, NotUplink, UnknownDevice, UsedNonce
from lora_post.lorawan.join_messages import (
    ACCEPT_SIZES,
    REQUEST_SIZE,
    JoinAccept,
    JoinRequest,
    RejoinRequest,
    parse_join_accept,
    parse_join_request,
    parse_rejoin_request,
)
from lora_post.lorawan.phy_payload import MType, describe, message_type
from lora_post.lorawan.session_keys import AnySessionKeys, SessionKeys, SessionKeys11
from lora_post.model import Device, Frame, Link
from lora_post.times import StampUs
from lora_post.uplink.join_state import Join, JoinedSession, Joiner, Joiners, JoinState

ANSWER_WINDOW_US: Final = 60_000_000
"""How far apart join-request and join-accept may be: the network answers after 5 or 6 s, clocks differ."""
_MAJOR: Final = 0x03
KEEP_NONCES: Final = 512
"""So many are kept as numbers; DevNonces before them as 8 KiB of bits, so that none of them ever counts twice."""
KEEP_SESSIONS: Final = 2
"""The proved session before the last one stays good: an uplink of it may come late."""
KEEP_UNPROVED: Final = 8
"""Join-accepts can be recorded and played back: these many may come between the true one and the first uplink."""
NONCE_BYTES: Final = 8192
"""A bit for each DevNonce."""


def is_join(frame: Frame) -> bool:
    """Tell whether a frame has the form of a join-request or a join-accept."""
    phy_payload = frame.phy_payload
    if frame.link is Link.LOWCOST or not phy_payload or phy_payload[0] & _MAJOR:
        return False
    mtype, size = message_type(phy_payload), len(phy_payload)
    return (mtype is MType.JOIN_REQUEST and size == REQUEST_SIZE) or (
        mtype is MType.JOIN_ACCEPT and size in ACCEPT_SIZES
    )


def hear_join(frame: Frame, joiners: Mapping[int, Joiner]) -> tuple[Join, Joiner]:
    """Return the join that a frame is, and its device with what is now known of its joins.

    frame: one that `is_join`. joiners: by DevEUI.
    Raises a subclass of UnlockError for a join that is not authentic, not new, or not of a known device.
    """
    if message_type(frame.phy_payload) is MType.JOIN_REQUEST:
        return _hear_request(frame, joiners)
    return _hear_accept(frame, joiners)


def joined_device(device: Device, session: JoinedSession) -> Device:
    """Return the device as it is in a session."""
    return replace(
        device,
        address=session.dev_addr,
        keys=keys_of(session),
        rx_delay_s=session.rx_delay_s,
        cf_list=session.cf_list,
    )


def keys_of(session: JoinedSession) -> AnySessionKeys:
    """Return the keys of a session. Raises ValueError for bytes that are not keys."""
    if len(session.keys) == 2:
        return SessionKeys(*session.keys)
    return SessionKeys11(*session.keys)


def prove(state: JoinState, dev_addr: int, keys: AnySessionKeys) -> JoinState:
    """Return the state once an uplink came in a session: only now it replaces another one."""
    unproved = _unproved(state)
    for number, session in enumerate(unproved):
        if (session.dev_addr, session.keys) == (dev_addr, keys.secrets):
            proved = (*state.proved, session)[-KEEP_SESSIONS:]
            # What was offered before it, and not taken, is over.
            return replace(state, proved=proved, sessions=(*proved, *unproved[number + 1 :]))
    return state


def _unproved(state: JoinState) -> tuple[JoinedSession, ...]:
    return tuple(session for session in state.sessions if session not in state.proved)


def _has_bit(bits: bytes, number: int) -> bool:
    return bool(bits) and bool(bits[number >> 3] & 1 << (number & 7))


def _with_bits(bits: bytes, numbers: Sequence[int]) -> bytes:
    if not numbers:
        return bits
    changed = bytearray(bits or bytes(NONCE_BYTES))
    for number in numbers:
        changed[number >> 3] |= 1 << (number & 7)
    return bytes(changed)


def authentic_request(frame: Frame, joiners: Mapping[int, Joiner]) -> tuple[JoinRequest, Joiner]:
    """Return a join-request and its device.

    Raises a subclass of UnlockError for one that is not authentic, or not of a known device.
    """
    request = parse_join_request(frame.phy_payload)
    joiner = joiners.get(request.dev_eui)
    if joiner is None or joiner.device.root is None:
        raise UnknownDevice(
            f"no device joins with DevEUI {request.dev_eui:016x}",
            fix=(
                f"add a [[device]] with "
                f'dev_eui = "{request.dev_eui:016x}", join_eui = "{request.join_eui:016x}" and its app_key: '
                f"lora-post devices add {request.dev_eui:016x}"
            ),
        )
    device, root = joiner.device, joiner.device.root
    if not compare_digest(root.request_mic(request.signed), request.mic):
        key = "nwk_key" if root.is_11 else "app_key"
        raise BadMIC(
            f"{device.id}: the MIC of a join-request does not fit: damaged, forged, or a wrong key",
            fix=f"if it is every join-request, correct {key}",
        )
    if request.join_eui != root.join_eui:
        raise UnknownDevice(
            f"{device.id} sent JoinEUI {request.join_eui:016x}, configured is {root.join_eui:016x}",
            fix="correct join_eui",
        )
    return request, joiner


def is_rejoin(frame: Frame) -> bool:
    """Tell whether a frame has the form of a rejoin-request."""
    phy_payload = frame.phy_payload
    is_lorawan = frame.link is not Link.LOWCOST and bool(phy_payload) and not phy_payload[0] & _MAJOR
    return is_lorawan and message_type(phy_payload) is MType.REJOIN_REQUEST


def authentic_rejoin(frame: Frame, joiners: Mapping[int, Joiner]) -> tuple[RejoinRequest, Joiner, JoinedSession]:
    """Return a rejoin-request, its device, and the session in which it was sent.

    Raises FrameError for one that is not of type 0 or 2, a subclass of UnlockError for one that is not authentic.
    """
    request = parse_rejoin_request(frame.phy_payload)
    joiner = joiners.get(request.dev_eui)
    if joiner is None:
        raise UnknownDevice(f"no device joins with DevEUI {request.dev_eui:016x}")
    for session in reversed(joiner.state.sessions):
        keys = keys_of(session)
        if isinstance(keys, SessionKeys11) and compare_digest(keys.rejoin_mic(request.signed), request.mic):
            return request, joiner, session
    raise BadMIC(f"{joiner.device.id}: the MIC of a rejoin-request fits none of its sessions: damaged or forged")


def with_rejoin(device: Device, state: JoinState, request: RejoinRequest, session: JoinedSession) -> JoinState:
    """Return the state after a rejoin-request. Raises UsedNonce for one that was heard before."""
    counts = dict(state.rejoins)
    if request.count <= counts.get(session.dev_addr, -1):
        raise UsedNonce(f"{device.id}: rejoin-request with counter {request.count} again: a repeat or a replay")
    alive = {each.dev_addr for each in state.sessions}
    counts = {dev_addr: count for dev_addr, count in counts.items() if dev_addr in alive}
    return replace(state, rejoins=tuple((counts | {session.dev_addr: request.count}).items()), rejoin_answer=b"")


def is_refused(device: Device, state: JoinState, dev_nonce: int) -> bool:
    """Tell whether a device has asked with this DevNonce before, and must not again."""
    if device.any_dev_nonce:
        return False
    return dev_nonce in state.dev_nonces or _has_bit(state.older_nonces, dev_nonce)


def used_nonce(device: Device, state: JoinState, dev_nonce: int) -> UsedNonce:
    """Return the refusal of a DevNonce that was used before, with what would accept it."""
    newest = dev_nonce == state.dev_nonces[-1]
    why = "a repeat, or the copy of another gateway" if newest else "a replay, or the device repeats its nonces"
    return UsedNonce(
        f"{device.id}: join-request with DevNonce {dev_nonce:04x} again: {why}",
        fix=(
            f"if the device lost its memory: `lora-post devices reset-nonces {quote(device.id)}`, "
            'or dev_nonce = "any" if it always does'
        ),
    )


def with_request(state: JoinState, dev_nonce: int, time_us: StampUs) -> JoinState:
    """Return the state after a new join-request."""
    nonces = (*state.dev_nonces, dev_nonce)
    older = _with_bits(state.older_nonces, nonces[:-KEEP_NONCES])
    return replace(state, dev_nonces=nonces[-KEEP_NONCES:], asked_us=time_us, older_nonces=older, answer=b"")


def with_session(state: JoinState, session: JoinedSession) -> JoinState:
    """Return the state after a join-accept that opens this session.

    Of too many the oldest goes whose request may have been recorded; only where there is none, the oldest of all.
    """
    unproved = list(_unproved(state))
    while len(unproved) >= KEEP_UNPROVED:
        unproved.remove(next((each for each in unproved if each.is_repeated), unproved[0]))
    return replace(state, sessions=(*state.proved, *unproved, session))


def is_repeated(state: JoinState) -> bool:
    """Tell whether the last DevNonce was heard before."""
    *before, last = state.dev_nonces
    return last in before or _has_bit(state.older_nonces, last)


def without_nonces(state: JoinState) -> JoinState:
    """Return the state of a device that may use its DevNonces again; its sessions go on."""
    return replace(state, dev_nonces=(), older_nonces=b"", answer=b"")


def _hear_request(frame: Frame, joiners: Mapping[int, Joiner]) -> tuple[Join, Joiner]:
    request, joiner = authentic_request(frame, joiners)
    device, state = joiner.device, joiner.state
    if is_refused(device, state, request.dev_nonce):
        raise used_nonce(device, state, request.dev_nonce)
    heard = with_request(state, request.dev_nonce, frame.time_us)
    join = Join(frame, device, "join-request", f"DevNonce {request.dev_nonce:04x}")
    return join, Joiner(device, heard)


def _hear_accept(frame: Frame, joiners: Mapping[int, Joiner]) -> tuple[Join, Joiner]:
    phy_payload = frame.phy_payload
    for joiner in _waiting(joiners, frame.time_us):
        device, root, state = joiner.device, joiner.device.root, joiner.state
        accept = open_accept(joiner, phy_payload)
        if accept is None or root is None:
            continue
        if accept.join_nonce in state.join_nonces:
            raise UsedNonce(
                f"{device.id}: join-accept with JoinNonce {accept.join_nonce:06x} again: a repeat or a replay"
            )
        keys = root.session_keys(
            accept.join_nonce, accept.net_id, state.dev_nonces[-1], opt_neg=root.is_11 and accept.opt_neg
        )
        session = JoinedSession(accept.dev_addr, keys.secrets)
        nonces = (*state.join_nonces, accept.join_nonce)[-KEEP_NONCES:]
        heard = replace(with_session(state, session), join_nonces=nonces)
        version = "1.1" if isinstance(keys, SessionKeys11) else "1.0"
        detail = f"DevAddr {accept.dev_addr:08x}, JoinNonce {accept.join_nonce:06x}, LoRaWAN {version}"
        return Join(frame, device, "join-accept", detail, accept.dev_addr), Joiner(device, heard)
    raise NotUplink(f"{describe(phy_payload)}, and no configured device was heard to ask for one just before")


def _waiting(joiners: Mapping[int, Joiner], time_us: StampUs) -> Iterator[Joiner]:
    """Return the devices that asked a moment ago, the last one first."""
    known = joiners if isinstance(joiners, Joiners) else Joiners(joiners.values())
    return known.asked_around(time_us, ANSWER_WINDOW_US)


def open_accept(joiner: Joiner, phy_payload: bytes) -> JoinAccept | None:
    """Return a join-accept in clear, or None when it does not answer the last join-request.

    phy_payload: 17 or 33 bytes.
    """
    root = joiner.device.root
    if root is None or not joiner.state.dev_nonces:
        return None
    accept = parse_join_accept(phy_payload[0], root.open_accept(phy_payload[1:]))
    mic = root.accept_mic(accept.signed, joiner.state.dev_nonces[-1], opt_neg=root.is_11 and accept.opt_neg)
    return accept if compare_digest(mic, accept.mic) else None
