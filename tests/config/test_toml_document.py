"""What is read quickly is what `tomllib` reads."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config.toml_document import read_toml

LINES = (
    "[[device]]",
    "[[device]] # kitchen",
    "[[ device ]]",
    " [[device]]",
    "[device]",
    "[[device.sensor]]",
    "[device.options]",
    "[gateway]",
    "[[input]]",
    'id = "pond-7"',
    'id = "Ärger # no comment"',
    'name = ""',
    'name = "a\\tb"',
    'name = "with a \t tab"',
    'name = "control \x01"',
    'name = "[[device]]"',
    "name = 'literal'",
    'name = """',
    "'''",
    '"""',
    "address = 5",
    "address = -5",
    "address = 05",
    "address = 1_000",
    "address = 0x1f",
    "accept_half_mic = true",
    "accept_half_mic = True",
    "location = [48.1, 11.5]",
    "only = [",
    '"a",',
    "]",
    "options = { a = 1 }",
    "options.a = 1",
    '"quoted" = 1',
    "device = []",
    'device = "x"',
    "key=1",
    "key = 1 # why",
    "  key2 = 2",
    "key3 =",
    "# a comment",
    "# control \x01",
    "",
    "  ",
    "\ufeff",
)


@given(st.lists(st.sampled_from(LINES), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_reads_and_refuses_what_tomllib_does(lines: list[str], end: str, is_ended: bool) -> None:
    text = end.join(lines) + (end if is_ended else "")
    assert _outcome(text, is_quick=True) == _outcome(text, is_quick=False)


@given(
    st.lists(
        st.lists(st.sampled_from([line for line in LINES if "=" in line]), unique=True, max_size=4).map("\n".join),
        max_size=4,
    )
)
def test_reads_what_tomllib_does_of_lists_of_devices(devices: list[str]) -> None:
    text = '[gateway]\nid = "gw1"\n' + "".join(f"\n[[device]]\n{device}\n" for device in devices)
    assert _outcome(text, is_quick=True) == _outcome(text, is_quick=False)


def _outcome(text: str, *, is_quick: bool) -> object:
    """What is read, with the order of keys and the kinds of values; or the complaint."""
    try:
        return repr(read_toml(text) if is_quick else tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        return str(error)


@pytest.mark.parametrize("plain", ['id = "a"\naddress = 6\naccept_half_mic = false\n', ""])
def test_takes_plain_devices_out_and_keeps_the_order(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"[[device]]\n{plain}[[device]]\nname = 'b'\n[[device]]\n{plain}"
    read: list[str] = []
    loads = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: read.append(text) or loads(text))
    document = read_toml(text)
    assert read == ["[[device]]\nname = 'b'\n"]
    assert document == loads(text)
