"""How the thread of one destination ends."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from lora_post.config import parse_config
from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.run.delivery import open_delivery
from lora_post.spool.facts import Facts
from lora_post.spool.queue import DOUBTS, RUNNING, LeftBehind
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report, Uplink
from tests.support.build import report
from tests.support.command import PATIENCE_S, wait_until, write_site
from tests.support.upload_site import USERS
from tests.support.waziup import waziup


def nothing(uplink: Uplink) -> Report:
    return Report(uplink, ())


@pytest.mark.parametrize("is_answered", [True, False])
def test_stop_cuts_a_request_that_takes_too_long_and_notes_its_sensor_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_answered: bool
) -> None:
    # An answer that is there may take its time on the way back.
    monkeypatch.setattr("lora_post.run.delivery.JOIN_S", PATIENCE_S if is_answered else 0.1)
    with waziup(USERS) as server, closing(SpoolFile(tmp_path / "spool.db")) as store:
        path = write_site(tmp_path, server.url)
        with store.transaction() as db:
            QueueWriter(store, ["waziup"], 1 << 30).put(db, [report(Reading("t", 1), Reading("h", 2))])
        server.days.hanging = "" if is_answered else r"/sensors/t/value"
        with open_delivery(parse_config(path.read_text(), path, {}), nothing, Metrics(), lambda outcome: None):
            wait_until(lambda: len(server.days.pushes()) == (2 if is_answered else 1), "nothing is sent")
        facts = Facts(store, "waziup").recall()
        if is_answered:
            assert not {RUNNING, DOUBTS} & facts.keys()
            return
        left = msgspec.json.decode(facts[DOUBTS], type=LeftBehind)
        ((number,),) = store.rows("SELECT id FROM lane WHERE name = 't'")
        assert left.lanes is not None
        assert list(left.lanes) == [number]
