"""Answer uplinks: acknowledge confirmed ones, answer what MAC commands ask, and send what waits for the device.

A counter is taken, and kept by the caller, before the answer is sent: it is never used for two frames.

Sources: LoRaWAN 1.0.4, sections 4.3.1 and 5; LoRaWAN 1.1, sections 4.3.1 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.downlink.class_c import ClassC
from lora_post.downlink.command_frames import CommandFrames, Wanted, any_fits
from lora_post.downlink.commands import Book
from lora_post.downlink.lowcost_answers import lowcost_answer
from lora_post.downlink.mac_answers import STICKY, answers, asked
from lora_post.downlink.mac_layer import MacLayer
from lora_post.downlink.network import Network
from lora_post.downlink.settings import Settings
from lora_post.downlink.transmit import Downlink, Transmitter, Window
from lora_post.downlink.windows import windows_after
from lora_post.lorawan.downlinks import MAX_FOPTS, Content, seal_downlink
from lora_post.lorawan.phy_payload import ACK, ADR_ACK_REQ, MAX_FCNT, MType, message_type, parse_data_frame
from lora_post.model import Frame, Link
from lora_post.uplink.model import Uplink

MAX_REPEATS: Final = 15
"""Devices send a frame so often at most; a recording that is played back costs no more air time than this."""
_MIC_SIZE: Final = 4


class _Confirmed(Struct):
    """The newest uplink of a device that wanted an acknowledgement, and how often it was repeated."""

    uplink: Uplink
    repeats: int = 0


class _Unanswered(Struct, frozen=True):
    """The newest uplink of a device, which the gateway that heard it first could not answer."""

    uplink: Uplink
    wanted: Wanted


class UplinkAnswers:
    """Answers in the sessions that this gateway gave, and in those that are configured."""

    def __init__(self, network: Network, frames: CommandFrames, class_c: ClassC, mac_layer: MacLayer) -> None:
        self._network = network
        self._frames = frames
        self._commands = frames.commands
        self._class_c = class_c
        self._mac_layer = mac_layer
        self._confirmed: dict[str, _Confirmed] = {}
        self._unanswered: dict[str, _Unanswered] = {}

    def answer(self, uplink: Uplink, book: Book, transmitter: Transmitter | None, gateways: int = 1) -> Downlink | None:
        """Return what is sent after an uplink that was accepted; None for nothing.

        transmitter: None where its input cannot send. gateways: how many hear the device.
        """
        device = uplink.device
        if device.link is Link.LOWCOST:
            return lowcost_answer(uplink, self._network.region, self._frames, book, transmitter)
        if device.link is not Link.LORAWAN or not uplink.authentic or not device.rx_delay_s:
            return None
        self._confirmed.pop(device.id, None)
        self._unanswered.pop(device.id, None)
        data = parse_data_frame(uplink.frame.phy_payload)
        self._commands.heard(device, book, acknowledges=bool(data.fctrl & ACK))
        commands = asked(uplink, data)
        known = self._mac_layer.hear(uplink, commands, book)
        self._class_c.heard(uplink, transmitter, commands)
        fopts = answers(commands, uplink, gateways)
        station = transmitter.station(uplink.frame.gateway) if transmitter else None
        requests: list[bytes] = []
        if station:
            many = station.many_channels
            requests = self._mac_layer.due(uplink, known, data.fctrl, commands, book, many_channels=many)
        is_confirmed = data.mtype is MType.CONFIRMED_UP
        if is_confirmed:
            self._confirmed[device.id] = _Confirmed(uplink)
        is_wanted = data.fctrl & ADR_ACK_REQ or any(isinstance(each, STICKY) for each in commands)
        acked_fcnt = uplink.fcnt if is_confirmed else None
        wanted = Wanted(fopts, tuple(requests), acked_fcnt, bool(is_confirmed or fopts or is_wanted or requests))
        downlink = self._built(uplink, wanted, known.settings, book, transmitter)
        if downlink is None:
            self._unanswered[device.id] = _Unanswered(uplink, wanted)
        return downlink

    def answer_copy(self, frame: Frame, device: str, book: Book, transmitter: Transmitter | None) -> Downlink | None:
        """Return the answer to an uplink by another gateway that heard it, where the first one could not answer."""
        unanswered = self._unanswered.get(device)
        if unanswered is None or transmitter is None or frame.phy_payload != unanswered.uplink.frame.phy_payload:
            return None
        uplink = unanswered.uplink
        settings = self._mac_layer.settings(uplink.device, book)
        if abs(frame.time_us - uplink.frame.time_us) >= settings.rx_delay_s * 1_000_000:
            return None
        downlink = self._built(replace(uplink, frame=frame), unanswered.wanted, settings, book, transmitter)
        if downlink is not None:
            del self._unanswered[device]
        return downlink

    def answer_again(
        self,
        frame: Frame,
        device: str,
        book: Book,
        transmitter: Transmitter | None,
        newest: Uplink | None = None,
        gateways: int = 1,
    ) -> Downlink | None:
        """Return the answer to an uplink that its device repeats, because it did not hear that it was acknowledged.

        frame: authentic, and refused because it was accepted before. None for the copy of another gateway.
        newest: its uplink where it is the newest of its session: one that was answered before the start, or never.
        In a session before the last join it is a recording.
        """
        if newest and not book.is_current(newest.device):
            return None
        confirmed = self._confirmed.get(device)
        if newest and (confirmed is None or not _is_same(newest.frame, confirmed.uplink.frame)):
            return self._answer_newest(newest, book, transmitter, gateways)
        if confirmed is None or confirmed.repeats >= MAX_REPEATS:
            return None
        uplink = confirmed.uplink
        settings = self._mac_layer.settings(uplink.device, book)
        # A device listens before it sends again; copies of one transmission come sooner.
        is_copy = abs(frame.time_us - uplink.frame.time_us) < settings.rx_delay_s * 1_000_000
        if is_copy or not _is_same(frame, uplink.frame):
            return None
        confirmed.repeats += 1
        confirmed.uplink = replace(uplink, frame=frame)
        return self._acknowledged(confirmed.uplink, settings, book, transmitter, gateways)

    def _answer_newest(
        self, uplink: Uplink, book: Book, transmitter: Transmitter | None, gateways: int
    ) -> Downlink | None:
        """Return the answer to a confirmed uplink that was accepted before the start, and comes again."""
        device = uplink.device
        if message_type(uplink.frame.phy_payload) is not MType.CONFIRMED_UP or not device.rx_delay_s:
            return None
        self._confirmed[device.id] = _Confirmed(uplink)
        return self._acknowledged(uplink, self._mac_layer.settings(device, book), book, transmitter, gateways)

    def _acknowledged(
        self, uplink: Uplink, settings: Settings, book: Book, transmitter: Transmitter | None, gateways: int
    ) -> Downlink | None:
        fopts = answers(asked(uplink, parse_data_frame(uplink.frame.phy_payload)), uplink, gateways)
        wanted = Wanted(fopts, acked_fcnt=uplink.fcnt, is_needed=True)
        return self._built(uplink, wanted, settings, book, transmitter, is_again=True)

    def _built(
        self,
        uplink: Uplink,
        wanted: Wanted,
        settings: Settings,
        book: Book,
        transmitter: Transmitter | None,
        *,
        is_again: bool = False,
    ) -> Downlink | None:
        """Return a downlink with a command that waits, or with what is wanted alone; None for nothing.

        is_again: the uplink may be a recording, which its device does not listen after. A command that the device does
        not acknowledge would be lost, so it waits for a new uplink.
        """
        device, gateway = uplink.device, uplink.frame.gateway
        waiting = self._commands.due(device, book)
        if not (wanted.is_needed or waiting) or device.keys is None or device.address is None:
            return None
        if transmitter is None or transmitter.station(gateway) is None:
            self._commands.why_not(book, waiting, f"gateway {gateway}, which heard the device, cannot send")
            return None
        windows = windows_after(uplink.frame, self._network.region, settings.rx_delay_s, settings.rx2)
        if not windows:
            why = f"gateway {gateway} does not tell when the frame came, or it is not of the [network] region"
            self._commands.why_not(book, waiting, why)
            return None
        for command in waiting:
            if is_again and not command.is_confirmed:
                continue
            others = [each for each in waiting if each is not command]
            before = book.next_fcnt_down(device, is_app=True)
            downlink = self._frames.downlink(device, gateway, wanted, command, others, windows, book)
            if downlink:
                if book.next_fcnt_down(device, is_app=True) != before:  # the same bytes as before ask what they asked
                    self._mac_layer.asked(uplink, wanted.fitting(), book)
                return downlink
        if not wanted.is_needed:
            return None
        sent = self._requests_alone(wanted, gateway, windows)
        commands = wanted.fopts + b"".join(sent)
        allowed = self._frames.allowed(gateway, windows, len(commands))
        fcnt = book.next_fcnt_down(device, is_app=False)
        if not allowed or fcnt > MAX_FCNT:
            return None
        book.take_fcnt_down(device, is_app=False)
        self._mac_layer.asked(uplink, sent, book)
        acked_fcnt, more = wanted.acked_fcnt, any_fits(waiting, windows)
        content = Content(commands, acked_fcnt=acked_fcnt, more=more, adr=device.adr)
        if len(commands) > MAX_FOPTS:
            content = Content(fport=0, payload=commands, acked_fcnt=acked_fcnt, more=more, adr=device.adr)
        phy_payload = seal_downlink(device.keys, device.address, fcnt, content)
        self._frames.spend(gateway, allowed[0], phy_payload)
        return Downlink(f"answer to FCnt {uplink.fcnt} of {device.id}", gateway, phy_payload, allowed)

    def _requests_alone(self, wanted: Wanted, gateway: str, windows: Sequence[Window]) -> tuple[bytes, ...]:
        """Return the requests that go without a command: all of them on FPort 0 where that carries them."""
        size = len(wanted.fopts) + sum(map(len, wanted.requests))
        if size <= MAX_FOPTS or self._frames.allowed(gateway, windows, size):
            return wanted.requests
        return wanted.fitting()


def _is_same(frame: Frame, other: Frame) -> bool:
    """Tell whether two frames say the same; in LoRaWAN 1.1 the MIC of a repeated one may be another."""
    return frame.phy_payload[:-_MIC_SIZE] == other.phy_payload[:-_MIC_SIZE]
