"""Every file in `decoders/`: nobody writes a test for a decoder, this finds it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from math import isfinite
from pathlib import Path
from pkgutil import iter_modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lora_post
from lora_post import ConfigError, DecodeError, payloads
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.model import Decoded, DecodeFunction, Decoder, Example, Reading, Value
from lora_post.units import UNITS
from tests.support.paths import DOCS, ROOT

LOADED = load_folder(shipped_folder())
DECODERS = list(LOADED.decoders.values())
EXAMPLES = [(decoder, example) for decoder in DECODERS for example in decoder.examples]
IDS = [f"{decoder.name}-{example.payload or 'empty'}" for decoder, example in EXAMPLES]
GOOD = [(decoder, example) for decoder, example in EXAMPLES if not example.fails]
PAYLOADS = {f"lora_post.payloads.{module.name}" for module in iter_modules(payloads.__path__)}
PROJECT = ROOT / "pyproject.toml"


def function_for(decoder: Decoder, example: Example) -> DecodeFunction:
    """What decodes for a device with the example's options."""
    if not example.options:
        return decoder.decode
    assert decoder.configure is not None
    return decoder.configure(example.options)


def readings_in(result: list[Reading] | Decoded) -> list[Reading]:
    return result.readings if isinstance(result, Decoded) else result


def test_every_shipped_file_loads() -> None:
    assert LOADED.problems == ()
    assert len(DECODERS) == len([path for path in shipped_folder().glob("*.py") if not path.name.startswith("_")])


@pytest.mark.parametrize(("decoder", "example"), EXAMPLES, ids=IDS)
def test_example_gives_what_it_says(decoder: Decoder, example: Example) -> None:
    payload = bytes.fromhex(example.payload)
    decode = function_for(decoder, example)
    if example.fails:
        with pytest.raises(example.fails) as caught:
            decode(payload, example.fport)
        assert type(caught.value) is example.fails
        assert list(caught.value.kept) == list(example.gives)
    else:
        assert readings_in(decode(payload, example.fport)) == list(example.gives)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_decoder_shows_two_good_payloads_and_a_bad_one(decoder: Decoder) -> None:
    assert len([example for example in decoder.examples if not example.fails and example.gives]) >= 2
    assert any(example.fails for example in decoder.examples)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_decoder_is_named_after_its_file_and_says_where_its_layout_is_from(decoder: Decoder) -> None:
    assert Path(decoder.origin).stem == decoder.name.replace("-", "_")
    assert decoder.vendor and decoder.model and decoder.source


@pytest.mark.parametrize("decoder", [d for d in DECODERS if d.configure], ids=lambda decoder: decoder.name)
def test_decoder_with_options_shows_them_and_names_an_unknown_one(decoder: Decoder) -> None:
    assert decoder.configure is not None
    assert any(example.options for example in decoder.examples)
    with pytest.raises(ConfigError, match="'no-such-option'"):
        decoder.configure({"no-such-option": 1})


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_decoder_imports_only_the_standard_library_lora_post_and_what_it_depends_on(decoder: Decoder) -> None:
    required = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    libraries = {re.split(r"[^A-Za-z0-9_-]", requirement)[0] for requirement in required}
    tree = ast.parse(Path(decoder.origin).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in names}
    assert roots <= sys.stdlib_module_names | {"lora_post"} | libraries
    ours = {name for name in names if name.split(".")[0] == "lora_post"}
    assert ours <= {"lora_post"} | PAYLOADS, "docs/decoders.md says what a decoder may import"


def test_page_names_everything_that_a_decoder_may_import() -> None:
    page = (DOCS / "decoders.md").read_text(encoding="utf-8")
    section = page.partition("## What a decoder file may import\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert named - {"lora_post", "unit"} == set(lora_post.__all__) | {name.rpartition(".")[2] for name in PAYLOADS}


@given(
    which=st.sampled_from(GOOD),
    flips=st.lists(st.tuples(st.integers(0, 255), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 255),
    fport=st.sampled_from([0, 1, 2, 85]),
)
def test_damaged_payload_gives_sound_readings_or_a_decode_error(
    which: tuple[Decoder, Example], flips: list[tuple[int, int]], cut: int, fport: int
) -> None:
    decoder, example = which
    payload = bytearray.fromhex(example.payload)
    for position, mask in flips:
        if payload:
            payload[position % len(payload)] ^= mask
    if cut < len(payload):
        del payload[cut:]
    decode = function_for(decoder, example)
    try:
        readings = readings_in(decode(bytes(payload), fport if cut % 2 else example.fport))
    except DecodeError as error:
        readings = list(error.kept)
        assert str(error).isprintable()
        assert len(str(error)) < 200
    assert isinstance(readings, list)
    for reading in readings:
        assert is_sound(reading)


def is_sound(reading: Reading) -> bool:
    return (
        isinstance(reading, Reading)
        and reading.name != ""
        and (reading.unit == "" or reading.unit in UNITS)
        and is_finite(reading.value)
    )


def is_finite(value: Value) -> bool:
    if isinstance(value, dict):
        return all(is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(is_finite(item) for item in value)
    return isinstance(value, str) or isfinite(value)
