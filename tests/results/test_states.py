"""States that a codec's own tables number."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.decoding.javascript.codec import load_js_codec
from lora_post.model import Decoded, Reading
from lora_post.results.states import MAX_STATES, states_in

CODEC = """
function decodeUplink(input) {
  var doors = { 0: "closed", 1: "open" };
  var modes = { 0: 'idle', 1: 'heat', 2: 'cool' };
  return { data: { door: doors[input.bytes[0]], mode: modes[input.bytes[1]], note: "fine" } };
}
"""


def test_state_of_a_table_is_added_to_its_text(tmp_path: Path) -> None:
    path = tmp_path / "door.js"
    path.write_text(CODEC)
    found = load_js_codec(path).decode(bytes((1, 2)), 1)
    assert isinstance(found, Decoded)
    assert found.readings == [
        Reading("door", "open"),
        Reading("door_state", True, quantity="DoorStatus"),
        Reading("mode", "cool"),
        Reading("mode_state", 2),
        Reading("note", "fine"),
    ]


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ('{ 0: "closed", 1: "open" }', {"closed": False, "open": True}),
        ("{'0':'a','1':'b','2':'c'}", {"a": 0, "b": 1, "c": 2}),
        ('{ 0x00: "off",\n  0x01: "on" }', {"off": False, "on": True}),
        ('{ 0: "low", 1: "high" } { 0: "high", 1: "low" }', {}),
        ('{ 0: "low", 1: "high" } { 0: "low", 1: "high", 2: "off" }', {"off": 2}),
        ('{ 1: "alone" }', {}),
        ('{ -10: "UTC-1", -20: "UTC-2" }', {}),
        ('{ a: "b", c: "d" }', {}),
        ('{ 0: "a", 1: f(), 2: "b" }', {}),
        ('{ 1: "a", 1: "b" }', {}),
        ('{ 100: "a", 999: "b" }', {}),
        ("", {}),
    ],
)
def test_tables_are_told_from_other_objects(text: str, states: dict[str, object]) -> None:
    found = states_in(text)
    assert found == states
    assert [type(state) for state in found.values()] == [type(state) for state in states.values()]


def test_a_file_of_tables_gives_a_bounded_number_of_states() -> None:
    text = "".join(f'{{ 0: "a{number}", 1: "b{number}", 2: "c{number}" }};' for number in range(2000))
    assert len(states_in(text)) <= MAX_STATES
