from __future__ import annotations

import subprocess
import sys
import time
from threading import Thread

import pytest

from lora_post.decoding.time_limit import Overrun, TimeLimit
from tests.support.command import PATIENCE_S


def forever(argument: object) -> None:
    while True:
        pass


def test_call_in_time_gives_its_result() -> None:
    with TimeLimit() as watch:
        assert watch.call(len, [1]) == 1


def test_error_of_the_call_is_raised() -> None:
    with TimeLimit() as watch, pytest.raises(ZeroDivisionError):
        watch.call(lambda number: 1 / number, 0)


def test_call_that_takes_too_long_is_ended() -> None:
    with TimeLimit(0.05) as watch, pytest.raises(Overrun):
        watch.call(forever, object())


def test_watch_goes_on_after_a_call_that_took_too_long() -> None:
    with TimeLimit(0.05) as watch:
        for _ in range(3):
            with pytest.raises(Overrun):
                watch.call(forever, object())
            assert watch.call(len, [1]) == 1


def test_no_overrun_ever_hits_what_comes_after_its_call() -> None:
    """Calls that end just when they have had their time, as near to it as can be."""
    ended = in_time = 0
    with TimeLimit(0.02) as watch:

        def spin(until: float) -> int:
            while time.monotonic() < until:
                pass
            return 1

        for step in range(60):
            try:
                in_time += watch.call(spin, time.monotonic() + 0.018 + step * 0.0002)
            except Overrun:
                ended += 1
            watch.limit_s = 60.0  # for a machine that lets these stand still
            for _ in range(300):  # would be hit by what is still on its way
                watch.call(len, [1])
            watch.limit_s = 0.02
    assert ended + in_time == 60


def test_calls_may_come_from_one_thread_after_the_other() -> None:
    found: list[object] = []

    def hang(watch: TimeLimit) -> None:
        try:
            watch.call(forever, object())
        except Overrun as error:
            found.append(error)

    with TimeLimit(0.05) as watch:
        for _ in range(2):
            thread = Thread(target=hang, args=(watch,))
            thread.start()
            thread.join()
    assert len(found) == 2


TRACED = """
import sys
from lora_post.decoding.time_limit import Overrun, TimeLimit

def hang(argument):
    while True:
        pass

def trace(*of):
    return trace

with TimeLimit(0.02) as limit:
    try:
        limit.call(hang, b"x")
    except Overrun:
        pass
sys.settrace(trace)
(lambda: None)()
"""


def test_nothing_is_left_pending_in_the_interpreter() -> None:
    """Python 3.11 never calls a traced function while an exception of another thread is pending; others are slower."""
    subprocess.run([sys.executable, "-c", TRACED], timeout=PATIENCE_S, check=True)
