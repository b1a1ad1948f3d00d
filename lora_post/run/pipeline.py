"""Take what one read gave from the parser to the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from threading import RLock
from typing import Final, cast

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.downlink.network_server import NetworkServer
from lora_post.downlink.through_servers import ThroughServers, ToGive
from lora_post.downlink.transmit import Downlink, Transmits, Transmitter
from lora_post.errors import FrameError, NotUplink, Repeat, StaleFCnt, UnlockError
from lora_post.lorawan.phy_payload import MType, message_type
from lora_post.metrics import Metrics
from lora_post.model import ClearUplink, FCntPolicy, Frame, Heard
from lora_post.run.choosing import Answer, Choosing
from lora_post.run.doctor import Doctor
from lora_post.run.late_decoding import Held, LateDecoding, Undecided
from lora_post.spool.ledger import Group, Ledger
from lora_post.uplink.heard_twice import SERVER_WINDOW_US, Copies, repeat_window_us
from lora_post.uplink.join_state import Join
from lora_post.uplink.joins import hear_join, is_join, is_rejoin
from lora_post.uplink.model import (
    Copy,
    Decode,
    Expects,
    MaybeLate,
    MaybeRestarted,
    Refusal,
    Session,
    Uplink,
    newest_again,
)
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.restarts import Restarts
from lora_post.uplink.telling import Telling
from lora_post.uplink.unlock import identify, unlock

log = logging.getLogger(__name__)

_STRICT: Final = FCntPolicy.STRICT
_RESTARTS: Final = FCntPolicy.RESTARTS


class Pipeline:
    """Unlocks, decodes and keeps frames; tells `listener` of each outcome once it is kept.

    Shared by all inputs; events that arrive together are kept together.
    """

    def __init__(
        self,
        ledger: Ledger,
        decode: Decode,
        metrics: Metrics,
        listener: Callable[[Outcome], None],
        clock: GatewayClock | None = None,
        doctor: Doctor | None = None,
        server: NetworkServer | None = None,
        late: LateDecoding | None = None,
        through_servers: ThroughServers | None = None,
        choosing: Choosing | None = None,
    ) -> None:
        """clock: puts the frames' times right; None: they are taken as they are. doctor: looks for what is wrong.

        server: answers devices; None: they are only heard. late: decodes behind the answers; None: it is done here.
        through_servers: gives other network servers what waits for their devices; None where nothing can be given.
        choosing: chooses gateways; None: by the time of this machine.
        """
        self._ledger = ledger
        self._decode = [decode]  # for all inputs alike, see `taking`
        self.metrics = metrics
        self._tell = Telling(metrics, listener)
        self._copies = Copies()
        self._restarts = Restarts()
        self._clock = clock
        self._doctor = doctor
        self._server = server
        self._late = late
        self._through_servers = through_servers
        self._times = Times.RECORDED
        self._way_back: Transmits | None = None
        self._choosing = choosing or (Choosing(server.duty_cycle) if server else None)
        self._to_send: list[Answer] = []
        self._lock = RLock()

    def taking(self, times: Times, way_back: Transmits | None = None) -> Pipeline:
        """Return the same pipeline for an input whose times are worth this, and not the truth.

        way_back: the input, where it can send.
        """
        same = copy(self)
        same._times = times
        same._way_back = way_back
        return same

    @contextmanager
    def using(self, decode: Decode) -> Iterator[None]:
        """Decode with this from the next read on; while the block runs, nothing is accepted but what it hands in."""
        with self._lock:
            self._decode[0] = decode
            yield

    def handle(self, events: Sequence[Heard]) -> None:
        """Take events from a parser to the ledger, or count why not.

        Raises SpoolError when nothing could be kept; the same events may then be handed in again.
        """
        if not events:
            return
        if self._late:
            self._late.wait_for_room()
        with self._lock:
            self._to_send = []
            with self._ledger.group() as group:
                group.is_lazy = self._late is not None
                # Inside the group: until it ends, nobody else learns the time and looks for readings without one.
                if self._clock:
                    events = self._clock.stamp(events, self._times)
                outcomes = self._decoded([self._handle_event(event, group) for event in events], group)
                if server := self._server:
                    group.air_time = server.duty_cycle.changes(server.commands.now())
                if self._choosing:
                    group.round_trips = self._choosing.round_trips()
            to_send = self._to_send
            if self._late is None:
                self._transmit(to_send)
                self._tell(events, cast(list[Outcome], outcomes))  # nothing is held without late decoding
                return
            batch = self._late.put(events, outcomes)
        # Others may come in while this one waits for the disk.
        if to_send or self._way_back is None or self._way_back.is_awaited:
            self._ledger.sync()
            batch.is_synced = True
        self._transmit(to_send)

    def _decoded(self, outcomes: list[Undecided | Uplink], group: Group) -> list[Undecided]:
        """Decode what was unlocked: behind the whole group, so that it is known what comes."""
        decode = self._decode[0]
        if len(outcomes) > 1 and isinstance(decode, Expects):
            decode.expect([each for each in outcomes if isinstance(each, Uplink)])
        decoded: list[Undecided] = []
        for each in outcomes:
            if isinstance(each, Uplink):
                report = decode(each)
                if report.problem is not None and self._doctor:
                    report = self._doctor.report(report, decode, group.devices)
                group.reports.append(report)
                decoded.append(report)
            else:
                decoded.append(each)
        return decoded

    def _transmit(self, answers: Sequence[Answer]) -> None:
        """Send frames; what they say is kept."""
        if self._choosing:
            self._choosing.release(answers)

    @property
    def sends(self) -> bool:
        """Whether something can be sent to devices."""
        return self._server is not None or self._through_servers is not None

    def tend(self) -> None:
        """Take in what became of what was sent, end what is late, send what may go at once. Raises SpoolError."""
        server, through = self._server, self._through_servers
        commands = server.commands if server else through.commands if through else None
        if commands is None:
            return
        to_send: list[Answer] = []
        given: ToGive = []
        with self._lock:
            waiting, devices = self._ledger.waiting(), self._ledger.devices
            is_due = bool(server and server.class_c.is_due(waiting)) or bool(
                through and through.is_due(waiting, devices)
            )
            if not (is_due or commands.has_news or commands.has_late(waiting)):
                return
            with self._ledger.group() as group:
                group.is_lazy = True
                commands.settle(group)
                if through:
                    through.settle(group, group.devices)
                commands.end_late(group)
                if server:
                    to_send = [Answer(*each) for each in server.class_c.send(group)]
                    group.air_time = server.duty_cycle.changes(commands.now())
                if through:
                    given = through.send(group, group.devices)
        self._ledger.sync()
        self._transmit(to_send)
        for queue, item in given:
            queue.give(item)

    def _handle_clear(self, event: ClearUplink, group: Group) -> Uplink | Refusal | Held:
        try:
            uplink, session = identify(event, group.find)
            if group.is_repeat(uplink, SERVER_WINDOW_US):
                raise Repeat(f"{uplink.device.id}: the server has sent FCnt {uplink.fcnt} with this payload twice")
        except UnlockError as error:
            return Refusal.of(event.frame, error)
        return self._accept(uplink, session, group)

    def _handle_event(self, event: Heard, group: Group) -> Undecided | Uplink:
        if not isinstance(event, Frame):
            return self._handle_clear(event, group) if isinstance(event, ClearUplink) else event
        frame = event
        try:
            uplink, session = unlock(frame, group.find, group.joiners, group.next_app_fcnt_down)
            if uplink.device.fcnt is not _STRICT or not uplink.authentic:
                _refuse_repeat(uplink, group)
        except MaybeRestarted as error:
            if not self._restarts.proves(error.uplink, group.is_repeat):
                return self._copies.match(frame, error.device) or self._refused(frame, error, group, error.device)
            uplink, session = error.uplink, error.session
            log.warning("%s was restarted: it counts on from FCnt %d", error.device, uplink.fcnt)
        except StaleFCnt as error:
            if isinstance(error, MaybeLate) and group.was_missed(error.uplink):
                return self._accept(error.uplink, None, group)
            heard_again = self._heard_again(frame, error.device, group, newest_again(error))
            return heard_again or self._refused(frame, self._copies.judged(frame, error), group, error.device)
        except Repeat as error:
            known = uplink.device.id
            return self._heard_again(frame, known, group) or self._refused(frame, error, group, known)
        except NotUplink as error:
            may_join = is_join(frame) or (self._server and self._transmitter and is_rejoin(frame))
            return self._handle_join(frame, group) if may_join else self._refused(frame, error, group)
        except (FrameError, UnlockError) as error:
            return self._refused(frame, error, group)
        if (server := self._server) and (choosing := self._choosing):
            choosing.heard(uplink.device.id, frame.gateway)
            gateways = choosing.hearers(uplink.device.id)
            self._send(uplink.device.id, frame, server.uplinks.answer(uplink, group, self._transmitter, gateways))
        outcome = self._accept(uplink, session, group)
        self._copies.accepted(uplink)
        if uplink.device.fcnt is _RESTARTS:
            self._restarts.accepted(uplink)
        return outcome

    def _refused(self, frame: Frame, error: FrameError | UnlockError, group: Group, known: str = "") -> Refusal:
        """Return why a frame is refused, with the mistake behind it where the doctor finds one."""
        refusal = Refusal.of(frame, error, known)
        group.refuse(refusal)
        return self._doctor.refusal(refusal, group.devices) if self._doctor else refusal

    def _accept(self, uplink: Uplink, session: Session | None, group: Group) -> Uplink | Held:
        """Accept an uplink, which advances a session; None for one that comes late."""
        if self._late:
            return Held(group.hold(uplink, session), uplink)
        group.accept(uplink, session)
        return uplink

    @property
    def _transmitter(self) -> Transmitter | None:
        return self._way_back.transmitter if self._way_back else None

    def _send(self, device: str, frame: Frame, downlink: Downlink | None) -> None:
        """Send the answer to a frame once the group is kept."""
        if self._transmitter and downlink and self._choosing:
            answer = Answer(self._transmitter, downlink, device, frame)
            self._choosing.expect(answer)
            self._to_send.append(answer)

    def _heard_again(self, frame: Frame, device: str, group: Group, newest: Uplink | None = None) -> Copy | None:
        """Take an uplink that was accepted before; return the copy that it is, None where it is none.

        newest: the frame's uplink where it is known to be the newest of its session.
        """
        copy_of = self._copies.match(frame, device)
        server, choosing = self._server, self._choosing
        if server is None or choosing is None:
            return copy_of
        uplinks, transmitter = server.uplinks, self._transmitter
        downlink = uplinks.answer_again(frame, device, group, transmitter, newest, choosing.hearers(device))
        is_copy = copy_of is not None
        is_under_way = downlink is None and choosing.heard_too(device, frame, transmitter, is_copy=is_copy)
        if copy_of:
            server.class_c.heard_too(device, frame, transmitter)
            if downlink is None and not is_under_way:
                downlink = uplinks.answer_copy(frame, device, group, transmitter)
        self._send(device, frame, downlink)
        return copy_of

    def _handle_join(self, frame: Frame, group: Group) -> Refusal | Join:
        transmitter = self._transmitter
        try:
            mtype = message_type(frame.phy_payload)
            if self._server and self._choosing and transmitter and mtype in (MType.JOIN_REQUEST, MType.REJOIN_REQUEST):
                joins = self._server.joins
                answers = joins.answer if mtype is MType.JOIN_REQUEST else joins.answer_rejoin
                answer = answers(frame, group.joiners, group, transmitter)
                join, joiner = answer.join, answer.joiner
                if join.message == "copy":
                    self._choosing.heard_too(join.device.id, frame, transmitter)
                else:
                    self._choosing.heard(join.device.id, frame.gateway)
                self._send(join.device.id, frame, answer.downlink)
            else:
                join, joiner = hear_join(frame, group.joiners)
        except (FrameError, UnlockError) as error:
            return self._refused(frame, error, group)
        group.accept_join(joiner)
        if self._server:
            self._server.class_c.forget(join.device.id)
        return join


def _refuse_repeat(uplink: Uplink, group: Group) -> None:
    window_us = repeat_window_us(uplink)
    if window_us and group.is_repeat(uplink, window_us):
        raise Repeat(f"{uplink.device.id}: packet {uplink.fcnt} with this payload was accepted a moment ago")
