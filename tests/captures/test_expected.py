"""Every capture in fixtures/ through the real pipeline into a real spool."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path

import msgspec
import pytest

import lora_post
from lora_post.clocks.scale import parse_utc
from lora_post.config import load_config
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.formats import FORMATS
from lora_post.metrics import Metrics
from lora_post.model import Noise
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.outcome_json import outcome_json
from tests.support.paths import FIXTURES

DEMO = Path(lora_post.__file__).parent / "demo"
CAPTURES = sorted(path for name in FORMATS for folder in (FIXTURES, DEMO) for path in folder.glob(f"*.{name}"))
DECODERS = load_folder(shipped_folder()).decoders
# Where a capture does not say when it was heard.
HEARD_US = parse_utc("2026-03-01T12:00:00Z")


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_capture_gives_what_is_expected(capture: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    own = capture.with_suffix(".toml")
    config = load_config(own if own.exists() else FIXTURES / "devices.toml")
    decoders = DECODERS | (load_folder(config.decoder_folder).decoders if config.decoder_folder else {})
    store = SpoolFile(tmp_path / "spool.db")
    outcomes: list[Outcome] = []
    ledger = SpoolLedger(store, config.devices, QueueWriter(store, ["waziup"], 1 << 30))
    pipeline = Pipeline(ledger, Decoding(config.devices, decoders).decode, Metrics(), outcomes.append)
    parser = FORMATS[capture.suffix[1:]](config.gateway_id, UTC)
    pipeline.handle([*parser.feed(capture.read_bytes(), HEARD_US), *parser.finish(HEARD_US)])

    uplinks = [outcome_json(outcome) for outcome in outcomes if not isinstance(outcome, Noise)]
    noise = [str(outcome.reason) for outcome in outcomes if isinstance(outcome, Noise)]
    found = msgspec.to_builtins({"uplinks": uplinks, "noise": noise})
    expected = FIXTURES / f"{capture.stem}.expected.json"
    if request.config.getoption("--update-expected"):
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert found == json.loads(expected.read_text("utf-8"))
    assert Queue(store, "waziup").counts().queued == sum(len(uplink["readings"]) for uplink in uplinks)
    store.close()


def test_no_expectation_is_left_without_its_capture() -> None:
    names = {path.stem for path in CAPTURES}
    assert {path.name.removesuffix(".expected.json") for path in FIXTURES.glob("*.expected.json")} == names
