"""What `decode` believes of Cayenne LPP without looking: every reading that it makes is good."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from lora_post.decoding.decode import fault_of
from lora_post.errors import DecodeError
from lora_post.model import MAX_READINGS
from lora_post.payloads.lpp import NAMES, decode
from lora_post.units import UNITS

ITEMS = st.tuples(st.integers(0, 255), st.sampled_from(sorted(NAMES)), st.binary(max_size=12)).map(
    lambda item: bytes(item[:2]) + item[2]
)
EVERY_TYPE = [bytes((7, kind)) for kind in sorted(NAMES)]


@given(st.one_of(st.binary(max_size=255), st.lists(ITEMS, max_size=24).map(b"".join)))
@example(b"\x00\x00\x00" * 85)
@example(b"\x01\x66\xff" * 85)
def test_every_reading_is_good(payload: bytes) -> None:
    _assert_sound(payload)


def test_every_type_is_good_at_its_extremes() -> None:
    for item in EVERY_TYPE:
        for fill in (0x00, 0x7F, 0x80, 0xFF):
            _assert_sound(item + bytes([fill]) * 12)
            _assert_sound(item + bytes([11, 201]) + bytes([fill]) * 10)


def _assert_sound(payload: bytes) -> None:
    try:
        readings = decode(payload, 1)
    except DecodeError as error:
        readings = list(error.kept)
    assert len(readings) <= MAX_READINGS
    for reading in readings:
        assert fault_of(reading) == ""
        assert reading.unit == "" or reading.unit in UNITS
        assert reading.quantity == "" and reading.at_s is None and reading.age_s == 0
