"""Looks for the mistake in the configuration behind a refusal or an undecodable payload, with a budget.

A stranger can cause as many refusals as it likes; a frame costs a few milliseconds at most, and only so many are tried.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Final

from msgspec.structs import replace

from lora_post.errors import DecoderHang, Problem, UnknownDevice
from lora_post.model import Device
from lora_post.spool.strangers import KEPT_CHECKS
from lora_post.uplink.diagnosis import diagnose, diagnose_payload
from lora_post.uplink.model import Decode, Refusal, Report
from lora_post.uplink.senders import claimed_sender

BURST: Final = 10
REFILL_S: Final = 6.0
"""After so long one more frame may be tried."""
AGAIN_S: Final = 600.0
"""A sender or device for which nothing was found is not tried again before this."""
MAX_REMEMBERED: Final = 256


class Doctor:
    """Finds mistakes by trying; remembers what was found, and for whom nothing was.

    left_out: the addresses of devices whose tables have mistakes; set when the configuration is read again.
    """

    def __init__(self, left_out: Collection[str] = (), monotonic: Callable[[], float] = time.monotonic) -> None:
        self.left_out = left_out
        self._monotonic = monotonic
        self._devices: Sequence[Device] = ()
        self._found: OrderedDict[str, Problem | None] = OrderedDict()
        self._tried_at: dict[str, float] = {}
        self._left = float(BURST)
        self._refilled_at = monotonic()

    def refusal(self, refusal: Refusal, devices: Sequence[Device]) -> Refusal:
        """Return a refusal with the mistake behind it, if there is one that is usual."""
        sender = claimed_sender(refusal.frame) if refusal.check in KEPT_CHECKS else ""
        if not sender:
            return refusal
        if refusal.check == UnknownDevice.check and sender in self.left_out:
            what = f"{refusal.detail}: its [[device]] has a mistake and is left out"
            return replace(refusal, detail=what, fix="correct it: `lora-post check` names the mistake")
        self._follow(devices)

        def look() -> Problem | None:
            found = diagnose(refusal.frame, devices)
            return found.problem if found else None

        problem = self._known(f"{refusal.check} {sender}", look)
        return replace(refusal, detail=problem.what, fix=problem.fix) if problem else refusal

    def report(self, report: Report, decode: Decode, devices: Sequence[Device]) -> Report:
        """Return the report of a payload that could not be decoded with the mistake in its keys, if there is one.

        What holds a decoder up says nothing of the keys.
        """
        if report.problem is None or report.problem.startswith(f"{DecoderHang.__name__}:"):
            return report
        self._follow(devices)
        uplink = report.uplink
        problem = self._known(f"payload {uplink.device.id}", lambda: diagnose_payload(uplink, decode))
        return replace(report, problem=f"{problem} ({report.problem})") if problem else report

    def _follow(self, devices: Sequence[Device]) -> None:
        """Forget what was found for other devices: the configuration may have been corrected."""
        if devices is not self._devices:
            self._devices = devices
            self._found.clear()
            self._tried_at.clear()

    def _known(self, name: str, look: Callable[[], Problem | None]) -> Problem | None:
        now = self._monotonic()
        if name in self._found:
            problem = self._found[name]
            if problem is not None or now - self._tried_at[name] < AGAIN_S:
                return problem
        self._left = min(float(BURST), self._left + (now - self._refilled_at) / REFILL_S)
        self._refilled_at = now
        if self._left < 1:
            return None
        self._left -= 1
        self._found[name] = problem = look()
        self._found.move_to_end(name)
        self._tried_at[name] = now
        if len(self._found) > MAX_REMEMBERED:
            oldest, _ = self._found.popitem(last=False)
            del self._tried_at[oldest]
        return problem
