"""`lora-post run` as a part of a fleet, as hasty as `hurried`: who is gone is missed soon, frames are offered soon."""

from __future__ import annotations

from functools import partial

from lora_post.cli import main
from lora_post.fleet import feed, leases, settling, streams, turns, worker
from lora_post.fleet.publisher import Patience
from lora_post.run import fleet, ingest
from tests.support.hurried import HURRIED

ACK_WAIT_S = 3.0
SOON = Patience(live_s=2.0, again_s=120.0, settle_s=0.5)

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
    main()
