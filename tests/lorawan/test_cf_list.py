from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import FrameError
from lora_post.lorawan.cf_list import CFList, Frequencies, Masks, parse_cf_list

EU868 = Frequencies((867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000))

lists = st.one_of(
    st.lists(st.integers(0, 2**24 - 1).map(lambda number: number * 100), min_size=5, max_size=5).map(
        lambda hz: Frequencies(tuple(hz))
    ),
    st.sets(st.integers(0, 95)).map(lambda numbers: Masks(tuple(sorted(numbers)))),
)


@given(lists)
def test_list_is_read_as_it_was_built(channels: CFList) -> None:
    assert len(channels.to_bytes()) == 16
    assert parse_cf_list(channels.to_bytes()) == channels


@pytest.mark.parametrize(
    ("on_air", "channels"),
    [
        ("184f84e85684b85e84886684586e8400", EU868),
        ("00ff0000000000000200000000000001", Masks((*range(8, 16), 65))),
    ],
)
def test_known_list_is_built_and_read(on_air: str, channels: CFList) -> None:
    assert channels.to_bytes().hex() == on_air
    assert parse_cf_list(bytes.fromhex(on_air)) == channels


def test_list_of_another_type_is_a_frame_error() -> None:
    with pytest.raises(FrameError, match="type 2"):
        parse_cf_list(bytes(15) + b"\2")
