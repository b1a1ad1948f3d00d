"""`lora-post` with its waits shortened ten times, so that minutes show what otherwise takes an hour."""

from __future__ import annotations

from lora_post.cli import main
from lora_post.upload import lane_state, uploader

HURRY = 10
WAITS = ("ASK_AFTER_S", "ASK_AFTER_PER_READING_S")
LONGEST_S = (
    (uploader, "MAX_SINK_PAUSE_S", 0.5),
    (uploader, "MAX_RETRY_AFTER_S", 1.0),
    (lane_state, "MAX_LANE_PAUSE_S", 1.0),
)

if __name__ == "__main__":
    for name in WAITS:
        setattr(uploader, name, getattr(uploader, name) / HURRY)
    for module, name, seconds in LONGEST_S:
        assert hasattr(module, name)
        setattr(module, name, seconds)
    main()
