"""Replay at the pace of the recording."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lora_post.inputs.paced import MAX_GAP_US, PacedInput
from lora_post.model import Frame, Noise, NoiseReason
from tests.support.build import NOON_US, frame

NOISE = Noise(NoiseReason.DAMAGED, 3, "x")


class Listed:
    """An input that gives these events, one list a call."""

    name = "listed"
    trouble = ""

    def __init__(self, *lists: Sequence[Frame | Noise]) -> None:
        self._lists = list(lists)

    def events(self, timeout_s: float) -> Sequence[Frame | Noise] | None:
        return self._lists.pop(0) if self._lists else None

    def drain(self) -> Sequence[Frame | Noise]:
        return []

    def kept(self) -> None:
        pass

    def close(self) -> None:
        pass


def paces(speed: float, *lists: Sequence[Frame | Noise]) -> list[float]:
    """After how many seconds each event came."""
    clock = [100.0]

    def wait(seconds: float) -> None:
        assert 0 < seconds <= 0.5
        clock[0] += seconds

    input_ = PacedInput(Listed(*lists), speed, wait, lambda: clock[0])
    found: list[float] = []
    while (events := input_.events(0.5)) is not None:
        found += [clock[0] - 100.0] * len(events)
    return found


def at(*seconds: float) -> list[Frame]:
    return [frame(time_us=NOON_US + round(second * 1_000_000)) for second in seconds]


@pytest.mark.parametrize(("speed", "expected"), [(1, [0, 3, 3, 10]), (10, [0, 0.3, 0.3, 1]), (0.5, [0, 6, 6, 20])])
def test_frames_come_as_far_apart_as_they_were_heard(speed: float, expected: list[float]) -> None:
    assert paces(speed, at(0, 3), at(3, 10)) == pytest.approx(expected)


def test_noise_follows_the_frame_before_it() -> None:
    first, second = at(0, 5)
    assert paces(1, [NOISE, first, NOISE, second, NOISE]) == pytest.approx([0, 0, 0, 5, 5])


def test_clock_that_was_set_back_or_forward_holds_nothing_up_for_ever() -> None:
    assert paces(1, at(10, 4, 5)) == pytest.approx([0, 0, 1])
    jump = MAX_GAP_US / 1_000_000
    assert paces(1000, at(0, 20 * 365 * 86400)) == pytest.approx([0, jump / 1000])


def test_nothing_is_hurried_out_at_the_end() -> None:
    input_ = PacedInput(Listed(at(0, 3)), 1, lambda seconds: None, lambda: 0.0)
    assert len(input_.events(0.5) or ()) == 1
    assert input_.drain() == []
