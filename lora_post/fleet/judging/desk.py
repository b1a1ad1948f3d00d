"""Answer devices and look after their commands by the state in the log.

Everything that is decided is in the entry before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from lora_post.command import Command, Fate, Moment, age_s
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.heard_channels import HeardChannels
from lora_post.downlink.network import Network
from lora_post.downlink.network_server import network_server
from lora_post.downlink.transmit import COUNTER, Downlink, Station, Transmission, Window
from lora_post.downlink.windows import windows_after
from lora_post.fleet.judging.reply import Reply, Way, ways_of
from lora_post.fleet.judging.state_book import StateBook
from lora_post.fleet.log.acceptance import Proposal
from lora_post.fleet.log.entry import Accepted, Down, Kind, Queued, Reception, State
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame, Link
from lora_post.times import StampUs
from lora_post.uplink.model import Session, Uplink

CLASS_C_S: Final = 10.0
"""So long a gateway may take to answer what goes at once."""
_MAX_STATIONS: Final = 10_000


class Answers(Struct, frozen=True):
    """What answers are made with; see `network_server`."""

    network: Network
    now: Callable[[], Moment]
    metrics: Metrics
    stamp_us: Callable[[], StampUs]


class Errand(Struct, frozen=True):
    """What a person or the cloud wants. store: where it has its id. is_cancelled: it is not wanted any more."""

    store: str
    command: Command
    is_cancelled: bool = False

    @property
    def device(self) -> str:
        """Return the device that it is for."""
        return self.command.device


class Sent(Struct, frozen=True):
    """What became of the frame of a command."""

    device: str
    command: int
    transmission: Transmission


class Tick(Struct, frozen=True):
    """Time has passed for a device for which commands wait."""

    device: str


Task: TypeAlias = Errand | Sent | Tick


class Answered(Struct, frozen=True):
    """What is done about an uplink or a task. reply: what is sent, None for nothing."""

    book: StateBook
    reply: Reply | None = None
    down: Down | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is to be kept."""
        return not (self.down or self.book.changed or self.book.told)

    def proposal(self, subject: str, kind: Kind, up: Accepted | None = None) -> Proposal:
        """Return the proposed entry for the log."""
        book = self.book
        commands, told = tuple(book.changed.values()), tuple(book.told)
        return Proposal(subject, book.state, up, self.down, kind, commands, told)


class Stations:
    """All packet forwarders of the fleet, as far as they have heard something: a `Transmitter`."""

    def __init__(self) -> None:
        self._channels = HeardChannels()
        self._gateways: dict[str, str] = {}

    def hear(self, frames: Mapping[Reception, Frame]) -> None:
        """Note which packet forwarders heard a frame."""
        for reception, frame in frames.items():
            self._gateways[frame.gateway] = reception.gateway
            self._channels.hear(frame.gateway, frame.rx.freq_mhz)
        while len(self._gateways) > _MAX_STATIONS:
            del self._gateways[next(iter(self._gateways))]

    def station(self, gateway: str) -> Station | None:
        """Return what is known of one: that it cannot send is told by its gateway, when it is asked."""
        return Station(self._channels.are_many(gateway))

    def gateway(self, station: str) -> str:
        """Return the gateway of the fleet by which a packet forwarder is reached."""
        return self._gateways.get(station, station)

    def send(self, downlink: Downlink) -> None:
        """Never called: a worker asks gateways."""


class _Free(DutyCycle):
    """Gateways keep their own duty cycle, and say when it is used up; then the next one is asked."""

    def within(self, gateway: str, windows: Iterable[Window], size: int) -> tuple[Window, ...]:
        return tuple(windows)

    def spend(self, gateway: str, window: Window, size: int) -> None:
        pass


def _gateways(frames: Mapping[Reception, Frame]) -> int:
    return len({frame.gateway for frame in frames.values()})


