"""Keep every frame in the gateway's spool; `Publisher` then brings it to the hub.

It needs no keys of devices. Without the hub it goes on for as long as the spool has room.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from copy import copy
from threading import Lock
from typing import Final

from msgspec import Struct

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.downlink.transmit import Transmits
from lora_post.errors import FrameError
from lora_post.fleet.hub.subjects import address_of
from lora_post.metrics import Metrics
from lora_post.model import Frame, Heard, Noise
from lora_post.spool import frames
from lora_post.spool.boots import BootBook
from lora_post.spool.lanes import WhenFull
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural
from lora_post.times import BootUs
from lora_post.uplink.model import Refusal
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.telling import Telling

log = logging.getLogger(__name__)

TELL_EVERY_S: Final = 60.0
LIVE_US: Final = 86_400_000_000
"""What is older than a day is not from this boot's inputs: its own time is all that is known of it."""


class Room(Struct, frozen=True):
    """How much the spool may hold, and which frames are dropped when it is full."""

    max_bytes: int
    when_full: WhenFull


class FrameKeeper:
    """Keeps the frames of inputs unopened, in the place of a pipeline."""

    def __init__(
        self,
        spool_file: SpoolFile,
        gateway: str,
        room: Room,
        clock: GatewayClock,
        metrics: Metrics,
        listener: Callable[[Outcome], None],
        arrived: Callable[[Sequence[int]], None],
        is_for_home: Callable[[Frame], bool] = lambda frame: False,
        arrived_home: Callable[[Sequence[int]], None] = lambda numbers: None,
    ) -> None:
        """arrived: told the numbers of frames once they are kept. listener: told what cannot be one of a device.

        is_for_home: tells whether this gateway may have to decide about a frame; arrived_home: told of those.
        """
        self.metrics = metrics
        self._spool_file = spool_file
        self._gateway = gateway
        self._room = room
        self._clock = clock
        self._boots = BootBook(clock)
        self._tell = Telling(metrics, listener)
        self._arrived = arrived
        self._is_for_home = is_for_home
        self._arrived_home = arrived_home
        self._times = Times.RECORDED
        self._lost, self._tell_at = 0, 0.0
        self._lock = Lock()
        with spool_file.transaction() as db:
            self._boots.enter(db)

    def taking(self, times: Times, way_back: Transmits | None = None) -> FrameKeeper:
        """Return the same keeper for an input whose times are worth this."""
        same = copy(self)
        same._times = times
        return same

    def handle(self, events: Sequence[Heard]) -> None:
        """Keep the frames among events. Raises SpoolError when nothing could be kept; they may be handed in again."""
        with self._lock:
            stamped = self._clock.stamp(events, self._times)
            kept: list[Frame] = []
            left: list[tuple[Heard, Outcome]] = []
            for event in stamped:
                outcome = self._judge(event)
                if outcome is None:
                    kept.append(event)  # type: ignore[arg-type]  # what is not a frame has an outcome
                else:
                    left.append((event, outcome))
            if kept:
                own = [frame for frame in kept if self._is_for_home(frame)]
                others = [frame for frame in kept if frame not in own] if own else kept
                with self._spool_file.transaction() as db:
                    self._spool_file.require_room()
                    self._boots.follow(db)
                    numbers = frames.put(db, map(self._placed, others))
                    own_numbers = frames.put(db, map(self._placed, own), frames.FOR_HOME)
                    self._boots.note(db)
                    room = self._room
                    lost = frames.make_room(db, self._spool_file, room.max_bytes, room.when_full, numbers + own_numbers)
                self._tell_lost(lost)
                self._arrived(numbers)
                if own:
                    self._arrived_home(own_numbers)
        self._tell([event for event, _ in left], [outcome for _, outcome in left])

    def _placed(self, frame: Frame) -> tuple[Frame, str, BootUs]:
        """Return a frame with the boot in which it was received and the moment there; "" for one of a recording."""
        boot_us, now_us = self._clock.moment()
        lag_us = now_us - frame.time_us
        if lag_us > LIVE_US:
            return frame, "", BootUs(0)
        return frame, self._clock.boot_id, BootUs(boot_us - max(0, lag_us))

    def _tell_lost(self, lost: int) -> None:
        self._lost += lost
        if self._lost and time.monotonic() >= self._tell_at:
            log.error("the spool is full: lost %s that the hub did not get", plural(self._lost, "frame"))
            self._lost, self._tell_at = 0, time.monotonic() + TELL_EVERY_S

    def _judge(self, event: Heard) -> Outcome | None:
        if isinstance(event, Noise):
            return event
        if not isinstance(event, Frame):
            error = FrameError("an uplink that a network server has decrypted", fix="have a worker read this input")
            return Refusal.of(event.frame, error)
        try:
            address_of(event)
        except FrameError as error:
            return Refusal.of(event, error)
        return None
