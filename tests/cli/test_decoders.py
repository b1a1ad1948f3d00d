from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.decoding.loading import load_folder, shipped_folder
from tests.support.command import run
from tests.support.in_process import COLOUR, harmless, lora_post

MINE = (
    "from lora_post import Decoder, Example, Reading\n"
    "def decode(payload, fport):\n    return [Reading('x', 1)]\n"
    "EXAMPLE = Example('00', gives=[Reading('x', 1)])\n"
    "DECODER = Decoder({name!r}, decode, 'Me', 'Mine 1', 'my notebook, page 3', [EXAMPLE])\n"
)


CODEC = "function decodeUplink(i) { return { data: { temperature: (i.bytes[0] << 8 | i.bytes[1]) / 100 } }; }"


@pytest.fixture(autouse=True)
def no_other_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))


def own(name: str, file: str = "mine.py", text: str = MINE) -> Path:
    """A configuration with a folder of its own that holds one decoder."""
    Path("own").mkdir(exist_ok=True)
    Path("own", file).write_text(text.format(name=name))
    path = Path("site.toml")
    path.write_text('[gateway]\nid = "gw1"\n[decoders]\nfolder = "own"\n')
    return path


def test_every_shipped_decoder_is_one_line_with_its_origin_examples_and_source() -> None:
    ran = lora_post("decoders")
    shipped = load_folder(shipped_folder()).decoders
    lines = ran.out.splitlines()
    assert (ran.code, ran.err, len(lines)) == (0, "", len(shipped))
    for line, (name, decoder) in zip(lines, sorted(shipped.items()), strict=True):
        assert line.split("  ")[0] == name
        count = len(decoder.examples)
        for text in (decoder.vendor, decoder.model, "  shipped  ", f"  {count} example", decoder.source):
            assert text in line


def test_decoder_of_the_configured_folder_is_listed_with_its_path() -> None:
    ran = lora_post("decoders", "-c", own("mine"))
    (line,) = [line for line in ran.out.splitlines() if line.startswith("mine ")]
    assert [cell.strip() for cell in line.split("  ") if cell.strip()][1:] == [
        "Me",
        "Mine 1",
        "own/mine.py",
        "1 example",
        "my notebook, page 3",
    ]


def test_decoder_of_the_configured_folder_replaces_a_shipped_one_of_its_name() -> None:
    (line,) = [line for line in lora_post("decoders", "-c", own("text")).out.splitlines() if line.startswith("text ")]
    assert "own/mine.py" in line


def test_default_configuration_is_used_when_it_is_there() -> None:
    own("mine").rename("lora-post.toml")
    assert "own/mine.py" in lora_post("decoders").out


def test_file_that_cannot_be_loaded_is_reported_on_stderr(tmp_path: Path) -> None:
    own("mine", "broken.py", "DECODER = 5\n")
    found = run("decoders", "-c", "site.toml", cwd=tmp_path)
    assert found.returncode == 0
    assert b"broken.py" not in found.stdout
    assert b"decoder skipped: own/broken.py: DECODER is" in found.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("old", "hangs", "said"),
    [
        ("return [Reading('x', 1)]", "while True: pass", "got DecoderHang: no result in 2 s (mine.py line "),
        ("EXAMPLE =", "while True: pass\nEXAMPLE =", "mine.py: took longer than 2 s to load"),
    ],
)
def test_file_that_hangs_is_ended(old: str, hangs: str, said: str) -> None:
    own("mine", text=MINE.replace(old, hangs))
    ran = lora_post("decoders", "test", "own/mine.py")
    assert ran.code == 1
    assert said in ran.out


def test_file_that_is_not_there_is_called_so() -> None:
    assert lora_post("decoders", "test", "mine.py").out == "FAIL  there is no file mine.py\n"


@pytest.mark.parametrize("command", ["decoders test", "decoders try", "decode --payload 00 --decoder"])
@pytest.mark.parametrize("folder", [".", "own", "./own/"])
def test_folder_in_place_of_a_file_is_called_so_with_its_files(command: str, folder: str) -> None:
    for path in (Path("probe.js"), Path("own/probe.js")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(CODEC)
    ran = lora_post(*command.split(), folder)
    assert ran.code != 0
    assert f"{Path(folder)} is a folder; name one of its files: probe.js" in ran.out + ran.err


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("probe.js", CODEC),
        ("probe.py", MINE.replace("[EXAMPLE]", "[]").replace("'x', 1", "'temperature', 28.85, '°C'")),
    ],
)
def test_file_without_an_example_is_told_how_one_is_written(file: str, text: str) -> None:
    Path(file).write_text(text.replace("{name!r}", "'probe'"))
    ran = lora_post("decoders", "test", file)
    _, _, how = ran.out.partition("      fix: ")
    assert (ran.code, how[:5]) == (1, "write" if file == "probe.js" else "give ")
    if file == "probe.js":
        name, _, example = how.removeprefix("write ").partition(": ")
        Path(name).write_text(example)
    else:
        example = how.removeprefix("give DECODER examples=").strip()
        Path(file).write_text(text.replace("{name!r}", "'probe'").replace("[])", f"{example})"))
    assert lora_post("decoders", "test", file).out == "ok    probe: 1 example\n"


def test_decoder_with_fields_of_the_wrong_type_is_reported_and_not_listed(caplog: pytest.LogCaptureFixture) -> None:
    ran = lora_post("decoders", "-c", own("mine", text=MINE.replace("'Me'", "5")))
    assert ran.code == 0
    assert "mine" not in ran.out
    assert "needs texts for vendor, model and source" in caplog.text


def test_terminal_gets_a_table_with_headers() -> None:
    out = lora_post("decoders", FORCE_COLOR="1", COLUMNS="200").out
    assert harmless(out)
    for header in ("Name", "Vendor", "Model", "From", "Examples", "Source"):
        assert header in out.splitlines()[0]


@pytest.mark.parametrize("width", [60, 80, 120, 160, 200, 300])
def test_no_name_is_broken_on_a_terminal_of_any_width(width: int) -> None:
    shipped = load_folder(shipped_folder()).decoders.values()
    lines = COLOUR.sub("", lora_post("decoders", FORCE_COLOR="1", COLUMNS=str(width)).out).splitlines()
    names = {line.split(" ")[0] for line in lines}
    assert {decoder.name for decoder in shipped} <= names
    words = {word for line in lines for word in line.split()}
    for decoder in shipped:
        assert {*decoder.vendor.split(), *decoder.model.split()} <= words
    assert max(map(len, lines)) <= width
    assert " ".join(lines[:3]).split()[:2] == ["Name", "Vendor"]


def test_named_configuration_with_a_mistake_ends_it() -> None:
    Path("site.toml").write_text("[gatway]\n")
    assert lora_post("decoders", "-c", "site.toml").code == 2
