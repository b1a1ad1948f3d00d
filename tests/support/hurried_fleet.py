"""`lora-post run` as a part of a fleet, as hasty as `hurried`: who is gone is missed soon, frames are offered soon."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from lora_post.cli import main
from lora_post.fleet.gateway.publisher import Patience
from lora_post.fleet.home import answering
from lora_post.fleet.home.service import HomeService
from lora_post.fleet.hub import settling
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.judge import Chore
from lora_post.fleet.log import streams
from lora_post.fleet.log.entry import Entry
from lora_post.fleet.uploader import feed, turns
from lora_post.fleet.worker import leases, worker
from lora_post.run import fleet, ingest
from tests.support.hurried import HURRIED

ACK_WAIT_S = 3.0
SOON = Patience(live_s=2.0, again_s=30.0, settle_s=0.5, state_s=2.0)


def sent_file(spool: Path) -> Path:
    """Return where a home gateway notes what it sends, valid at the hub or not: a line for each frame."""
    return spool.with_suffix(".sent")


def noting(service: HomeService, item: Copied | Chore, entry: Entry | None) -> None:
    """Note what is sent, then send it."""
    if entry and entry.up and entry.down and item.reply:
        with sent_file(service._spool_file.path).open("a") as file:
            file.write(json.dumps((entry.up.device, entry.down.fcnt, entry.down.phy_payload.hex())) + "\n")
    SEND(service, item, entry)


SEND = HomeService._send

if __name__ == "__main__":
    fleet.open_delivery = partial(fleet.open_delivery, policy=HURRIED)  # type: ignore[assignment]
    fleet.run_fleet = partial(fleet.run_fleet, patience=SOON)  # type: ignore[assignment]
    ingest.STORE_RETRY_S = 0.2
    leases.OVER_S = 3.0  # type: ignore[misc]
    feed.TELL_S = 1.0  # type: ignore[misc]
    turns.SILENT_S = 10.0  # type: ignore[misc]
    settling.WAIT_S = 0.5  # type: ignore[misc]
    worker.STEP_S = 0.5  # type: ignore[misc]
    streams.ACK_WAIT_S = ACK_WAIT_S  # type: ignore[misc,assignment]
    answering.BACK_S = 6.0  # type: ignore[misc]
    answering.LOOK_S = 1.0  # type: ignore[misc]
    HomeService._send = noting  # type: ignore[method-assign]
    main()
