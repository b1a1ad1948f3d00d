"""Find devices in the sessions of their joins; the log has no keys.

A session's keys follow from the root keys and what stands in the log, so that only who is configured with the root
keys has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec.structs import replace

from lora_post.fleet.log.entry import Counters, Given, Joins, State
from lora_post.model import Device
from lora_post.uplink.join_state import JoinedSession, JoinState
from lora_post.uplink.joins import joined_device

MAX_KNOWN: Final = 100_000


def joins_of(state: State, device: Device) -> Joins:
    """Return what is known of a device's joins under the root keys that it has now."""
    root = device.root.fingerprint if device.root else b""
    return state.joins if state.joins and state.joins.root == root else Joins(root)


def counters_of(state: State, device: Device) -> Counters:
    """Return the counters of the session in which a device is."""
    if device.root is None:
        return state.own
    sessions = joins_of(state, device).sessions
    return next((each.counters for each in sessions if each.dev_addr == device.address), Counters())


def with_counters(state: State, device: Device, counters: Counters) -> State:
    """Return the state with other counters of the session in which a device is."""
    if device.root is None:
        return replace(state, own=counters)
    joins = joins_of(state, device)
    sessions = tuple(
        replace(each, counters=counters) if each.dev_addr == device.address else each for each in joins.sessions
    )
    return replace(state, joins=replace(joins, sessions=sessions))


class Sessions:
    """Devices in their sessions, and which of them may have a DevAddr."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int, int, int, int], JoinedSession] = {}
        self._devices: dict[tuple[str, JoinedSession], Device] = {}
        self._addresses: dict[str, tuple[int, ...]] = {}
        self._at: dict[int, dict[str, Device]] = {}

    def follow(self, device: Device, state: State) -> None:
        """Note the newest state of a device."""
        addresses = tuple(each.dev_addr for each in joins_of(state, device).sessions)
        before = self._addresses.get(device.id, ())
        if addresses == before:
            return
        self._addresses[device.id] = addresses
        for address in before:
            at = self._at.get(address, {})
            at.pop(device.id, None)
            if not at:
                self._at.pop(address, None)
        for address in addresses:
            self._at.setdefault(address, {})[device.id] = device

    def at(self, dev_addr: int) -> Iterable[Device]:
        """Return the devices that may be in a session with this address."""
        return self._at.get(dev_addr, {}).values()

    def in_session(self, device: Device, given: Given) -> Device:
        """Return the device in a session."""
        session = self._session(device, given)
        key = device.id, session
        found = self._devices.get(key)
        if found is None:
            found = self._devices[key] = joined_device(device, session)
            _bound(self._devices)
        return found

    def join_state(self, joins: Joins, device: Device) -> JoinState:
        """Return what is known of a device's joins as the join server has it."""
        sessions = tuple(self._session(device, each) for each in joins.sessions)
        proved = tuple(session for session, each in zip(sessions, joins.sessions, strict=True) if each.is_proved)
        return JoinState(
            joins.dev_nonces,
            (),
            joins.asked_us,
            sessions,
            proved,
            joins.older_nonces,
            joins.join_nonce,
            joins.answer,
            joins.rejoins,
            joins.rejoin_answer,
        )

    def _session(self, device: Device, given: Given) -> JoinedSession:
        root = device.root
        assert root is not None  # noqa: S101 - it has joined
        key = root.fingerprint, given.dev_addr, given.dev_nonce, given.join_nonce, given.net_id
        found = self._known.get(key)
        if found is None:
            keys = root.session_keys(given.join_nonce, given.net_id, given.dev_nonce, opt_neg=root.is_11)
            found = self._known[key] = JoinedSession(given.dev_addr, keys.secrets, given.rx_delay_s, given.cf_list)
            _bound(self._known)
        return found


def with_join_state(joins: Joins, state: JoinState, net_id: int, nonce: int | None = None, told: bytes = b"") -> Joins:
    """Return the state with what the join server knows of the joins.

    net_id: of a session that is new. nonce: of the request that has got it; None: the last DevNonce. told: see
    `Counters`.
    """
    before = {each.dev_addr: each for each in joins.sessions}
    proved = {each.dev_addr for each in state.proved}
    sessions = []
    for each in state.sessions:
        given = before.get(each.dev_addr)
        if given is None:
            nonce = state.dev_nonces[-1] if nonce is None else nonce
            given = Given(each.dev_addr, nonce, state.join_nonce, net_id, each.rx_delay_s, cf_list=each.cf_list)
            given = replace(given, counters=Counters(told=told))
        sessions.append(replace(given, is_proved=each.dev_addr in proved))
    return Joins(
        joins.root,
        state.dev_nonces,
        state.older_nonces,
        state.asked_us,
        state.join_nonce,
        state.answer,
        tuple(sessions),
        state.rejoins,
        state.rejoin_answer,
    )


def _bound(known: dict[Any, Any]) -> None:
    while len(known) > MAX_KNOWN:
        del known[next(iter(known))]
