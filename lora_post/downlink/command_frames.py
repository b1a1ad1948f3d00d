"""Make the frame of a command: with a new counter, or the same bytes as before."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from lora_post.command import Command, Sealed
from lora_post.downlink.commands import Book, Commands, repeatable
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.mac_answers import says_time
from lora_post.downlink.transmit import Downlink, Window
from lora_post.lorawan.downlinks import MAX_FOPTS, OVERHEAD, Content, seal_downlink
from lora_post.lorawan.phy_payload import MAX_FCNT
from lora_post.lorawan.session_keys import SessionKeys11
from lora_post.model import Device
from lora_post.uplink.sessions import session_key


class Wanted(Struct, frozen=True):
    """What a downlink carries besides a command. is_needed: it is sent without a command, too.

    fopts: answers to its MAC commands. requests: MAC commands of the network, the most urgent first.
    """

    fopts: bytes = b""
    requests: tuple[bytes, ...] = ()
    acked_fcnt: int | None = None
    is_needed: bool = False

    def fitting(self) -> tuple[bytes, ...]:
        """Return the requests that fit into FOpts, behind the answers."""
        found, size = [], len(self.fopts)
        for each in self.requests:
            if size + len(each) <= MAX_FOPTS:
                found.append(each)
                size += len(each)
        return tuple(found)


class CommandFrames:
    """Makes the frames of commands; keeps counter and bytes before they leave."""

    def __init__(self, commands: Commands, duty_cycle: DutyCycle) -> None:
        self.commands = commands
        self._duty_cycle = duty_cycle

    def downlink(
        self,
        device: Device,
        gateway: str,
        wanted: Wanted,
        command: Command,
        others: Sequence[Command],
        windows: Sequence[Window],
        book: Book,
    ) -> Downlink | None:
        """Return a downlink with a command; None when it cannot be sent now, and note why.

        device: in its session. others: what else waits for it. windows: those in which it listens.
        """
        fopts = wanted.fopts + b"".join(wanted.fitting())
        size = len(fopts) + len(command.payload)
        next_fcnt = book.next_fcnt_down(device, is_app=True)
        is_11 = isinstance(device.keys, SessionKeys11)
        sealed = repeatable(command, session_key(device), next_fcnt - 1, wanted.acked_fcnt, is_11=is_11)
        if sealed is None and command.is_open and not command.is_confirmed:
            self.commands.end_perhaps_sent(book, command)
            return None
        if sealed:
            size = len(sealed.phy_payload) - OVERHEAD
        allowed = self.allowed(gateway, windows, size)
        if not allowed or next_fcnt > MAX_FCNT:
            self.commands.why_not(book, [command], self.why_not(gateway, windows, size))
            return None
        if sealed is None:
            sealed = _sealed(device, fopts, wanted.acked_fcnt, command, book, more=any_fits(others, windows))
        self.spend(gateway, allowed[0], sealed.phy_payload)
        self.commands.handed_over(book, command, sealed, gateway)
        return Downlink(command.about, gateway, sealed.phy_payload, allowed, self.commands.tell(command))

    def allowed(self, gateway: str, windows: Sequence[Window], size: int) -> tuple[Window, ...]:
        """Return the windows that carry a frame with `size` bytes of FOpts and FRMPayload, and may be used now."""
        return self._duty_cycle.within(gateway, _fitting(windows, size), size + OVERHEAD)

    def spend(self, gateway: str, window: Window, phy_payload: bytes) -> None:
        """Note the air time of a frame."""
        self._duty_cycle.spend(gateway, window, len(phy_payload))

    def why_not(self, gateway: str, windows: Sequence[Window], size: int) -> str:
        """Return why a frame cannot go in any of these windows; see `allowed`."""
        fitting = _fitting(windows, size)
        if not fitting:
            rates = " and ".join(f"{each.slot.rate.text} in {each.name}" for each in windows)
            return f"{size} bytes, MAC commands included, and {rates} carry {_most(windows)}"
        at = self._duty_cycle.free_at(gateway, fitting, size + OVERHEAD, self.commands.now().wall_us)
        return f"the duty cycle of gateway {gateway} is used up until {at}"


def any_fits(commands: Sequence[Command], windows: Sequence[Window]) -> bool:
    """Tell whether one of these commands fits into one of these windows."""
    return any(len(each.payload) <= _most(windows) for each in commands)


def _most(windows: Sequence[Window]) -> int:
    return max(window.slot.rate.max_payload for window in windows)


def _fitting(windows: Sequence[Window], size: int) -> list[Window]:
    return [window for window in windows if size <= window.slot.rate.max_payload]


def _sealed(
    device: Device, fopts: bytes, acked_fcnt: int | None, command: Command, book: Book, *, more: bool
) -> Sealed:
    assert device.keys is not None and device.address is not None  # noqa: S101 - it is in a session
    fcnt = book.take_fcnt_down(device, is_app=True)
    content = Content(
        fopts,
        command.fport,
        command.payload,
        is_confirmed=command.is_confirmed,
        acked_fcnt=acked_fcnt,
        more=more,
        adr=device.adr,
    )
    phy_payload = seal_downlink(device.keys, device.address, fcnt, content)
    return Sealed(session_key(device), fcnt, phy_payload, acked_fcnt, says_time(fopts))
