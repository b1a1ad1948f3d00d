"""`lora-post` with an uploader ten times as hasty, and forty times where it waits for a late server.

A minute shows what otherwise takes ten; servers that are to act late do so within `HURRIED.late_s`. A full disk is
tried again at once, and the page shows how things are now.
"""

from __future__ import annotations

from functools import partial

from lora_post.cli import main
from lora_post.run import ingest, live, view
from lora_post.upload.policy import UploadPolicy

HURRY = 10
LATE_HURRY = 40
USUAL = UploadPolicy()
HURRIED = UploadPolicy(
    ask_after_s=USUAL.ask_after_s / HURRY,
    ask_after_per_reading_s=USUAL.ask_after_per_reading_s / HURRY,
    late_s=USUAL.late_s / LATE_HURRY,
    late_per_reading_s=USUAL.late_per_reading_s / LATE_HURRY,
    pace_s=USUAL.pace_s / LATE_HURRY,
    max_sink_pause_s=0.5,
    max_lane_pause_s=1.0,
    max_retry_after_s=1.0,
)

if __name__ == "__main__":
    # The command is the real one in all else.
    live.open_delivery = partial(live.open_delivery, policy=HURRIED)
    ingest.STORE_RETRY_S = 0.2
    view.FRESH_S = 0.0
    main()
