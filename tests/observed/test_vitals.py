from __future__ import annotations

from lora_post.clocks.steady import SteadyClock
from lora_post.observed.vitals import Vitals


def test_thread_that_does_not_beat_in_time_is_stalled_until_it_ends() -> None:
    now = [100.0]
    vitals = Vitals(SteadyClock(monotonic=lambda: now[0]))
    vitals.beat("serial", 60)
    vitals.beat("upload", 300)
    assert vitals.stalled() == []
    now[0] += 61
    assert vitals.stalled() == ["serial"]
    vitals.beat("serial", 60)
    assert vitals.stalled() == []
    now[0] += 1000
    vitals.end("serial")
    assert vitals.stalled() == ["upload"]


def test_trouble_stays_until_it_is_taken_back() -> None:
    vitals = Vitals()
    vitals.trouble("spool", "disk full")
    assert vitals.troubles() == {"spool": "disk full"}
    vitals.trouble("spool", "")
    assert vitals.troubles() == {}


def test_input_remembers_its_latest_frame_whatever_the_wall_clock_does() -> None:
    now, wall = [100.0], [5_000_000]
    vitals = Vitals(SteadyClock(lambda: wall[0], lambda: now[0]))
    vitals.opened("stdin")
    assert vitals.inputs() == {"stdin": 0}
    now[0] += 10
    vitals.heard("stdin")
    wall[0] = 1_790_000_000_000_000
    vitals.opened("stdin")
    assert vitals.inputs() == {"stdin": 15_000_000}
