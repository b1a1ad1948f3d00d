"""Send through LowCostLoRaGw's radio program: by a file that it looks for after a reception.

It looks 0.1 s before each window of its last reception, takes RX1 and RX2 by the distance of `tmst` alone (1 or 5 s, 2
or 6 s), and does not count across the wrap of `tmst`. It hears nothing while it waits for a window.

Source: CongducPham/LowCostLoRaGw: gw_full_latest/README-downlink.md, SX12XX_lora_gateway.cpp.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import now_us
from lora_post.downlink.transmit import COUNTER, Downlink, Station, Transmission, Window
from lora_post.inputs.given import tell_not_sent
from lora_post.inputs.pull_responses import txpk
from lora_post.metrics import Metrics
from lora_post.model import Frame, Heard
from lora_post.secret import hide_secrets
from lora_post.text import printable
from lora_post.times import WallUs

log = logging.getLogger(__name__)

FILE: Final = "downlink.txt"
LOOK_US: Final = 100_000
"""So long before a window the program looks for the file."""
WRITE_US: Final = 30_000
_WAITS_US: Final = {"RX1": (1_000_000, 5_000_000), "RX2": (2_000_000, 6_000_000)}
_RESULT: Final = re.compile(rb"\^\$(Packet sent|Send error|WARNING: [ -~]{1,100})")
_TRIES_RX2: Final = "WARNING: too late for RX1, try RX2"
_TAIL: Final = 128


class _Pending(Struct, frozen=True):
    downlink: Downlink
    window: Window


class DownlinkFile:
    """One radio program, as a transmitter; safe to share between threads."""

    def __init__(self, folder: Path, metrics: Metrics, wall_us: Callable[[], WallUs] = now_us) -> None:
        """folder: `downlink/` below that of the program."""
        self._folder = folder
        self._metrics = metrics
        self._wall_us = wall_us
        self._lock = Lock()
        self._last_tmst: int | None = None
        self._pending: _Pending | None = None
        self._tail = b""

    def station(self, gateway: str) -> Station | None:
        return Station(many_channels=False) if os.access(self._folder, os.W_OK) else None

    def heard(self, events: Sequence[Heard]) -> Sequence[Heard]:
        """Note receptions: the program answers the last one only."""
        frames = [event for event in events if isinstance(event, Frame)]
        if not frames:
            return events
        with self._lock:
            self._last_tmst = frames[-1].tmst
            pending, self._pending = self._pending, None
        if pending:
            self._metrics.count("downlinks", "unconfirmed")
            log.info("%s was written for the radio program, which did not confirm it", pending.downlink.about)
            _tell(pending, None)
        return events

    def send(self, downlink: Downlink) -> None:
        with self._lock:
            why = "the program answers uplinks only"
            for window in downlink.windows:
                why = self._why_not(window)
                if not why:
                    why = self._write(downlink, window)
                    break
        if why:
            label = "late" if "late" in why else "failed"
            tell_not_sent(self._metrics, downlink, downlink.windows[-1].name, "the radio program", why, label=label)

    def _why_not(self, window: Window) -> str:
        """Return why a window cannot be met, "" when it can."""
        last = self._last_tmst
        if window.tmst is None or last is None or window.name not in _WAITS_US:
            return "the program answers uplinks only"
        wait_us = (window.tmst - last) % COUNTER
        if wait_us not in _WAITS_US[window.name]:
            return "the program takes 1 s and 5 s only for RX1 (rx_delay_s), and answers its last reception only"
        if window.tmst < last:
            return "its counter wraps before the window; the next uplink can be answered"
        left_us = (window.tmst - self._wall_us() + COUNTER // 2) % COUNTER - COUNTER // 2 - LOOK_US - WRITE_US
        return f"{-left_us // 1000} ms too late" if left_us < 0 else ""

    def _write(self, downlink: Downlink, window: Window) -> str:
        """Write the file; return why that failed, "" when it did not."""
        request = {**msgspec.to_builtins(txpk(downlink.phy_payload, window)), "ant": 0, "brd": 0}
        part = self._folder / f"{FILE}.part"
        try:
            part.write_bytes(msgspec.json.encode({"txpk": request}) + b"\n")
            part.replace(self._folder / FILE)
        except OSError as error:
            return f"{self._folder / FILE}: {error.strerror}"
        self._pending = _Pending(downlink, window)
        return ""

    def listen(self, data: bytes, now_us: WallUs) -> None:
        """Look for what the program says of a frame in what it prints."""
        if self._pending is None:
            self._tail = b""
            return
        text, self._tail = self._tail + data, (self._tail + data)[-_TAIL:]
        for found in _RESULT.finditer(text):
            said = found[1].decode()
            if said == _TRIES_RX2:
                continue
            with self._lock:
                pending, self._pending = self._pending, None
            if pending is not None:
                self._tail = b""
                self._told(pending, said)

    def _told(self, pending: _Pending, said: str) -> None:
        downlink, window = pending.downlink, pending.window
        if said == "Packet sent":
            self._metrics.count("downlinks", "sent")
            log.info("%s is sent by the radio program, meant for %s", downlink.about, window.name)
            _tell(pending, True)
            return
        why = printable(hide_secrets(said.removeprefix("WARNING: ")))
        fate = f"the radio program says: {why}"
        tell_not_sent(self._metrics, downlink, window.name, "the radio program", why, label="refused", fate=fate)


def _tell(pending: _Pending, is_sent: bool | None) -> None:
    pending.downlink.tell(Transmission(pending.downlink.gateway, pending.window.name, is_sent))
