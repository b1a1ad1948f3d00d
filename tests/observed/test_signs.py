from __future__ import annotations

from lora_post.clocks.steady import SteadyClock
from lora_post.errors import Problem
from lora_post.observed.signs import Heartbeats, LastFrames, Troubles


def test_thread_that_does_not_beat_in_time_is_stalled_until_it_ends() -> None:
    now = [100.0]
    heartbeats = Heartbeats(lambda: now[0])
    heartbeats.beat("serial", 60)
    heartbeats.beat("upload", 300)
    assert heartbeats.stalled() == []
    now[0] += 61
    assert heartbeats.stalled() == ["serial"]
    heartbeats.beat("serial", 60)
    assert heartbeats.stalled() == []
    now[0] += 1000
    heartbeats.end("serial")
    assert heartbeats.stalled() == ["upload"]


def test_trouble_stays_until_it_is_taken_back() -> None:
    troubles = Troubles()
    troubles.tell("spool", Problem("disk full"))
    assert troubles.by_part() == {"spool": Problem("disk full")}
    troubles.tell("spool", None)
    assert troubles.by_part() == {}


def test_input_remembers_its_latest_frame_whatever_the_wall_clock_does() -> None:
    now, wall = [100.0], [5_000_000]
    last_frames = LastFrames(SteadyClock(lambda: wall[0], lambda: now[0]))
    last_frames.opened("stdin")
    assert last_frames.moments() == {"stdin": 0}
    now[0] += 10
    last_frames.heard("stdin")
    wall[0] = 1_790_000_000_000_000
    last_frames.opened("stdin")
    assert last_frames.moments() == {"stdin": 15_000_000}
