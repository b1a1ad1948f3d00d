"""Hold a frame with its copies from all gateways, and what became of it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lora_post.fleet.judging.reply import Reply
from lora_post.fleet.log.entry import Reception, State
from lora_post.model import Device, Frame
from lora_post.uplink.heard_twice import COPY_WINDOW_US
from lora_post.uplink.outcome import Outcome


class Copied(Struct):
    """A frame as all gateways heard it that have handed it in so far.

    receptions, frames: by gateway and number there. messages: to be acknowledged once it is decided. due: when, on the
    monotonic clock. outcome: what became of it. is_defect: judging it failed. is_offered_again: it, or an entry of it,
    was at the hub before; that it is accepted is then no sign of a replay. is_live: its device may still listen for an
    answer. device: whose it is, once that is known. since: when the first copy came, on the monotonic clock.
    reply: what is to be sent after it. deliveries: how often the hub has given it. is_doubted: it is to be given once
    more before it is refused. decider: who decides about it, where that is not who was asked. is_left: it is new, and
    left to that one; or it may be of a session that a home gateway has given, and the log does not tell of yet.
    """

    phy_payload: bytes
    due: float
    frames: dict[Reception, Frame] = {}
    messages: dict[tuple[str, str, int], Any] = {}
    outcome: Outcome | None = None
    is_defect: bool = False
    is_offered_again: bool = False
    is_live: bool = False
    device: Device | None = None
    since: float = 0.0
    reply: Reply | None = None
    deliveries: int = 2
    is_doubted: bool = False
    decider: str | None = None
    is_left: bool = False

    @property
    def best(self) -> Frame:
        """Return the frame as it was heard best when it was sent: a recording of it comes later."""
        first_us = min(frame.time_us for frame in self.frames.values())
        heard = [frame for frame in self.frames.values() if frame.time_us - first_us <= COPY_WINDOW_US]
        return max(heard, key=lambda frame: (frame.rx.snr_db or -99, frame.rx.rssi_dbm or -999))

    def leave(self, device: Device, state: State, *, is_left: bool = True) -> None:
        """Leave it to who decides about its device. is_left: it is new."""
        self.device, self.decider, self.is_left = device, state.owner, is_left
