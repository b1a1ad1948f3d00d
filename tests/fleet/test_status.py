"""What a fleet is at, in words: who waits, who hears whom, who works on what."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from lora_post.fleet.gateway.publisher import GatewayState
from lora_post.fleet.home.owners import Owned
from lora_post.fleet.log.entry import Accepted, Reception, State, after
from lora_post.fleet.log.place import UPLOADER, Place
from lora_post.fleet.log.view import View
from lora_post.fleet.status import FleetStatus, Hearing, hearings
from lora_post.fleet.worker.worker import WorkerState
from lora_post.model import Frame, RxInfo
from lora_post.spool.rescue import open_spool
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs


def test_who_hears_whom_is_what_the_spool_knows(tmp_path: Path) -> None:
    open_spool(tmp_path / "spool.db").close()
    view, place = View("log."), Place(UPLOADER, "log.")
    for device, snrs in (("a", (1.0, 8.0)), ("b", (3.0,))):
        heard_by = tuple(Reception(f"gw{number}", "s", 1, -60.0, snr) for number, snr in enumerate(snrs))
        up = Accepted(device, Frame("gw", WallUs(0), b"", RxInfo()), 0, heard_by=heard_by)
        view.fold(f"log.0.{device}").take(after(None, device, State(), up=up))
    place.note_all(view)
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        with spool_file.transaction() as db:
            place.save(db, view)
        found = {each.device: [by.gateway for by in each.heard_by] for each in hearings(spool_file)}
    assert found == {"a": ["gw1", "gw0"], "b": ["gw0"]}


def test_lines() -> None:
    heard = [Reception(name, "s", 1) for name in ("north", "south")]
    status = FleetStatus(
        (GatewayState("north", "1", 0, 5, None, 31.5), GatewayState("south", "1", 7, 5, 0, None)),
        (WorkerState("desk-1", 40, 2, {"north": 62.5}, 3),),
        (*["desk-1"] * 12, *[""] * 4),
        3,
        50,
        60,
        {"desk": 58},
        (Hearing("a", tuple(heard)), Hearing("b", (heard[0],))),
        owned=(Owned("a", "home gateway north decides", "2026-11-28 23:15"),),
    )
    assert status.lines == [
        "gateway north: nothing waits, 31.5 ms to the hub and back, answers asked of it in 62.5 ms, "
        "hears 2 devices, 1 alone, lora-post 1",
        "gateway south: 7 frames wait, the oldest of 1970-01-01T00:00:00Z, hears 1 device, 0 alone, lora-post 1",
        "home gateway north decides: a since 2026-11-28 23:15",
        "worker desk-1: 12 of 16 partitions, 40 uplinks accepted, 2 void, 3 downlinks not sent",
        "nobody: 4 of 16 partitions; is a worker running?",
        "frames under way: 3; entries in the log: 50",
        "uploader desk: 2 entries behind, within a minute",
    ]
