"""Run without spool and server: print what would be accepted and refused."""

from __future__ import annotations

import msgspec

from lora_post.config import Config
from lora_post.metrics import Metrics
from lora_post.model import Noise
from lora_post.run.doctor import Doctor
from lora_post.run.outcome_log import OutcomeLog
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger
from lora_post.text import escaped_json
from lora_post.uplink.model import Decode
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.outcome_json import outcome_json


def dry_pipeline(config: Config, decode: Decode, metrics: Metrics) -> Pipeline:
    """Return a pipeline that prints what would be accepted and refused, as JSON."""
    noise_log = OutcomeLog()

    def listen(outcome: Outcome) -> None:
        if isinstance(outcome, Noise):
            noise_log(outcome)
        else:
            print(escaped_json(msgspec.json.encode(outcome_json(outcome))), flush=True)

    return Pipeline(MemoryLedger(config.devices), decode, metrics, listen, doctor=Doctor(config.senders_left_out))
