"""What becomes of a frame, or of noise."""

from __future__ import annotations

from typing import TypeAlias

from lora_post.model import Noise
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report

Outcome: TypeAlias = "Report | Refusal | Copy | Join | Noise"

__all__ = ["Copy", "Join", "Noise", "Outcome", "Refusal", "Report"]
