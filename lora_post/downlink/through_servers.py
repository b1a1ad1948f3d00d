"""Hand commands to the network server of a device, and keep what it says about them.

A command is given once: nobody could tell the server to drop the second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol, TypeAlias, runtime_checkable
from uuid import NAMESPACE_OID, uuid5

from msgspec.structs import replace

from lora_post.command import Command, Fate
from lora_post.downlink.commands import Book, Commands
from lora_post.formats.server_queues import Item, Said, ServerEvent
from lora_post.model import Device, Link

NOT_HEARD: Final = "its network server has told of no uplink of it since the start: it goes after the next one"


class ServerQueue(Protocol):
    """The queues that a network server has for its devices; safe to share between threads."""

    def knows(self, dev_eui: int) -> bool:
        """Tell whether something can be given for a device now."""
        ...

    def give(self, item: Item) -> None:
        """Put an item into the queue of its device."""
        ...

    def told(self) -> list[ServerEvent]:
        """Return what the server has said since the last call."""
        ...


@runtime_checkable
class HasServerQueue(Protocol):
    """An input whose frames come from a network server; server_queue: None where nothing is given to it."""

    @property
    def server_queue(self) -> ServerQueue | None: ...


ToGive: TypeAlias = list[tuple[ServerQueue, Item]]


class ThroughServers:
    """The commands for devices of network servers."""

    def __init__(self, commands: Commands, queues: Callable[[], Sequence[ServerQueue]]) -> None:
        """queues: those of all inputs."""
        self.commands = commands
        self._queues = queues
        self._events: list[ServerEvent] = []

    def is_due(self, waiting: Sequence[Command], devices: Iterable[Device]) -> bool:
        """Tell whether `settle` or `send` has something to do."""
        for queue in self._queues():
            self._events += queue.told()
        return bool(self._events) or any(True for _ in self._ungiven(waiting, devices))

    def settle(self, book: Book, devices: Iterable[Device]) -> None:
        """Keep what servers have said."""
        events, self._events = self._events, []
        if not events:
            return
        served = _served(devices)
        by_token = {token_of(each): each for each in book.waiting() if each.device in served}
        for event in events:
            for token in event.tokens & by_token.keys():
                before = by_token[token]
                if served[before.device] == event.dev_eui:
                    by_token[token] = after = self._settled(before, event)
                    self.commands.note(book, before, after)

    def _settled(self, command: Command, event: ServerEvent) -> Command:
        now, given = self.commands.now(), replace(command, is_open=False)
        if command.is_over:
            return command
        match event.said:
            case Said.QUEUED | Said.TRIED_AGAIN:
                return given.with_step(now, event.said.value)
            case Said.SENT:
                return given.ended(now, Fate.SENT, "sent by the network server")
            case Said.ACKNOWLEDGED:
                return given.ended(now, Fate.ACKNOWLEDGED)
            case Said.NOT_ACKNOWLEDGED:
                return given.ended(now, Fate.NOT_ACKNOWLEDGED, "the network server says so, and does not send it again")
            case Said.EXPIRED:
                return given.ended(now, Fate.EXPIRED, "expired in the queue of the network server")
            case Said.FAILED:
                return given.ended(
                    now, Fate.REFUSED, f"the network server refuses it: {event.why or 'it gives no reason'}"
                )

    def send(self, book: Book, devices: Iterable[Device]) -> ToGive:
        """Note the commands that may go now, and return what to give to which server."""
        served, found = _served(devices), []
        for command in list(self._ungiven(book.waiting(), devices)):
            dev_eui = served[command.device]
            queue = next((each for each in self._queues() if each.knows(dev_eui)), None)
            if queue is None:
                self.commands.why_not(book, [command], NOT_HEARD)
                continue
            given = replace(command, tries=1, is_open=True).with_step(
                self.commands.now(), "given to the network server"
            )
            self.commands.note(book, command, given)
            over_at = self.commands.over_at(command)
            token, fport, payload = token_of(command), command.fport, command.payload
            found.append((queue, Item(dev_eui, token, fport, payload, command.is_confirmed, over_at)))
        return found

    def _ungiven(self, waiting: Sequence[Command], devices: Iterable[Device]) -> Iterator[Command]:
        """Yield what no server was given yet, without what was found to be unreachable and still is."""
        served = _served(devices) if waiting else {}
        for command in waiting:
            dev_eui = served.get(command.device)
            if dev_eui is None or command.tries or command.is_over:
                continue
            if any(queue.knows(dev_eui) for queue in self._queues()) or not _is_told(command):
                yield command


def token_of(command: Command) -> str:
    """Return what a command is called at a network server: the same after a restart, another in another spool."""
    made = command.made
    return str(
        uuid5(NAMESPACE_OID, f"lora-post {command.device} {command.id} {made.wall_us} {made.boot} {made.boot_us}")
    )


def _served(devices: Iterable[Device]) -> dict[str, int]:
    return {each.id: each.address for each in devices if each.link is Link.SERVER and each.address is not None}


def _is_told(command: Command) -> bool:
    return bool(command.steps) and command.steps[-1].text.endswith(NOT_HEARD)
