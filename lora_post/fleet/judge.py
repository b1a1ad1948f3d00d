"""Judge a frame by the sessions that the log holds: what it changes, or why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import FrameError, Repeat, StaleFCnt, UnlockError
from lora_post.fleet.acceptance import Proposal
from lora_post.fleet.downlinks import answer_to
from lora_post.fleet.entry import Accepted, ReadingRow, Reception, State
from lora_post.fleet.recent import is_recent, with_frame
from lora_post.fleet.subjects import log_subject
from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.lorawan.region import Region
from lora_post.model import Device, FCntPolicy, Frame, Link
from lora_post.spool.heard import print_of
from lora_post.uplink.heard_twice import COPY_WINDOW_US, EVER_US, Copies, repeat_window_us
from lora_post.uplink.model import Decode, MaybeRestarted, Refusal, Report, Session, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.restarts import Restarts
from lora_post.uplink.sessions import downlink_key, session_key
from lora_post.uplink.unlock import link_of, unlock
from lora_post.uplink.window import Place, Window, accepted, late_counters, place_of

_LOWCOST_HEADER: Final = 4
_COUNTED: Final = (FCntPolicy.STRICT, FCntPolicy.SIXTEEN_BIT)
_MAX_EVIDENCE: Final = 20_000

StateOf: TypeAlias = Callable[[str], State]
StateAt: TypeAlias = Callable[[str, Device], State]


class OutOfTime(StaleFCnt):
    """An authentic frame that was missed, received when its device cannot have sent it."""


class Copied(Struct):
    """A frame as all gateways heard it that have handed it in so far.

    receptions, frames: by gateway and number there. messages: to be acknowledged once it is decided. due: when, on the
    monotonic clock. outcome: what became of it. is_defect: judging it failed. is_offered_again: it, or an entry of it,
    was at the hub before; that it is accepted is then no sign of a replay. is_live: its device may still listen for an
    answer. device: whose it is, once that is known. since: when the first copy came, on the monotonic clock.
    """

    phy_payload: bytes
    due: float
    frames: dict[Reception, Frame] = {}
    messages: dict[tuple[str, str, int], Any] = {}
    outcome: Outcome | None = None
    is_defect: bool = False
    is_offered_again: bool = False
    is_live: bool = False
    device: Device | None = None
    since: float = 0.0

    @property
    def best(self) -> Frame:
        """Return the frame as it was heard best when it was sent: a recording of it comes later."""
        first_us = min(frame.time_us for frame in self.frames.values())
        heard = [frame for frame in self.frames.values() if frame.time_us - first_us <= COPY_WINDOW_US]
        return max(heard, key=lambda frame: (frame.rx.snr_db or -99, frame.rx.rssi_dbm or -999))


class Judge:
    """Judges frames of the devices of a configuration."""

    def __init__(
        self,
        devices: Iterable[Device],
        decode: Decode,
        counters: Mapping[str, int] | None = None,
        region: Region | None = None,
    ) -> None:
        """counters: of sessions before there was a log, by `session_key` and `downlink_key`.

        region: None where devices are not answered.
        """
        self.region = region
        self._decode = decode
        self._before = counters or {}
        self._by_address: dict[tuple[Link, int], list[tuple[str, Device]]] = {}
        for device in devices:
            if device.address is not None:
                self._by_address.setdefault((device.link, device.address), []).append((log_subject(device), device))
        self._copies = Copies()
        self._restarts = Restarts()
        self._evidence: dict[int, None] = {}

    def judge(self, heard: Copied, state_of: StateOf) -> Proposal | None:
        """Return what a frame changes, None when it changes nothing; `heard.outcome` then says why."""
        frame = heard.best

        def state_at(subject: str, device: Device) -> State:
            state = state_of(subject)
            return self._initial(device) if state == State() else state

        try:
            subject, state, uplink, counter = self._open(frame, state_at)
            new = self._next_state(state, uplink, counter)
        except (StaleFCnt, Repeat) as error:
            known = error.device if isinstance(error, StaleFCnt) else ""
            is_copy = heard.is_offered_again and not isinstance(error, OutOfTime)
            refusal = None if is_copy else Refusal.of(frame, error, known)
            heard.outcome = self._copy(heard, known) or refusal
            return None
        except (FrameError, UnlockError) as error:
            heard.outcome = Refusal.of(frame, error)
            return None
        heard.is_offered_again = True
        report = self._decode(uplink)
        heard.outcome = report
        heard.device = uplink.device
        down = None
        if self.region and heard.is_live and not uplink.is_late:
            down = answer_to(uplink, new.down, self.region)
        return Proposal(subject, new, _accepted(report, counter, tuple(heard.frames)), down)

    def accepted(self, report: Report) -> None:
        """Remember what was accepted, to know copies that come later."""
        self._copies.accepted(report.uplink)
        if report.uplink.device.fcnt is FCntPolicy.RESTARTS:
            self._restarts.accepted(report.uplink)

    def _initial(self, device: Device) -> State:
        """Return the session as a box had it that has become a worker: what it had accepted is not accepted again."""
        key = session_key(device)
        return State(Window(self._before.get(key, 0)), self._before.get(downlink_key(key), 0))

    def _copy(self, heard: Copied, device: str) -> Outcome | None:
        return next(filter(None, (self._copies.match(frame, device) for frame in heard.frames.values())), None)

    def _open(self, frame: Frame, state_of: StateAt) -> tuple[str, State, Uplink, int | None]:
        """Return the uplink with the log and the state of its device, and its counter where that counts."""
        subjects = {}

        def find(link: Link, address: int) -> Sequence[Session]:
            found = self._by_address.get((link, address), ())
            subjects.update({device.id: (subject, device) for subject, device in found})
            return [Session(device, state_of(subject, device).window.up) for subject, device in found]

        try:
            uplink, session = unlock(frame, find)
        except MaybeRestarted as error:
            state = state_of(*subjects[error.device])
            if not self._restarts.proves(error.uplink, lambda uplink, _: self._is_evidence(state, uplink)):
                raise
            uplink, session = error.uplink, error.session
        except StaleFCnt:
            late = self._late(frame, state_of)
            if late is None:
                raise
            uplink, session = late
        device = uplink.device
        subject = log_subject(device)
        counted = uplink.authentic and device.fcnt in _COUNTED
        return subject, state_of(subject, device), uplink, session.next_fcnt - 1 if counted else None

    def _late(self, frame: Frame, state_of: StateAt) -> tuple[Uplink, Session] | None:
        """Open a frame whose counter is in a gap; None when it is in none."""
        link = frame.link or link_of(frame.phy_payload)
        inner = frame.phy_payload[_LOWCOST_HEADER:] if link is Link.LOWCOST else frame.phy_payload
        data = parse_data_frame(inner)
        address = frame.phy_payload[2] if link is Link.LOWCOST else data.dev_addr
        for subject, device in self._by_address.get((link, address), ()):
            if device.fcnt not in _COUNTED:
                continue
            for counter in late_counters(state_of(subject, device).window, data.fcnt16):
                sessions = [Session(device, counter)]
                try:
                    uplink, session = unlock(frame, lambda *_, found=sessions: found)
                except UnlockError:
                    continue
                if session.next_fcnt - 1 == counter:
                    return replace(uplink, is_late=True), session
        return None

    def _next_state(self, state: State, uplink: Uplink, counter: int | None) -> State:
        """Return the session after a frame. Raises StaleFCnt, Repeat."""
        device, time_us = uplink.device, uplink.frame.time_us
        if counter is not None:
            place = place_of(state.window, counter, time_us)
            if place is Place.OUT_OF_TIME:
                raise OutOfTime(
                    f"{device.id}: FCnt {uplink.fcnt} was missed, and comes when it cannot have been sent: a recording",
                    device.id,
                )
            if place is Place.SEEN:
                raise StaleFCnt(f"{device.id}: FCnt {uplink.fcnt} again", device.id)
            return replace(state, window=accepted(state.window, counter, time_us))
        print_, window_us = print_of(uplink), repeat_window_us(uplink)
        if is_recent(state.recent, print_, time_us, window_us):
            raise Repeat(f"{device.id}: packet {uplink.fcnt} with this payload was accepted at that time already")
        window = Window(uplink.fcnt + 1, time_us) if uplink.authentic else state.window
        return replace(state, window=window, recent=with_frame(state.recent, print_, time_us))

    def _is_evidence(self, state: State, uplink: Uplink) -> bool:
        """Tell whether a frame was heard before, here or by who wrote the log; if not, note it."""
        print_ = print_of(uplink)
        if print_ in self._evidence or is_recent(state.recent, print_, uplink.frame.time_us, EVER_US):
            return True
        self._evidence[print_] = None
        while len(self._evidence) > _MAX_EVIDENCE:
            del self._evidence[next(iter(self._evidence))]
        return False


def _accepted(report: Report, counter: int | None, heard_by: tuple[Reception, ...]) -> Accepted:
    uplink = report.uplink
    return Accepted(
        uplink.device.id,
        uplink.frame,
        uplink.fcnt,
        counter,
        0 if counter is not None else print_of(uplink),
        heard_by,
        uplink.fport,
        tuple(map(ReadingRow.of, report.readings)),
        report.warnings,
        report.actuators,
        report.problem,
        uplink.payload if report.problem is not None else b"",
        uplink.authentic,
        uplink.is_late,
    )


def report_of(up: Accepted, device: Device | None) -> Report:
    """Return the report of what was accepted. device: of the configuration here; None where that does not have it."""
    if device is None:
        device = Device(up.device, up.device, up.frame.link or Link.LORAWAN, None, "")
    uplink = Uplink(up.frame, device, up.fcnt, up.fport, up.payload, up.is_authentic, up.is_late)
    readings = tuple(row.reading for row in up.readings)
    return Report(uplink, readings, up.warnings, up.problem, actuators=up.actuators)
