"""The sessions of all configured devices by address, fixed (ABP) and joined (OTAA)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lora_post.model import Device, Link
from lora_post.uplink.join_state import JoinedSession, Joiner, JoinState
from lora_post.uplink.joins import joined_device, prove
from lora_post.uplink.model import Session


def session_key(device: Device) -> str:
    """Return what a frame counter belongs to: an address under these keys, by whatever name."""
    fingerprint = device.keys.fingerprint.hex() if device.keys else ""
    return f"{device.link}:{device.address_text}:{fingerprint}"


def downlink_key(session: str) -> str:
    """Return what the counter of downlinks belongs to. session: see `session_key`."""
    return f"{session}:down"


def join_key(device: Device) -> str:
    """Return what joins belong to: a DevEUI under these root keys, by whatever name."""
    return f"{device.address_text}:{device.root.fingerprint.hex()}" if device.root else ""


class SessionBook:
    """Sessions with counters, joiners with what was heard of their joins, and what is new of it.

    devices: as they are configured. joiners: by DevEUI. advanced: changed sessions. joined: changed joiners.
    over: keys of sessions that a join ended.
    """

    def __init__(self, devices: Iterable[Device]) -> None:
        self.devices = configured = tuple(devices)
        self._fixed = tuple(device for device in configured if device.address is not None)
        self._in_session: dict[tuple[str, JoinedSession], Device] = {}
        self._sessions: dict[tuple[Link, int | None], list[Session]] = {}
        self.joiners = {device.root.dev_eui: Joiner(device) for device in configured if device.root is not None}
        self.advanced: dict[int, Session] = {}
        self.joined: dict[str, Joiner] = {}
        self.over: list[str] = []
        self.load({}, {})

    def find(self, link: Link, address: int) -> Sequence[Session]:
        return self._sessions.get((link, address), ())

    def load(self, counters: Mapping[str, int], states: Mapping[str, JoinState]) -> None:
        """Take over what is stored: counters by `session_key`, joins by `join_key`."""
        for dev_eui, joiner in self.joiners.items():
            self.joiners[dev_eui] = Joiner(joiner.device, states.get(join_key(joiner.device), JoinState()))
        self._fill(counters)

    def advance(self, session: Session) -> None:
        """Replace a device's session by its advanced one."""
        device = session.device
        self.advanced[id(device)] = session
        sessions = self._sessions[device.link, device.address]
        for index, old in enumerate(sessions):
            if old.device is device:
                sessions[index] = session
        self._prove(device)

    def _prove(self, device: Device) -> None:
        """Note that an uplink came in the session of a device that joined."""
        joiner = self.joiners.get(device.root.dev_eui) if device.root else None
        if joiner is None or device.keys is None or device.address is None:
            return
        state = prove(joiner.state, device.address, device.keys)
        if state is not joiner.state:
            self.join(Joiner(joiner.device, state))

    def join(self, joiner: Joiner) -> None:
        """Take over what a join said; a session that it opens begins to count at 0."""
        for dev_eui, old in self.joiners.items():
            if old.device is joiner.device:
                self.joiners[dev_eui] = joiner
        self.joined[join_key(joiner.device)] = joiner
        counters = {session_key(s.device): s.next_fcnt for sessions in self._sessions.values() for s in sessions}
        self._fill(counters)
        self.over += counters.keys() - {session_key(s.device) for each in self._sessions.values() for s in each}

    def clear_changes(self) -> None:
        """Forget which of it is new: all of it is kept."""
        self.advanced.clear()
        self.joined.clear()
        self.over.clear()

    def _fill(self, counters: Mapping[str, int]) -> None:
        known = self._in_session
        self._in_session = {
            (joiner.device.id, session): known.get((joiner.device.id, session)) or joined_device(joiner.device, session)
            for joiner in self.joiners.values()
            for session in joiner.state.sessions
        }
        self._sessions.clear()
        for device in (*self._fixed, *self._in_session.values()):
            session = Session(device, counters.get(session_key(device), 0))
            self._sessions.setdefault((device.link, device.address), []).append(session)
