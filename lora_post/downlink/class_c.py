"""Send commands to devices of class C at once, in RX2: they always listen.

Sources: LoRaWAN 1.0.4, section 17; chirpstack/chirpstack: chirpstack/src/downlink/data.rs and scheduler.rs, for how
long one waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from lora_post.command import Command
from lora_post.downlink.command_frames import CommandFrames, Wanted
from lora_post.downlink.commands import Book
from lora_post.downlink.mac_layer import MacLayer
from lora_post.downlink.network import Network
from lora_post.downlink.transmit import Downlink, Transmitter, Window
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.mac_commands import DeviceModeInd
from lora_post.model import Device, DeviceClass, Frame, Link
from lora_post.uplink.model import Uplink
from lora_post.uplink.sessions import session_key

log = logging.getLogger(__name__)

AFTER_UPLINK_S: Final = 5.0
"""Until then a device may be in the windows of its uplink, or send."""
BETWEEN_S: Final = 5.0
ACKNOWLEDGED_WITHIN_S: Final = 10.0
"""A device acknowledges with its next uplink; meanwhile nothing else is sent to it."""
_CLASS_C: Final = 2


class _Reached(Struct):
    """How a device was heard last. session: what its counter belongs to. heard_s, sent_s: monotonic.

    snr_db: of the gateway that heard it best.
    """

    session: str
    address: int
    transmitter: Transmitter
    gateway: str
    heard_s: float
    sent_s: float = 0.0
    snr_db: float | None = None


class ClassC:
    """The devices of class C that were heard since the start, in their sessions.

    One that has only joined has not shown that it has its keys, and nothing tells yet which gateway reaches it.
    """

    def __init__(
        self,
        network: Network,
        frames: CommandFrames,
        mac_layer: MacLayer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._mac_layer = mac_layer
        self._frames = frames
        self._monotonic = monotonic
        self._reached: dict[str, _Reached] = {}
        self._in_class_a: set[str] = set()
        self._told: set[str] = set()

    def heard(self, uplink: Uplink, transmitter: Transmitter | None, commands: Sequence[Body]) -> None:
        """Take in an accepted uplink, and whether it says that its device has changed its class."""
        device = uplink.device
        for indication in (each for each in commands if isinstance(each, DeviceModeInd)):
            (self._in_class_a.discard if indication.device_class == _CLASS_C else self._in_class_a.add)(device.id)
            self._hint(device, indication)
        if device.device_class is not DeviceClass.C or transmitter is None or device.address is None:
            return
        before = self._reached.get(device.id)
        sent_s = before.sent_s if before else -BETWEEN_S
        self._reached[device.id] = _Reached(
            session_key(device),
            device.address,
            transmitter,
            uplink.frame.gateway,
            self._monotonic(),
            sent_s,
            uplink.frame.rx.snr_db,
        )

    def heard_too(self, device: str, frame: Frame, transmitter: Transmitter | None) -> None:
        """Note that another gateway heard the last uplink; the best one that can send is used."""
        reached = self._reached.get(device)
        if reached is None or transmitter is None or transmitter.station(frame.gateway) is None:
            return
        is_better = frame.rx.snr_db is not None and (reached.snr_db is None or frame.rx.snr_db > reached.snr_db)
        if is_better or reached.transmitter.station(reached.gateway) is None:
            reached.transmitter, reached.gateway, reached.snr_db = transmitter, frame.gateway, frame.rx.snr_db

    def _hint(self, device: Device, indication: DeviceModeInd) -> None:
        is_unlike = indication.device_class == _CLASS_C and device.device_class is not DeviceClass.C
        if is_unlike and device.id not in self._told:
            self._told.add(device.id)
            log.warning('%s says that it listens always: class = "C" in its [[device]] sends to it at once', device.id)

    def forget(self, device: str) -> None:
        """Send nothing to a device before its next uplink: it has joined."""
        self._reached.pop(device, None)

    def is_due(self, waiting: Sequence[Command]) -> bool:
        """Tell whether `send` may have something to send."""
        return any(self._is_free(command) for command in waiting)

    def send(self, book: Book) -> list[tuple[Transmitter, Downlink]]:
        """Return what goes now, at most one for each device; it is noted."""
        found = []
        for name in dict.fromkeys(command.device for command in book.waiting() if self._is_free(command)):
            reached = self._reached[name]
            device = self._device(name, reached, book)
            downlink = device and self._downlink(device, reached, book)
            if downlink:
                found.append((reached.transmitter, downlink))
        return found

    def _is_free(self, command: Command) -> bool:
        reached = self._reached.get(command.device)
        if reached is None or command.device in self._in_class_a:
            return False
        now = self._monotonic()
        is_awaited = command.is_confirmed and command.tries
        since_sent_s = ACKNOWLEDGED_WITHIN_S if is_awaited else BETWEEN_S
        return now - reached.heard_s >= AFTER_UPLINK_S and now - reached.sent_s >= since_sent_s

    def _device(self, name: str, reached: _Reached, book: Book) -> Device | None:
        """Return the device in its session; None where that is over, or the configuration has changed."""
        for session in book.find(Link.LORAWAN, reached.address):
            device = session.device
            if device.id == name and session_key(device) == reached.session:
                return device if device.device_class is DeviceClass.C else None
        return None

    def _downlink(self, device: Device, reached: _Reached, book: Book) -> Downlink | None:
        commands = self._frames.commands
        if any(each.is_confirmed and each.tries and not self._is_free(each) for each in book.waiting(device.id)):
            return None
        if self._mac_layer.moves_rx2(device, book):
            return None  # until it has answered, nobody knows where it listens; RX1 after its uplinks is left
        waiting = commands.due(device, book)
        if waiting and reached.transmitter.station(reached.gateway) is None:
            commands.why_not(book, waiting, f"gateway {reached.gateway}, which heard the device, cannot send")
            return None
        rx2 = self._mac_layer.settings(device, book).rx2
        window = Window("RX2, class C", None, self._network.region.slot(*rx2))
        for command in waiting:
            others = [each for each in waiting if each is not command]
            downlink = self._frames.downlink(device, reached.gateway, Wanted(), command, others, [window], book)
            if downlink:
                reached.sent_s = self._monotonic()
                return downlink
        return None
