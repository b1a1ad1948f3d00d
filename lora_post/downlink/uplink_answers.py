"""Answer uplinks: acknowledge confirmed ones, answer what MAC commands ask, and send what waits for the device.

A counter is taken, and kept by the caller, before the answer is sent: it is never used for two frames.

Sources: LoRaWAN 1.0.4, sections 4.3.1 and 5; LoRaWAN 1.1, sections 4.3.1 and 5.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.downlink.class_c import ClassC
from lora_post.downlink.command_frames import CommandFrames, Wanted, any_fits
from lora_post.downlink.commands import Book
from lora_post.downlink.mac_answers import STICKY, answers, asked
from lora_post.downlink.network import Network
from lora_post.downlink.transmit import Downlink, Transmitter
from lora_post.downlink.windows import windows_after
from lora_post.lorawan.downlinks import Content, seal_downlink
from lora_post.lorawan.phy_payload import MAX_FCNT, MType, parse_data_frame
from lora_post.model import Frame, Link
from lora_post.uplink.model import Uplink

MAX_REPEATS: Final = 15
"""Devices send a frame so often at most; a recording that is played back costs no more air time than this."""
_ADR_ACK_REQ: Final = 0x40
_ACK: Final = 0x20
_MIC_SIZE: Final = 4


class _Confirmed(Struct):
    """The newest uplink of a device that wanted an acknowledgement, and how often it was repeated."""

    uplink: Uplink
    repeats: int = 0


class UplinkAnswers:
    """Answers in the sessions that this gateway gave, and in those that are configured."""

    def __init__(self, network: Network, frames: CommandFrames, class_c: ClassC) -> None:
        self._network = network
        self._frames = frames
        self._commands = frames.commands
        self._class_c = class_c
        self._confirmed: dict[str, _Confirmed] = {}

    def answer(self, uplink: Uplink, book: Book, transmitter: Transmitter | None) -> Downlink | None:
        """Return what is sent after an uplink that was accepted; None for nothing.

        transmitter: None where its input cannot send.
        """
        device = uplink.device
        if device.link is not Link.LORAWAN or not uplink.authentic or not device.rx_delay_s:
            return None
        self._confirmed.pop(device.id, None)
        data = parse_data_frame(uplink.frame.phy_payload)
        self._commands.heard(device, book, acknowledges=bool(data.fctrl & _ACK))
        commands = asked(uplink, data)
        self._class_c.heard(uplink, transmitter, commands)
        fopts = answers(commands, uplink)
        is_confirmed = data.mtype is MType.CONFIRMED_UP
        if is_confirmed:
            self._confirmed[device.id] = _Confirmed(uplink)
        is_wanted = data.fctrl & _ADR_ACK_REQ or any(isinstance(each, STICKY) for each in commands)
        acked_fcnt = uplink.fcnt if is_confirmed else None
        wanted = Wanted(fopts, acked_fcnt, bool(is_confirmed or fopts or is_wanted))
        return self._built(uplink, wanted, book, transmitter)

    def answer_again(self, frame: Frame, device: str, book: Book, transmitter: Transmitter | None) -> Downlink | None:
        """Return the answer to an uplink that its device repeats, because it did not hear that it was acknowledged.

        frame: authentic, and refused because it was accepted before. None for the copy of another gateway.
        """
        confirmed = self._confirmed.get(device)
        if confirmed is None or confirmed.repeats >= MAX_REPEATS:
            return None
        uplink = confirmed.uplink
        is_same = frame.phy_payload[:-_MIC_SIZE] == uplink.frame.phy_payload[:-_MIC_SIZE]
        # A device listens before it sends again; copies of one transmission come sooner.
        if not is_same or abs(frame.time_us - uplink.frame.time_us) < uplink.device.rx_delay_s * 1_000_000:
            return None
        confirmed.repeats += 1
        repeated = replace(uplink, frame=frame)
        confirmed.uplink = repeated
        fopts = answers(asked(repeated, parse_data_frame(frame.phy_payload)), repeated)
        return self._built(repeated, Wanted(fopts, uplink.fcnt, is_needed=True), book, transmitter)

    def _built(self, uplink: Uplink, wanted: Wanted, book: Book, transmitter: Transmitter | None) -> Downlink | None:
        device, gateway = uplink.device, uplink.frame.gateway
        waiting = self._commands.due(device, book)
        if not (wanted.is_needed or waiting) or device.keys is None or device.address is None:
            return None
        if transmitter is None or transmitter.station(gateway) is None:
            self._commands.why_not(book, waiting, f"gateway {gateway}, which heard the device, cannot send")
            return None
        windows = windows_after(uplink.frame, self._network.region, device.rx_delay_s)
        if not windows:
            why = f"gateway {gateway} does not tell when the frame came, or it is not of the [network] region"
            self._commands.why_not(book, waiting, why)
            return None
        for command in waiting:
            others = [each for each in waiting if each is not command]
            downlink = self._frames.downlink(device, gateway, wanted, command, others, windows, book)
            if downlink:
                return downlink
        if not wanted.is_needed:
            return None
        allowed = self._frames.allowed(gateway, windows, len(wanted.fopts))
        fcnt = book.next_fcnt_down(device, is_app=False)
        if not allowed or fcnt > MAX_FCNT:
            return None
        book.take_fcnt_down(device, is_app=False)
        content = Content(wanted.fopts, acked_fcnt=wanted.acked_fcnt, more=any_fits(waiting, windows))
        phy_payload = seal_downlink(device.keys, device.address, fcnt, content)
        self._frames.spend(gateway, allowed[0], phy_payload)
        return Downlink(f"answer to FCnt {uplink.fcnt} of {device.id}", gateway, phy_payload, allowed)
