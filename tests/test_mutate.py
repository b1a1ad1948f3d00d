"""Damaged streams through every parser; the long run is `python -m tests.mutate`."""

from __future__ import annotations

import pytest

from lora_post.formats import FORMATS
from tests.mutate import Kind, examine, held, kinds
from tests.mutate_json import SAMPLES, examine_json


@pytest.mark.parametrize("name", sorted(FORMATS.keys() | {"pcapng"}))
def test_damage_costs_no_intact_frame_behind_it(name: str) -> None:
    figures = examine(name, kinds()[name], 60_000, 1)
    assert figures.damages > 10 and figures.far > 10
    assert figures.close_found >= 0.98 * figures.close


def test_every_parser_gets_damaged_streams() -> None:
    assert kinds().keys() == FORMATS.keys() | {"pcapng"}


def test_harness_sees_a_parser_that_loses_frames() -> None:
    kind = kinds()["lines"]
    deaf = Kind("rak", kind.start, kind.pieces)
    with pytest.raises(AssertionError, match="frames lost"):
        examine("lines", deaf, 60_000, 1)


def test_harness_sees_what_is_held() -> None:
    assert held([b"x" * 100, {"a": bytearray(50)}]) > 150


# 7 and the number of values have no divisor in common: each field gets other values, and each value other fields.
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", [*SAMPLES, "auto"])
def test_no_value_in_any_field_of_any_json_makes_a_parser_raise(name: str, step: int) -> None:
    assert examine_json(name, step) > 5000 / step
