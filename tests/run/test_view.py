"""What page and alerts see of a run."""

from __future__ import annotations

from pathlib import Path

from lora_post.clocks.steady import SteadyClock
from lora_post.config import parse_config
from lora_post.errors import SpoolError
from lora_post.observed.run_state import DestinationState
from lora_post.observed.signs import Signs
from lora_post.run.view import RunView


def test_spool_that_cannot_be_opened_is_seen_and_hides_nothing_else(tmp_path: Path) -> None:
    def cannot_be_opened() -> list[DestinationState]:
        raise SpoolError("spool x/spool.db: unable to open database file")

    text = '[gateway]\nid = "gw1"\n[spool]\npath = "is/gone/spool.db"\n[json_lines]\npath = "x.jsonl"\n'
    config, clock = parse_config(text, tmp_path / "site.toml", {}), SteadyClock()
    seen = RunView(config, Signs(clock), clock, cannot_be_opened)()
    assert seen.troubles["spool"].what == "spool x/spool.db: unable to open database file"
    assert seen.disk.free > 0
