"""Devices that restarted and whose first frames were not heard: what proves it (`fcnt = "restarts"`).

A counter that fell back to 100 or more is a replay or a restart. Three frames in a row prove the restart: authentic,
with rising counters, none of them heard before, and no frame of the old count between them. The ledger remembers what
was heard, refused frames too, so each is evidence once: a recording of accepted frames proves nothing, however old.
"""

from __future__ import annotations

from typing import Final

from lora_post.uplink.heard_twice import EVER_US
from lora_post.uplink.model import IsRepeat, Uplink

PROOF: Final = 3
"""So many frames prove a restart; the last of them is accepted."""
MAX_GAP: Final = 100
"""How far apart the counters of two of them may be: frames between them may have been missed."""


class Restarts:
    """The counters of frames that may be the first ones of a restarted device.

    In memory: a device that goes on sending proves its restart once more.
    """

    def __init__(self) -> None:
        self._rising: dict[str, tuple[int, ...]] = {}

    def proves(self, uplink: Uplink, is_repeat: IsRepeat) -> bool:
        """Tell whether an authentic uplink with a counter that fell back completes the proof."""
        if is_repeat(uplink, EVER_US):
            return False
        device, fcnt = uplink.device.id, uplink.fcnt
        rising = self._rising.get(device, ())
        goes_on = rising and rising[-1] < fcnt <= rising[-1] + MAX_GAP
        rising = (*rising, fcnt) if goes_on else (fcnt,)
        self._rising[device] = rising
        return len(rising) >= PROOF

    def accepted(self, uplink: Uplink) -> None:
        """Begin anew: the device goes on with its old count, or with the one that was proved."""
        self._rising.pop(uplink.device.id, None)
