"""The sessions of all configured devices by address, fixed (ABP) and joined (OTAA)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from lora_post.lorawan.session_keys import SessionKeys11
from lora_post.model import Device, Link, address_text
from lora_post.uplink.join_state import JoinedSession, Joiner, Joiners, JoinState
from lora_post.uplink.joins import joined_device, prove
from lora_post.uplink.model import Session
from lora_post.uplink.shared_address import FEW, SharedAddress


def session_key(device: Device) -> str:
    """Return what a frame counter belongs to: an address under these keys, by whatever name."""
    fingerprint = device.keys.fingerprint.hex() if device.keys else ""
    return f"{device.link}:{device.address_text}:{fingerprint}"


def key_prefix(link: Link, address: int) -> str:
    """Return how the `session_key` of each session of an address begins."""
    return f"{link}:{address_text(link, address)}:"


def downlink_key(session: str, *, is_app: bool = False) -> str:
    """Return what a counter of downlinks belongs to. session: see `session_key`. is_app: LoRaWAN 1.1's AFCntDown."""
    return f"{session}:down-app" if is_app else f"{session}:down"


def downlink_keys(session: str) -> tuple[str, str]:
    """Return what all counters of downlinks in a session belong to."""
    return downlink_key(session), downlink_key(session, is_app=True)


def has_app_counter(device: Device) -> bool:
    """Tell whether downlinks with an FPort above 0 have a counter of their own."""
    return isinstance(device.keys, SessionKeys11)


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
        self._joining = tuple(device for device in configured if device.root is not None)
        self._in_session: dict[str, dict[JoinedSession, Device]] = {}
        self.advanced: dict[int, Session] = {}
        self.joined: dict[str, Joiner] = {}
        self.over: list[str] = []
        self.load({}, {})

    def load(self, counters: dict[str, int], states: Mapping[str, JoinState]) -> None:
        """Take over what is stored: counters by `session_key` and `downlink_key`, joins by `join_key`.

        counters: kept in step with the file later, see `doubt_counters`.
        """
        self._counters = counters
        self._look: Callable[[str], Mapping[str, int]] | None = None
        self._sure: set[tuple[Link, int]] = set()
        self._sessions: dict[tuple[Link, int | None], list[Session]] = {}
        for device in self._fixed:
            self._add(device)
        self.joiners = Joiners(Joiner(device, states.get(join_key(device), JoinState())) for device in self._joining)
        known, self._in_session = self._in_session, {}
        for joiner in self.joiners.values():
            self._enter(joiner, known.get(joiner.device.id, {}))

    def doubt_counters(self, look: Callable[[str], Mapping[str, int]]) -> None:
        """Have the counters of each address looked up before they are used next: they may have changed in the file.

        look: returns those whose keys begin with a text, see `key_prefix`.
        """
        self._look = look
        self._sure = set()

    def find(self, link: Link, address: int) -> Sequence[Session]:
        place = (link, address)
        sessions = self._sessions.get(place)
        if sessions is None:
            return ()
        if self._look is not None and place not in self._sure:
            self._sure.add(place)
            self._look_up(sessions, self._look(key_prefix(link, address)))
        return sessions

    def _look_up(self, sessions: list[Session], found: Mapping[str, int]) -> None:
        for session in tuple(sessions):
            key = session_key(session.device)
            for name in (key, *downlink_keys(key)):
                if name in found:
                    self._counters[name] = found[name]
                else:
                    self._counters.pop(name, None)
            if session.next_fcnt != found.get(key, 0):
                _replace(sessions, Session(session.device, found.get(key, 0)))

    def advance(self, session: Session) -> int:
        """Replace a device's session by its advanced one; return the lowest FCnt that it might have used before."""
        device = session.device
        self.advanced[id(device)] = session
        sessions = self._sessions[device.link, device.address]
        if len(sessions) == 1 and (old := sessions[0]).device is device:  # nearly always
            sessions[0], before = session, old.next_fcnt
        else:
            before = _replace(sessions, session)
        if device.root is not None:
            self._prove(device)
        return before

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
        self.joiners.put(joiner)
        self.joined[join_key(joiner.device)] = joiner
        before = self._in_session.get(joiner.device.id, {})
        for session, device in before.items():
            if session not in joiner.state.sessions:
                self._remove(device)
        self._enter(joiner, before, before)

    def clear_changes(self) -> None:
        """Forget which of it is new: all of it is kept."""
        self.advanced.clear()
        self.joined.clear()
        self.over.clear()

    def _enter(
        self, joiner: Joiner, known: Mapping[JoinedSession, Device], there: Container[JoinedSession] = ()
    ) -> None:
        """Add the sessions of a device that joined, but for those that are there. known: the device in some of them."""
        sessions = {
            session: known.get(session) or joined_device(joiner.device, session) for session in joiner.state.sessions
        }
        self._in_session[joiner.device.id] = sessions
        for session, device in sessions.items():
            if session not in there:
                self._add(device)

    def _add(self, device: Device) -> None:
        session, place = Session(device, self._counters.get(session_key(device), 0)), (device.link, device.address)
        sessions = self._sessions.setdefault(place, [])
        if isinstance(sessions, SharedAddress):
            sessions.put(session)
        elif len(sessions) >= FEW and device.link is Link.LORAWAN:
            self._sessions[place] = SharedAddress([*sessions, session])
        else:
            sessions.append(session)

    def _remove(self, device: Device) -> None:
        place, key = (device.link, device.address), session_key(device)
        left = [session for session in self._sessions[place] if session.device is not device]
        if left:
            self._sessions[place] = SharedAddress(left) if len(left) > FEW else left
        else:
            del self._sessions[place]
        if all(session_key(session.device) != key for session in left):
            self.over.append(key)


def _replace(sessions: list[Session], session: Session) -> int:
    """Replace the session of a device; return its next FCnt until now."""
    if isinstance(sessions, SharedAddress):
        return sessions.put(session)
    for index, old in enumerate(sessions):
        if old.device is session.device:
            sessions[index] = session
            return old.next_fcnt
    return 0
