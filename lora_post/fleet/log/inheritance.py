"""Write first entries of devices from the counters of a box that becomes a worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec.structs import replace

from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.hub.subjects import log_subject, on_air_of, part_of
from lora_post.fleet.log.entry import Counters, Given, Joins, State, after, encode, new_id
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.view import View
from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import Device
from lora_post.uplink.join_state import JoinedSession, JoinState
from lora_post.uplink.joins import joined_device
from lora_post.uplink.sessions import downlink_key, join_key, session_key
from lora_post.uplink.window import Window

MOVED: Final = "moved"
"""The subject at the hub that says where the logs of such sessions are, see `moved`."""


def inherited(
    devices: Iterable[Device],
    counters: Mapping[str, int],
    joins: Mapping[str, JoinState],
    net_id: int,
    told: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, State]:
    """Return the states of devices by their log.

    counters, joins: as the spool has them, see `SessionBook.load`. told: what devices were told, by session.
    """
    found = {}
    for device in devices:
        state = State(_counters(device, counters, told))
        if device.root is not None:
            before = joins.get(join_key(device))
            state = State(joins=_joins(device, device.root, before, counters, net_id, told) if before else None)
        if state != State():
            found[log_subject(device)] = state
    return found


def hand_down(log: Log, view: View, states: Mapping[str, State]) -> None:
    """Write the first entries of devices that have none in this part of the log, and read on.

    Raises LogUnavailable; the view is then to be thrown away.
    """
    new = [
        (subject, encode(after(None, new_id(), state, "own")))
        for subject, state in states.items()
        if subject.startswith(view.prefix) and view.fold(subject).last is None
    ]
    if new:
        log.append(new)
        for _ in view.catch_up(log):
            pass


def moved(states: Mapping[str, State]) -> dict[str, int]:
    """Return where the logs of sessions are whose DevAddr belongs to another partition: address in hex -> partition.

    The box drew their addresses when there were no partitions.
    """
    found = {}
    for subject, state in states.items():
        part = int(subject.split(".")[1])
        for session in state.joins.sessions if state.joins else ():
            if part_of(on_air_of(session.dev_addr)) != part:
                found[f"{session.dev_addr:08x}"] = part
    return found


def moved_text(addresses: Mapping[str, int]) -> bytes:
    """Return what `moved` found as it stands at the hub."""
    return msgspec.json.encode(addresses)


def moved_of(text: str) -> dict[str, int]:
    """Return the logs that `moved_text` wrote; empty for what cannot be read."""
    try:
        return msgspec.json.decode(text, type=dict[str, int])
    except UNREADABLE:
        return {}


def _counters(device: Device, counters: Mapping[str, int], told: Mapping[str, bytes]) -> Counters:
    key = session_key(device)
    down, app_down = (counters.get(downlink_key(key, is_app=is_app), 0) for is_app in (False, True))
    return Counters(Window(counters.get(key, 0)), down, app_down, told.get(key, b""))


def _joins(
    device: Device,
    root: RootKeys,
    state: JoinState,
    counters: Mapping[str, int],
    net_id: int,
    told: Mapping[str, bytes],
) -> Joins:
    sessions = []
    for session in state.sessions:
        given = _given(root, session, state, net_id)
        if given is not None:
            mine = _counters(joined_device(device, session), counters, told)
            sessions.append(replace(given, is_proved=session in state.proved, counters=mine))
    return Joins(
        root.fingerprint,
        state.dev_nonces,
        state.older_nonces,
        state.asked_us,
        state.join_nonce,
        b"",
        tuple(sessions),
        state.rejoins,
    )


def _given(root: RootKeys, session: JoinedSession, state: JoinState, net_id: int) -> Given | None:
    """Return a session by what its keys follow from; None where that is not known any more."""
    for join_nonce, dev_nonce in _nonces(state):
        keys = root.session_keys(join_nonce, net_id, dev_nonce, opt_neg=root.is_11)
        if keys.secrets == session.keys:
            return Given(session.dev_addr, dev_nonce, join_nonce, net_id, session.rx_delay_s, cf_list=session.cf_list)
    return None


def _nonces(state: JoinState) -> Iterator[tuple[int, int]]:
    """Yield pairs that may have made a session, the likely ones first."""
    for dev_nonce in (*reversed(state.dev_nonces), *(count for _, count in state.rejoins)):
        yield state.join_nonce, dev_nonce
