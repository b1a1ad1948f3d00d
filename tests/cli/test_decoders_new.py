"""`lora-post decoders new` and `lora-post decoders test`."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lora_post.decoding.loading import load_decoder
from tests.support.in_process import Ran, harmless, lora_post
from tests.support.paths import ROOT

PROJECT = ROOT / "pyproject.toml"
TOOLS = Path(sys.executable).parent
SITE = '[gateway]\nid = "gw1"\n[decoders]\nfolder = "own"\n'


@pytest.fixture(autouse=True)
def no_other_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))


def changed(*replacements: tuple[str, str]) -> Ran:
    """Test the skeleton with some of its text replaced."""
    lora_post("decoders", "new", "probe", "--folder", ".")
    text = Path("probe.py").read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    Path("probe.py").write_text(text)
    return lora_post("decoders", "test", "probe.py")


# new


def test_new_decoder_is_written_into_the_configured_folder_and_passes() -> None:
    Path("lora-post.toml").write_text(SITE)
    ran = lora_post("decoders", "new", "kijani-sm3")
    assert ran.code == 0
    path = Path("own/kijani_sm3.py")
    decoder = load_decoder(path)
    assert decoder.name == "kijani-sm3"
    assert len([example for example in decoder.examples if not example.fails]) >= 2
    assert any(example.fails for example in decoder.examples)
    assert 'use       decoder = "kijani-sm3" in a [[device]]' in ran.out
    assert lora_post("decoders", "test", "kijani-sm3") == (0, "ok    kijani-sm3: 5 examples\n", "")
    assert "own/kijani_sm3.py" in lora_post("decoders").out


def test_new_codec_is_written_with_its_examples_and_passes() -> None:
    Path("lora-post.toml").write_text(SITE)
    ran = lora_post("decoders", "new", "kijani-sm3", "--js")
    assert ran.code == 0
    assert ran.out.startswith("written   own/kijani-sm3.js\nwritten   own/kijani-sm3.examples.json\n")
    assert 'use       decoder = "kijani-sm3" in a [[device]]' in ran.out
    assert lora_post("decoders", "test", "kijani-sm3") == (0, "ok    kijani-sm3: 3 examples\n", "")
    Path("own/kijani-sm3.js").unlink()
    ran = lora_post("decoders", "new", "kijani-sm3", "--js")
    assert ran.code == 2 and "kijani-sm3.examples.json is there already" in ran.err
    assert not Path("own/kijani-sm3.js").exists()


@pytest.mark.parametrize(("first", "second"), [((), ("--js",)), (("--js",), ())])
def test_name_of_a_file_in_the_other_language_is_taken(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    assert lora_post("decoders", "new", "kijani-sm3", "--folder", "own", *first).code == 0
    there = set(Path("own").iterdir())
    ran = lora_post("decoders", "new", "kijani-sm3", "--folder", "own", *second)
    assert ran.code == 2 and "is there already; choose another name" in ran.err
    assert set(Path("own").iterdir()) == there


@pytest.mark.parametrize("language", [(), ("--js",)])
def test_commands_that_new_shows_work(language: tuple[str, ...]) -> None:
    for folder in (".", "sub/folder", str(Path.cwd() / "with blank")):
        for command in shown(folder, *language):
            program, *arguments = shlex.split(command)
            ran = lora_post(*arguments)
            assert (program, ran.code) == ("lora-post", 0), ran.err
        assert "temperature" in ran.out


def test_commands_that_new_shows_work_in_a_shell() -> None:
    for command in shown("with blank"):
        found = subprocess.run(
            ["sh", "-c", command], env={"PATH": f"{TOOLS}:/usr/bin:/bin"}, capture_output=True, check=False
        )
        assert found.returncode == 0, found.stderr
    assert b"temperature" in found.stdout


def shown(folder: str, *language: str) -> list[str]:
    """The two commands that `new` shows for a new decoder in a folder."""
    out = lora_post("decoders", "new", "probe", "--folder", folder, *language).out
    first, second = (line.split(None, 1)[1] for line in out.splitlines() if "lora-post" in line)
    return [first, second]


@pytest.mark.long  # mypy takes its time; that the new file works is shown above
def test_new_decoder_is_as_clean_as_a_shipped_one() -> None:
    lora_post("decoders", "new", "a-decoder-with-a-rather-long-name-of-many-words-indeed", "--folder", ".")
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "--strict"]):
        option = "--config-file" if command[0] == "mypy" else "--config"
        found = subprocess.run(
            [TOOLS / command[0], *command[1:], option, PROJECT, *Path().glob("*.py")], capture_output=True, check=False
        )
        assert found.returncode == 0, found.stdout


def test_existing_file_is_not_overwritten() -> None:
    Path("probe.py").write_text("mine")
    ran = lora_post("decoders", "new", "probe", "--folder", ".")
    assert ran.code == 2
    assert "probe.py is there already" in ran.err
    assert Path("probe.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["Probe", "a_b", "../probe", "a b", "", "-a", "a--b", "x" * 61, "é", 'a"b'])
def test_name_that_cannot_be_a_decoder_s_is_refused(name: str) -> None:
    ran = lora_post("decoders", "new", "--folder", ".", "--", name)
    assert ran.code == 2
    assert "cannot be a decoder's name; take small letters, digits and dashes" in ran.err
    assert list(Path().iterdir()) == []


def test_without_a_folder_the_message_says_how_to_name_one() -> None:
    ran = lora_post("decoders", "new", "probe")
    assert ran.code == 2
    assert 'add [decoders] folder = "…" to the configuration, or --folder DIR' in ran.err


def test_folder_that_cannot_be_made_is_named() -> None:
    Path("file").write_text("")
    ran = lora_post("decoders", "new", "probe", "--folder", "file/sub")
    assert ran.code == 2
    assert "file/sub/probe.py: Not a directory" in ran.err


# test


def test_difference_is_shown_by_reading_with_what_was_expected_and_got() -> None:
    ran = changed(
        ('Reading("battery_voltage", 3.25, "V")', 'Reading("battery_voltage", 3.5, "V")'),
        ('                Reading("temperature", 23.0, "°C"),\n', ""),
        ('Reading("relative_humidity", 31.0, "%")', 'Reading("relative_humidity", 31.0, "%", 3), Reading("x", "a")'),
    )
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "FAIL  probe: 1 of 5 examples (probe.py)",
        "  example 1: payload 01 7D 08FC 0C1C, FPort 2",
        "    battery_voltage            expected 3.5 V    got 3.25 V",
        "    relative_humidity channel  expected 3        got None",
        '    x                          expected "a"      got nothing',
        "    temperature                expected nothing  got 23.0 °C",
    ]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("fails=WrongLength)", "fails=WrongFormat)", "expected WrongFormat, got WrongLength: 4 bytes, want 6"),
        ("fails=WrongLength)", ")", "expected no error, got WrongLength: 4 bytes, want 6"),
        ('fails=Implausible),\n        Example("02', '), Example("02', "expected no error, got Implausible"),
        ("0C1C", "0C1D", "relative_humidity  expected 31.0 %  got 31.01 %"),
        ('Example("01 7D 08FC"', 'Example("1"', "the payload is not hex"),
        (
            "    if len(payload)",
            "    return payload[99]\n    if len(payload)",
            "got DecoderCrash: IndexError: index out",
        ),
        ("    if len(payload)", "    return None\n    if len(payload)", "got DecoderCrash: returned a NoneType"),
        (
            "humidity / 100,",
            "float('nan'),",
            "a reading that cannot be used: the value of 'relative_humidity' is nan",
        ),
        ("return readings", "return readings[::-1]", "the order differs: got relative_humidity, temperature, battery"),
        ('Example(\n            "01 7D', 'Example(\n            options={"a": 1}, payload="01 7D', "has no options"),
        ('Example("01 7D 08FC", fport=2, fails=WrongLength)', "5", "it is of type int, want an Example"),
    ],
)
def test_what_does_not_come_true_is_told(old: str, new: str, complaint: str) -> None:
    ran = changed((old, new))
    assert ran.code == 1
    assert ran.out.startswith("FAIL  probe: ")
    assert complaint in ran.out


def test_example_with_options_is_decoded_with_them() -> None:
    configure = (
        "    decode=decode,\n    configure=lambda options: lambda payload, fport: [Reading('x', options['a'])],\n"
    )
    example = 'examples=[\n        Example("00", options={"a": 5}, gives=[Reading("x", 5)]),'
    assert changed(("    decode=decode,\n", configure), ("examples=[", example)).code == 0


def test_decoder_without_examples_fails() -> None:
    ran = changed(("examples=[", "examples=[] and ["))
    assert ran.code == 1
    assert "it shows no example, so nothing says that it works" in ran.out


def test_file_that_cannot_be_loaded_fails() -> None:
    Path("broken.py").write_text("1 / 0")
    ran = lora_post("decoders", "test", "broken.py")
    assert (ran.code, ran.out) == (1, "FAIL  broken.py: ZeroDivisionError: division by zero\n")


def test_without_a_name_all_are_tested_and_one_failure_counts() -> None:
    Path("own").mkdir()
    Path("own/broken.py").write_text("1 / 0")
    Path("lora-post.toml").write_text(SITE)
    Path("no-captures").mkdir()
    ran = lora_post("decoders", "test", "--fixtures", "no-captures")
    assert ran.code == 1
    assert "FAIL  own/broken.py: ZeroDivisionError" in ran.out
    assert "ok    text: " in ran.out


def test_unknown_name_is_told_with_what_there_is() -> None:
    ran = lora_post("decoders", "test", "zzz")
    assert ran.code == 2
    assert "there is no decoder 'zzz'; known are " in ran.err


def test_names_and_values_cannot_command_the_terminal() -> None:
    escape = 'Reading("battery_voltage\\x1b[2J", "\\x1b[2J", "\\x1b[2J")'
    ran = changed(('Reading("battery_voltage", (200 + battery) / 100, "V")', escape))
    assert ran.code == 1
    assert harmless(ran.out)
    assert harmless(lora_post("decoders", "test", "probe.py", FORCE_COLOR="1").out)
