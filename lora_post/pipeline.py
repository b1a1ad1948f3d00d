"""One read's worth of events, from the parser to the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeAlias

from lora_post.errors import FrameError, Repeat, UnlockError
from lora_post.ledger import REPEAT_WINDOW_US, Ledger
from lora_post.metrics import Metrics
from lora_post.model import ClearUplink, Decode, Event, Frame, Noise, Refusal, Report
from lora_post.server_uplink import resolve
from lora_post.unlock import unlock

log = logging.getLogger(__name__)

Outcome: TypeAlias = "Report | Refusal | Noise"


class Pipeline:
    """Unlocks, decodes and keeps frames; tells `listener` of each outcome once it is kept.

    Shared by all transports; events that arrive together are kept together.
    """

    def __init__(
        self,
        ledger: Ledger,
        decode: Decode,
        metrics: Metrics,
        listener: Callable[[Outcome], None],
    ) -> None:
        self._ledger = ledger
        self._decode = decode
        self._metrics = metrics
        self._listener = listener
        self._lock = Lock()

    def handle(self, events: Sequence[Event]) -> None:
        """Take events from a parser to the ledger, or count why not.

        Raises StoreError when nothing could be kept; the same events may then be handed in again.
        """
        if not events:
            return
        with self._lock:
            with self._ledger.group():
                outcomes = [self._handle_event(event) for event in events]
            self._tell(outcomes)

    def _handle_event(self, event: Event) -> Outcome:
        if isinstance(event, Frame):
            return self._handle_frame(event)
        return self._handle_clear(event) if isinstance(event, ClearUplink) else event

    def _handle_clear(self, event: ClearUplink) -> Report | Refusal:
        try:
            uplink, session = resolve(event, self._ledger.find)
            # A server that sends again sends the same time; the same counter at another time is a new session.
            if self._ledger.is_repeat(uplink, 0):
                raise Repeat(f"{uplink.device.id}: FCnt {uplink.fcnt} of this time again; the server has sent it twice")
        except UnlockError as error:
            return Refusal(event.frame, error.check, str(error))
        report = self._decode(uplink)
        self._ledger.keep(report, session)
        return report

    def _handle_frame(self, frame: Frame) -> Report | Refusal:
        try:
            uplink, session = unlock(frame, self._ledger.find)
            if not uplink.authentic and self._ledger.is_repeat(uplink, REPEAT_WINDOW_US):
                raise Repeat(f"{uplink.device.id}: packet {uplink.fcnt} with this payload was accepted a moment ago")
        except (FrameError, UnlockError) as error:
            return Refusal(frame, error.check, str(error))
        report = self._decode(uplink)
        self._ledger.keep(report, session)
        return report

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        uplinks = readings = 0
        for outcome in outcomes:
            if type(outcome) is Report:
                uplinks += 1
                readings += len(outcome.readings)
                if outcome.problem is not None:
                    uplink = outcome.uplink
                    self._metrics.count("undecoded", uplink.device.decoder_for(uplink.fport))
            elif type(outcome) is Refusal:
                self._metrics.count("refused", outcome.check)
            elif type(outcome) is Noise:
                self._metrics.count("noise", outcome.reason)
            self._listener(outcome)
        self._metrics.count("uplinks", amount=uplinks)
        self._metrics.count("readings", amount=readings)
