"""Judge a frame by the sessions that the log holds: what it changes, or why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from secrets import randbelow
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import BadMIC, FrameError, Repeat, StaleFCnt, UnknownDevice, UnlockError, UsedNonce
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.desk import Answers, Desk, Errand, Task, Tick
from lora_post.fleet.judging.join_judge import JoinJudge
from lora_post.fleet.judging.known_devices import KnownDevices, StateOf
from lora_post.fleet.judging.reply import Reply
from lora_post.fleet.log.acceptance import Proposal
from lora_post.fleet.log.entry import Accepted, Queued, ReadingRow, Reception, State
from lora_post.fleet.log.joined import counters_of, joins_of, with_counters, with_join_state
from lora_post.fleet.log.ownership import is_given_by
from lora_post.fleet.log.recent import is_recent, with_frame
from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.model import Device, FCntPolicy, Frame, Link
from lora_post.spool.heard import print_of
from lora_post.uplink.heard_twice import EVER_US, Copies, repeat_window_us
from lora_post.uplink.joins import is_join, is_rejoin, prove
from lora_post.uplink.model import Decode, Expects, MaybeRestarted, Refusal, Report, Session, Uplink, newest_again
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.restarts import Restarts
from lora_post.uplink.unlock import link_of, unlock
from lora_post.uplink.window import Standing, Window, accepted, late_counters, standing_of

_LOWCOST_HEADER: Final = 4
_COUNTED: Final = (FCntPolicy.STRICT, FCntPolicy.SIXTEEN_BIT)
_MAX_EVIDENCE: Final = 20_000


class OutOfTime(StaleFCnt):
    """An authentic frame that was missed, received when its device cannot have sent it."""


class Chore(Struct):
    """A task for a worker. message: to be acknowledged once it is done. reply: what is to be sent after it.

    decider: who is to do it, where that is not who was asked.
    """

    task: Task
    message: Any = None
    reply: Reply | None = None
    decider: str | None = None


class Judge:
    """Judges frames of the devices of a configuration."""

    def __init__(
        self,
        devices: Sequence[Device],
        decode: Decode,
        answers: Answers | None = None,
        draw: Callable[[int], int] = randbelow,
        owner: str = "",
    ) -> None:
        """answers: None where devices are not answered. draw: see `JoinServer`.

        owner: the home gateway that this is, "" for a worker; see `State.owner`.
        """
        self.owner = owner
        self._copies = Copies()
        self._restarts = Restarts()
        self._evidence: dict[int, None] = {}
        self.use(devices, decode)
        self._desk = Desk(answers, self._in_sessions) if answers else None
        self._joins = JoinJudge(owner, answers.network if answers else None, self._desk, draw)

    def use(self, devices: Sequence[Device], decode: Decode) -> None:
        """Judge frames of these devices from now on; `follow` is to tell of all states again."""
        self._decode = decode
        self._known = KnownDevices(devices)
        self._homes = {device.home for device in devices if device.home and not self.owner}

    def part_of(self, device: str) -> int:
        """Return the partition of a device; -1 for one that is not known."""
        return self._known.part_of(device)

    def may_know(self, frame: Frame) -> bool:
        """Tell whether a frame may be of one of the devices, by what it says of its sender; for any thread."""
        return self._known.may_know(frame)

    def follow(self, subject: str, state: State) -> None:
        """Note the newest state of a device."""
        self._known.follow(subject, state)

    def expect(self, waiting: Iterable[Copied], state_of: StateOf) -> None:
        """Prepare for frames that are judged next: JavaScript codecs decode several at once."""
        if isinstance(self._decode, Expects):
            opened = (self._opened(copied.best, state_of) for copied in waiting)
            self._decode.expect([uplink for uplink in opened if uplink])

    def _opened(self, frame: Frame, state_of: StateOf) -> Uplink | None:
        """Return what a frame says, None for one that is not an uplink, or not a newer one."""
        if is_join(frame) or is_rejoin(frame):
            return None
        known = self._known
        try:
            uplink, _ = unlock(frame, lambda link, at: [each for _, each in known.candidates(link, at, state_of)])
        except (FrameError, UnlockError):
            return None
        return uplink

    def judge(self, heard: Copied, state_of: StateOf) -> Proposal | None:
        """Return what a frame changes, None when it changes nothing; `heard.outcome` then says why."""
        frame = heard.best
        heard.reply, heard.is_doubted, heard.decider, heard.is_left = None, False, None, False
        if self._desk:
            self._desk.stations.hear(heard.frames)
        try:
            if is_join(frame):
                return self._joins.join(heard, frame, self._known, state_of)
            if is_rejoin(frame):
                return self._joins.rejoin(heard, frame, self._known, state_of)
            subject, state, uplink, counter = self._open(frame, state_of)
            new = self._next_state(state, uplink, counter)
            if state.owner != self.owner:
                heard.leave(uplink.device, state)
                return None
        except (StaleFCnt, Repeat) as error:
            known = error.device if isinstance(error, StaleFCnt) else ""
            is_copy = heard.is_offered_again and not isinstance(error, OutOfTime)
            reason = self._copies.judged(frame, error) if isinstance(error, StaleFCnt) else error
            refusal = None if is_copy else Refusal.of(frame, reason, known)
            heard.outcome = self._copy(heard, known) or refusal
            return self._answer_again(heard, frame, known, newest_again(error), state_of)
        except (FrameError, UnlockError) as error:
            is_copy = heard.is_offered_again and isinstance(error, UsedNonce)
            heard.outcome = None if is_copy else Refusal.of(frame, error)
            # A server that has just lost its part in the cluster may not show yet that a device has joined.
            heard.is_doubted = isinstance(error, UnknownDevice) and bool(self._known.joining) and heard.deliveries < 2
            heard.is_left = isinstance(error, UnknownDevice | BadMIC) and self._may_be_of_home(frame)
            return None
        heard.is_offered_again = True
        report = self._decode(uplink)
        heard.outcome = report
        heard.device = uplink.device
        up = _accepted(report, counter, tuple(heard.frames))
        if self._desk is None or not heard.is_live or uplink.is_late:
            return Proposal(subject, new, up)
        answered = self._desk.answer(uplink, state, new, heard.frames)
        heard.reply = answered.reply
        return answered.proposal(subject, "up", up)

    def _may_be_of_home(self, frame: Frame) -> bool:
        if not self._homes or is_join(frame) or (frame.link or link_of(frame.phy_payload)) is Link.LOWCOST:
            return False
        try:
            return is_given_by(self._homes, parse_data_frame(frame.phy_payload).dev_addr)
        except FrameError:
            return False

    def _answer_again(
        self, heard: Copied, frame: Frame, device: str, newest: Uplink | None, state_of: StateOf
    ) -> Proposal | None:
        """Return what answers a repeated uplink. newest: as in `newest_again`."""
        known = self._known.by_id.get(device)
        if known is None:
            return None
        subject = log_subject(known)
        heard.device = known
        if state_of(subject).owner != self.owner:
            heard.decider = state_of(subject).owner
            return None
        if self._desk is None or not heard.is_live:
            return None
        answered = self._desk.answer_again(frame, newest, known, state_of(subject), heard.frames)
        heard.reply = answered.reply
        return None if answered.is_nothing else answered.proposal(subject, "down")

    def look_after(self, chore: Chore, state_of: StateOf) -> Proposal | None:
        """Return what a task changes, None when that is nothing."""
        device = self._known.by_id.get(chore.task.device)
        if self._desk is None or device is None:
            return None
        subject = log_subject(device)
        state = state_of(subject)
        chore.reply, chore.decider = None, None
        if state.owner != self.owner:
            chore.decider = None if self._is_known(chore.task, state) else state.owner
            return None
        answered = self._desk.do(chore.task, device, state)
        chore.reply = answered.reply
        return None if answered.is_nothing else answered.proposal(subject, "command")

    def _is_known(self, task: Task, state: State) -> bool:
        """Tell whether the owner of the device knows of it, so that nothing is left to do."""
        if not isinstance(task, Errand):
            return True
        key = Queued(task.store, task.command).key
        is_waiting = key in {each.key for each in state.waiting}
        is_over = key in state.done or (self._desk is not None and self._desk.is_expired(task.command))
        return is_over or is_waiting is not task.is_cancelled

    def due(self, states: Iterable[State]) -> list[Chore]:
        """Return the chores that are due by now. states: of all devices."""
        if self._desk is None:
            return []
        return [
            Chore(Tick(state.waiting[0].command.device))
            for state in states
            if state.waiting and state.owner == self.owner and self._desk.is_due(state)
        ]

    def _in_sessions(self, device: Device, state: State, address: int) -> Sequence[Session]:
        return self._known.in_sessions(device, state, address)

    def accepted(self, report: Report) -> None:
        """Remember what was accepted, to know copies that come later."""
        self._copies.accepted(report.uplink)
        if report.uplink.device.fcnt is FCntPolicy.RESTARTS:
            self._restarts.accepted(report.uplink)

    def _copy(self, heard: Copied, device: str) -> Outcome | None:
        return next(filter(None, (self._copies.match(frame, device) for frame in heard.frames.values())), None)

    def _open(self, frame: Frame, state_of: StateOf) -> tuple[str, State, Uplink, int | None]:
        """Return the uplink with the log and the state of its device, and its counter where that counts."""
        subjects: dict[str, str] = {}

        def find(link: Link, address: int) -> Sequence[Session]:
            found = self._known.candidates(link, address, state_of)
            subjects.update({session.device.id: subject for subject, session in found})
            return [session for _, session in found]

        def next_down(device: Device) -> int:
            return counters_of(state_of(subjects[device.id]), device).app_down

        try:
            uplink, session = unlock(frame, find, next_down=next_down)
        except MaybeRestarted as error:
            state = state_of(subjects[error.device])
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
        return subject, state_of(subject), uplink, session.next_fcnt - 1 if counted else None

    def _late(self, frame: Frame, state_of: StateOf) -> tuple[Uplink, Session] | None:
        """Open a frame whose counter is in a gap; None when it is in none."""
        link = frame.link or link_of(frame.phy_payload)
        inner = frame.phy_payload[_LOWCOST_HEADER:] if link is Link.LOWCOST else frame.phy_payload
        data = parse_data_frame(inner)
        address = frame.phy_payload[2] if link is Link.LOWCOST else data.dev_addr
        for subject, candidate in self._known.candidates(link, address, state_of):
            device = candidate.device
            if device.fcnt not in _COUNTED:
                continue
            for counter in late_counters(counters_of(state_of(subject), device).window, data.fcnt16):
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
        counters = counters_of(state, device)
        if counter is not None:
            standing = standing_of(counters.window, counter, time_us)
            if standing is Standing.OUT_OF_TIME:
                raise OutOfTime(
                    f"{device.id}: FCnt {uplink.fcnt} was missed, and comes when it cannot have been sent: a recording",
                    device.id,
                )
            if standing is Standing.SEEN:
                raise StaleFCnt(f"{device.id}: FCnt {uplink.fcnt} again", device.id)
            changed = replace(counters, window=accepted(counters.window, counter, time_us))
            return self._proved(with_counters(state, device, changed), device)
        print_, window_us = print_of(uplink), repeat_window_us(uplink)
        if is_recent(state.recent, print_, time_us, window_us):
            raise Repeat(f"{device.id}: packet {uplink.fcnt} with this payload was accepted at that time already")
        if uplink.authentic:
            changed = replace(counters, window=Window(uplink.fcnt + 1, time_us))
            state = self._proved(with_counters(state, device, changed), device)
        return replace(state, recent=with_frame(state.recent, print_, time_us))

    def _proved(self, state: State, device: Device) -> State:
        """Return the state once an uplink came in the session of a device that joined: others are over by that."""
        if device.root is None or device.keys is None or device.address is None:
            return state
        joins = joins_of(state, device)
        before = self._known.sessions.join_state(joins, device)
        after = prove(before, device.address, device.keys)
        return state if after is before else replace(state, joins=with_join_state(joins, after, 0))

    def _is_evidence(self, state: State, uplink: Uplink) -> bool:
        """Tell whether a frame was heard before, here or by the author of the log; if not, note it."""
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
