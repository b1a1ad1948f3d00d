"""Answer uplinks that want an answer: confirmed ones, a device that asks whether it is heard, MAC commands.

A counter is taken, and kept by the caller, before the answer is sent: it is never used for two frames.

Sources: LoRaWAN 1.0.4, sections 4.3.1 and 5; LoRaWAN 1.1, sections 4.3.1 and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.mac_answers import STICKY, answers, asked
from lora_post.downlink.network import Network
from lora_post.downlink.transmit import Downlink, Transmitter
from lora_post.downlink.windows import windows_after
from lora_post.lorawan.downlinks import seal_answer
from lora_post.lorawan.phy_payload import MAX_FCNT, MType, parse_data_frame
from lora_post.model import Device, Frame, Link
from lora_post.uplink.model import Uplink

TakeFCnt: TypeAlias = Callable[[Device], int]
"""Returns the next FCntDown of a device's session, and takes it."""

MAX_REPEATS: Final = 15
"""Devices send a frame so often at most; a recording that is played back costs no more air time than this."""
_ADR_ACK_REQ: Final = 0x40
_MIC_SIZE: Final = 4


class _Confirmed(Struct):
    """The newest uplink of a device that wanted an acknowledgement, and how often it was repeated."""

    uplink: Uplink
    repeats: int = 0


class UplinkAnswers:
    """Answers in the sessions that this gateway gave, and in those that are configured."""

    def __init__(self, network: Network, duty_cycle: DutyCycle) -> None:
        self._network = network
        self._duty_cycle = duty_cycle
        self._confirmed: dict[str, _Confirmed] = {}

    def answer(self, uplink: Uplink, take_fcnt: TakeFCnt, transmitter: Transmitter) -> Downlink | None:
        """Return the answer to an uplink that was accepted; None when it wants none, or cannot get one."""
        device = uplink.device
        if device.link is not Link.LORAWAN or not uplink.authentic or not device.rx_delay_s:
            return None
        self._confirmed.pop(device.id, None)
        data = parse_data_frame(uplink.frame.phy_payload)
        commands = asked(uplink, data)
        fopts = answers(commands, uplink)
        is_confirmed = data.mtype is MType.CONFIRMED_UP
        if is_confirmed:
            self._confirmed[device.id] = _Confirmed(uplink)
        is_wanted = data.fctrl & _ADR_ACK_REQ or any(isinstance(each, STICKY) for each in commands)
        if not (is_confirmed or fopts or is_wanted):
            return None
        return self._built(uplink, fopts, take_fcnt, transmitter, is_confirmed=is_confirmed)

    def answer_again(self, frame: Frame, device: str, take_fcnt: TakeFCnt, transmitter: Transmitter) -> Downlink | None:
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
        return self._built(repeated, fopts, take_fcnt, transmitter, is_confirmed=True)

    def _built(
        self, uplink: Uplink, fopts: bytes, take_fcnt: TakeFCnt, transmitter: Transmitter, *, is_confirmed: bool
    ) -> Downlink | None:
        frame, device = uplink.frame, uplink.device
        if device.keys is None or device.address is None or transmitter.station(frame.gateway) is None:
            return None
        windows = [
            window
            for window in windows_after(frame, self._network.region, device.rx_delay_s)
            if len(fopts) <= window.slot.rate.max_payload
        ]
        size = len(seal_answer(device.keys, device.address, 0, fopts, None))
        allowed = self._duty_cycle.within(frame.gateway, windows, size)
        if not allowed:
            return None
        fcnt = take_fcnt(device)
        if fcnt > MAX_FCNT:
            return None
        self._duty_cycle.spend(frame.gateway, allowed[0], size)
        acked = uplink.fcnt if is_confirmed else None
        phy_payload = seal_answer(device.keys, device.address, fcnt, fopts, acked)
        return Downlink(f"answer to FCnt {uplink.fcnt} of {device.id}", frame.gateway, phy_payload, allowed)
