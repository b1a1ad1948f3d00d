"""Count outcomes, and tell them to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from lora_post.metrics import Metrics
from lora_post.model import ClearUplink, Heard, Noise
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report
from lora_post.uplink.outcome import Outcome


class Telling(Struct, frozen=True):
    """Who learns of outcomes, once they are kept."""

    metrics: Metrics
    listener: Callable[[Outcome], None]

    def __call__(self, events: Sequence[Heard], outcomes: Sequence[Outcome]) -> None:
        """Tell of these outcomes, in order. events: what they became of, one each."""
        uplinks = readings = 0
        copies: list[Copy] = []
        for event, outcome in zip(events, outcomes, strict=True):
            if type(outcome) is Report:
                uplinks += 1
                readings += len(outcome.readings)
                if outcome.problem is not None:
                    uplink = outcome.uplink
                    self.metrics.count("undecoded", uplink.device.decoder_for(uplink.fport))
                if type(event) is ClearUplink:  # a network server tells with it how other gateways heard it
                    copies += [Copy(frame, outcome.uplink) for frame in event.copies]
            elif type(outcome) is Refusal:
                self.metrics.count("refused", outcome.check)
            elif type(outcome) is Copy:
                self.metrics.count("copies")
            elif type(outcome) is Join:
                self.metrics.count("joins", outcome.message)
            elif type(outcome) is Noise:
                self.metrics.count("noise", outcome.reason)
            self.listener(outcome)
        for copy in copies:
            self.metrics.count("copies")
            self.listener(copy)
        self.metrics.count("uplinks", amount=uplinks)
        self.metrics.count("readings", amount=readings)
