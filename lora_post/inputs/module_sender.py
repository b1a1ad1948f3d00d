"""Send through a serial module: make it ready before a window, and give the command in time.

It hears nothing from then until it is told to receive again. This machine keeps the time, not the module: it is right
to about 20 ms (USB), and a device listens for five to eight symbols: 8 ms at SF7, 250 ms at SF12.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock, Timer
from typing import Final

from msgspec.structs import replace

from lora_post.downlink.transmit import COUNTER, Downlink, Station, Window, left_s
from lora_post.formats.at_send import ModuleRadio, sending
from lora_post.inputs.given import tell_not_sent, tell_sent, tell_unconfirmed
from lora_post.inputs.serial_module import ModuleStream, Refused
from lora_post.metrics import Metrics
from lora_post.model import Frame, Heard
from lora_post.times import WallUs

log = logging.getLogger(__name__)

PREPARE_S: Final = 0.4
"""So long before a window the module is made ready: six commands, each with its answer."""
LATE_S: Final = 0.03
"""A frame that begins later is not heard."""
_BITS_PER_BYTE: Final = 10
_RECEIVED: Final = (b"radio_rx", b"+EVT:RXP2P", b"at+recv=")
_HEAD: Final = 16


class ModuleSender:
    """One module, as a transmitter; safe to share between threads."""

    def __init__(
        self,
        stream: ModuleStream,
        module: str,
        radio: ModuleRadio,
        baud: int,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """module: the format of its input."""
        self._stream = stream
        self._module = module
        self._radio = radio
        self._baud = baud
        self._metrics = metrics
        self._monotonic = monotonic
        self._lock = Lock()
        self._is_busy = False
        self._head = b""
        self._began_s: float | None = None
        self._received_s: float | None = None

    def station(self, gateway: str) -> Station | None:
        now = self._monotonic()
        return None if self._stream.trouble else Station(many_channels=False, counter=(_counter(now), now))

    def listen(self, data: bytes, now_us: WallUs) -> None:
        """Note when the line of a frame began to arrive.

        Of one that came while the module was had to send, nobody knows when that was.
        """
        now, late = self._monotonic(), self._stream.late
        for piece in data.splitlines(keepends=True):
            if not self._head:
                self._began_s = now if late <= 0 else None
            late -= len(piece)
            self._head = (self._head + piece.lstrip())[:_HEAD]
            if self._head.startswith(_RECEIVED):
                self._received_s = self._began_s
            if piece.endswith(b"\n"):
                self._head = b""

    def heard(self, events: Sequence[Heard]) -> Sequence[Heard]:
        """Return events with channel and data rate added, and the time of the last frame."""
        radio = self._radio
        last = max((number for number, event in enumerate(events) if isinstance(event, Frame)), default=-1)
        return [
            replace(
                event,
                tmst=None if self._received_s is None or number < last else _counter(self._received_s),
                rx=replace(event.rx, sf=radio.sf, bw_khz=radio.bw_hz / 1000, freq_mhz=radio.hz / 1e6),
            )
            if isinstance(event, Frame)
            else event
            for number, event in enumerate(events)
        ]

    def send(self, downlink: Downlink) -> None:
        """Send a frame in the first window that can still be met; one at a time."""
        now, why = self._monotonic(), ""
        for window in downlink.windows:
            left = PREPARE_S if window.tmst is None else left_s((_counter(now), now), window.tmst, now)
            if window.slot.rate.bw_hz != self._radio.bw_hz:
                why = f"the module is set up for {self._radio.bw_hz // 1000} kHz"
            elif left < PREPARE_S:
                why = f"{(PREPARE_S - left) * 1000:.0f} ms too late"
            elif not self._take():
                why = "the module is about to send another frame"
                break
            else:
                timer = Timer(left - PREPARE_S, partial(self._transmit, downlink, window, now + left))
                timer.daemon = True
                timer.start()
                return
        label = "late" if "too late" in why else "failed"
        tell_not_sent(self._metrics, downlink, downlink.windows[-1].name, self._stream.name, why, label=label)

    def _take(self) -> bool:
        with self._lock:
            was_busy, self._is_busy = self._is_busy, True
            return not was_busy

    def _transmit(self, downlink: Downlink, window: Window, at_s: float) -> None:
        orders = sending(self._module, self._stream.commands, window.slot, downlink.phy_payload)
        on_wire_s = (len(orders.send) + 2) * _BITS_PER_BYTE / self._baud
        latest_s = float("inf") if window.tmst is None else at_s + LATE_S
        airtime_s = window.slot.rate.airtime_s(len(downlink.phy_payload))
        by = self._stream.name
        try:
            is_sent = self._stream.transmit(orders, at_s - on_wire_s, latest_s, airtime_s)
        except Refused as error:
            tell_not_sent(self._metrics, downlink, window.name, by, str(error), label="refused")
            return
        finally:
            self._is_busy = False
        if is_sent:
            tell_sent(self._metrics, downlink, window.name, by)
        else:
            tell_unconfirmed(self._metrics, downlink, window.name, by)


def _counter(now_s: float) -> int:
    return round(now_s * 1e6) % COUNTER