class Desk:
    """Answers uplinks and looks after commands, each with the state of its device."""

    def __init__(self, answers: Answers, sessions: Callable[[Device, State, int], Sequence[Session]]) -> None:
        """sessions: returns those with an address in which a device is."""
        self.network = network = answers.network
        self.stations = Stations()
        self._now = answers.now
        self._sessions = sessions
        duty_cycle = _Free(network.region)
        self._server = network_server(network, answers.now, answers.metrics, answers.stamp_us, duty_cycle)

    def answer(self, uplink: Uplink, before: State, state: State, frames: Mapping[Reception, Frame]) -> Answered:
        """Return the answer to an uplink that is accepted.

        before, state: without and with that. frames: as gateways heard it.
        """
        book = self._book(uplink.device, state, before)
        heard = replace(uplink, frame=self._answerable(uplink.frame, frames))
        downlink = self._server.uplinks.answer(heard, book, self.stations, _gateways(frames))
        return self._answered(uplink.device, heard.frame, book, downlink, frames)

    def answer_again(
        self, frame: Frame, newest: Uplink | None, device: Device, state: State, frames: Mapping[Reception, Frame]
    ) -> Answered:
        """Return the answer to one that its device repeats, because it did not hear the first answer."""
        book = self._book(device, state)
        heard = self._answerable(frame, frames)
        again = newest and replace(newest, frame=heard)
        downlink = self._server.uplinks.answer_again(heard, device.id, book, self.stations, again, _gateways(frames))
        return self._answered(device, heard, book, downlink, frames)

    def do(self, task: Task, device: Device, state: State) -> Answered:
        """Return what a task changes."""
        if isinstance(task, Errand):
            return self._take(task, device, state)
        if isinstance(task, Sent):
            return self._settle(task, device, state)
        return self._tick(device, state)

    def is_expired(self, command: Command) -> bool:
        """Tell whether a command is not sent any more because of its age."""
        return (age_s(command.made, self._now()) or 0.0) > command.life_s

    def _take(self, errand: Errand, device: Device, state: State) -> Answered:
        book, new = self._book(device, state), Queued(errand.store, errand.command)
        known = [each for each in state.waiting if each.key == new.key]
        commands = self._server.commands
        if errand.is_cancelled:
            for each in known:
                cancelled = each.command.ended(self._now(), Fate.CANCELLED, "cancelled by hand")
                commands.note(book, each.command, cancelled)
            return Answered(book)
        if known or new.key in state.done:
            return Answered(book)
        for each in state.waiting:
            is_older = new.command.actuator and each.command.actuator == new.command.actuator
            if each.command.id == new.command.id or (is_older and each.command.sealed is None):
                replaced = each.command.ended(self._now(), Fate.CANCELLED, f"replaced by command {new.command.id}")
                commands.note(book, each.command, replaced)
        book.add(new)
        return Answered(book)

    def _settle(self, sent: Sent, device: Device, state: State) -> Answered:
        book = self._book(device, state)
        for command in book.waiting():
            if command.id == sent.command:
                self._server.commands.note(book, command, self._server.commands.settled(command, sent.transmission))
        return Answered(book)

    def is_due(self, state: State) -> bool:
        """Tell whether time changes something."""
        waiting = [each.command for each in state.waiting]
        return self._server.commands.has_late(waiting) or self._server.class_c.is_due(waiting)

    def _tick(self, device: Device, state: State) -> Answered:
        book = self._book(device, state)
        self._server.commands.end_late(book)
        for _, downlink in self._server.class_c.send(book):
            way = Way(self.stations.gateway(downlink.gateway), downlink.gateway, downlink.windows)
            return Answered(book, _reply(device, book, downlink, (way,), CLASS_C_S), _down(book, downlink))
        return Answered(book)

    def joined(self, device: Device) -> None:
        """Send nothing at once to a device that has joined."""
        self._server.class_c.forget(device.id)

    def _book(self, device: Device, state: State, before: State | None = None) -> StateBook:
        """Return the book of a device. before: what its sessions are found in, where that is not `state`."""

        def sessions(link: Link, address: int) -> Sequence[Session]:
            return self._sessions(device, before or state, address)

        return StateBook(state, sessions)

    def _answerable(self, frame: Frame, frames: Mapping[Reception, Frame]) -> Frame:
        """Return the frame as a gateway heard it that can answer it, if there is one."""
        region = self.network.region
        return next((each for each in (frame, *frames.values()) if windows_after(each, region, 1)), frame)

    def _answered(
        self,
        device: Device,
        frame: Frame,
        book: StateBook,
        downlink: Downlink | None,
        frames: Mapping[Reception, Frame],
    ) -> Answered:
        if downlink is None:
            return Answered(book)
        delay_s = _delay_s(frame, downlink.windows[0])
        ways = ways_of(downlink, frame, frames)
        return Answered(book, _reply(device, book, downlink, ways, delay_s + 1), _down(book, downlink))


def _delay_s(frame: Frame, window: Window) -> int:
    """Return how long after a frame RX1 begins, when this is one of its windows."""
    after_us = ((window.tmst or 0) - (frame.tmst or 0)) % COUNTER
    return round(after_us / 1e6) - (window.name == "RX2")


def _carried(book: StateBook, downlink: Downlink) -> Command | None:
    """Return the command whose frame this is."""
    for each in book.changed.values():
        sealed = each.command.sealed
        if each.command.is_open and sealed and sealed.phy_payload == downlink.phy_payload:
            return each.command
    return None


def _reply(device: Device, book: StateBook, downlink: Downlink, ways: tuple[Way, ...], within_s: float) -> Reply:
    command = _carried(book, downlink)
    return Reply(device.id, downlink.about, downlink.phy_payload, ways, within_s, command.id if command else 0)


def _down(book: StateBook, downlink: Downlink) -> Down:
    """Return what stands in the entry: a command that is sent again has the counter that it had."""
    command = _carried(book, downlink)
    fcnt = command.sealed.fcnt if command and command.sealed else book.taken
    return Down(fcnt or 0, downlink.phy_payload)
