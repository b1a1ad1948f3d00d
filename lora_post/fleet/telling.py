"""Count what became of a frame."""

from __future__ import annotations

from lora_post.metrics import Metrics
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report
from lora_post.uplink.outcome import Outcome


def count(metrics: Metrics, outcome: Outcome) -> None:
    """Count an outcome that is told."""
    if isinstance(outcome, Report):
        metrics.count("uplinks")
        metrics.count("readings", amount=len(outcome.readings))
    elif isinstance(outcome, Refusal):
        metrics.count("refused", outcome.check)
    elif isinstance(outcome, Join):
        metrics.count("joins", outcome.message)
    elif isinstance(outcome, Copy):
        metrics.count("copies")
