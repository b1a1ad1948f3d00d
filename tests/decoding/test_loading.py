from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.cli._options import load_all_decoders, read_decoding
from lora_post.config import parse_config
from lora_post.decoding.loading import LoadedDecoders, combined, load_folder, load_installed, shipped_folder
from lora_post.decoding.time_limit import TimeLimit
from lora_post.errors import Problem
from tests.support.in_process import lora_post

MODULE = """
from lora_post import Decoder, Example, Reading
def decode(payload, fport):
    return [Reading("x", 1)]
DECODER = Decoder({name!r}, decode, "Kijani", "SM-3", "rev. 1.2", [Example("00", gives=[Reading("x", 1)])])
OTHER = 5
"""


# Files

GOOD_FILE = """
from lora_post import Decoder, Reading
def decode(payload, fport):
    return [Reading("x", {value})]
DECODER = Decoder(name="{name}", vendor="v", model="m", source="s", decode=decode, examples=[])
"""


def write(folder: Path, file: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / file
    path.write_text(text, encoding="utf-8")
    return path


def value_of(loaded: LoadedDecoders, name: str) -> object:
    return loaded.decoders[name].decode(b"", 0)[0].value


def test_every_file_gives_its_decoder_and_says_where_it_is_from(tmp_path: Path) -> None:
    path = write(tmp_path, "kijani.py", GOOD_FILE.format(name="kijani-sm3", value=1))
    write(tmp_path, "_helper.py", "raise RuntimeError('not a decoder file')")
    write(tmp_path, "notes.txt", "not Python")
    loaded = load_folder(tmp_path)
    assert list(loaded.decoders) == ["kijani-sm3"]
    assert loaded.decoders["kijani-sm3"].origin == str(path)
    assert loaded.problems == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def decode(:", "broken.py: SyntaxError in line 1 of broken.py: invalid syntax: def decode(:"),
        ("x = 1\n  y = 2", "broken.py: IndentationError in line 2 of broken.py: unexpected indent: y = 2"),
        ("raise SyntaxError", "SyntaxError"),
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("", "no DECODER"),
        ("DECODER = 5", "DECODER is an int, want a Decoder"),
        (GOOD_FILE.format(name="", value=1), "DECODER needs a name and a function to decode"),
        ("\0", "source code string cannot contain null bytes"),
    ],
)
def test_file_that_fails_is_reported_and_the_others_load(tmp_path: Path, text: str, why: str) -> None:
    path = write(tmp_path, "broken.py", text)
    write(tmp_path, "good.py", GOOD_FILE.format(name="good", value=1))
    loaded = load_folder(tmp_path)
    assert list(loaded.decoders) == ["good"]
    (problem,) = loaded.problems
    assert problem.what.startswith(f"{path}: ")
    assert why in problem.what


OLD_IMPORTS = [
    ("import lora_post.lpp", "lora_post.lpp is lora_post.payloads.lpp now"),
    ("from lora_post.lpp import decode", "lora_post.lpp is lora_post.payloads.lpp now"),
    ("from lora_post import flatten", "lora_post.flatten is lora_post.payloads.flatten now"),
    ("from lora_post.vendor_formats.tagged import Item", "lora_post.vendor_formats is lora_post.payloads now"),
    ("from lora_post import vendor_formats", "lora_post.vendor_formats is lora_post.payloads now"),
]


@pytest.mark.parametrize(("text", "where"), OLD_IMPORTS, ids=[text for text, _ in OLD_IMPORTS])
def test_old_import_names_the_new_place(tmp_path: Path, text: str, where: str) -> None:
    path = write(tmp_path, "old.py", text)
    (problem,) = load_folder(tmp_path).problems
    assert problem.what.startswith(f"{path}: ")
    assert problem.fix == f"{where} (docs/decoders.md says what decoders may import)"


def test_two_files_of_one_folder_with_one_name_are_reported(tmp_path: Path) -> None:
    first = write(tmp_path, "a.py", GOOD_FILE.format(name="same", value=1))
    second = write(tmp_path, "b.py", GOOD_FILE.format(name="same", value=2))
    loaded = load_folder(tmp_path)
    assert value_of(loaded, "same") == 1
    assert loaded.problems == (Problem(f"{second}: the name 'same' is taken by {first}"),)


def test_later_folder_replaces_a_decoder_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path / "shipped", "same.py", GOOD_FILE.format(name="same", value=1))
    write(tmp_path / "shipped", "other.py", GOOD_FILE.format(name="other", value=1))
    mine = write(tmp_path / "mine", "same.py", GOOD_FILE.format(name="same", value=2))
    loaded = combined(load_folder(tmp_path / "shipped"), load_folder(tmp_path / "mine"))
    assert value_of(loaded, "same") == 2
    assert value_of(loaded, "other") == 1
    assert loaded.decoders["same"].origin == str(mine)
    assert loaded.problems == ()


def test_broken_file_of_a_later_folder_leaves_the_shipped_one(tmp_path: Path) -> None:
    write(tmp_path / "shipped", "same.py", GOOD_FILE.format(name="same", value=1))
    write(tmp_path / "mine", "same.py", "1 / 0")
    loaded = combined(load_folder(tmp_path / "shipped"), load_folder(tmp_path / "mine"))
    assert value_of(loaded, "same") == 1
    assert len(loaded.problems) == 1


def test_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    loaded = load_folder(tmp_path / "nowhere")
    assert loaded.decoders == {}
    assert loaded.problems == (Problem(f"{tmp_path / 'nowhere'}: No such file or directory"),)


def test_decoder_file_may_define_a_dataclass(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
    write(tmp_path, "data.py", text + GOOD_FILE.format(name="data", value=1))
    assert load_folder(tmp_path).problems == ()


def test_shipped_folder_has_the_formats_of_every_gateway() -> None:
    assert {"cayenne-lpp", "text"} <= set(load_folder(shipped_folder()).decoders)


# Packages


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where packages are installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))
    return folder


def install(packages: Path, package: str, text: str, *entries: str) -> None:
    """What pip leaves behind after it has installed a package of one module."""
    (packages / f"{package}.py").write_text(text)
    info = packages / f"{package}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[lora_post.decoders]\n" + "\n".join(entries) + "\n")


def test_installed_package_adds_a_decoder_by_module_or_by_object(packages: Path) -> None:
    install(packages, "kijani_a", MODULE.format(name="by-module"), "one = kijani_a")
    install(packages, "kijani_b", MODULE.format(name="by-object"), "two = kijani_b:DECODER")
    loaded = load_installed()
    origins = {name: decoder.origin for name, decoder in loaded.decoders.items()}
    assert origins == {"by-module": "kijani_a 1.2: kijani_a", "by-object": "kijani_b 1.2: kijani_b:DECODER"}
    assert loaded.problems == ()
    line = next(line for line in lora_post("decoders").out.splitlines() if line.startswith("by-module "))
    assert "kijani_a 1.2: kijani_a" in line
    assert lora_post("decoders", "test", "by-object").out == "ok    by-object: 1 example\n"


def test_installed_decoder_goes_before_a_shipped_one_and_after_the_configured_folder(packages: Path) -> None:
    install(packages, "kijani_c", MODULE.format(name="text"), "text = kijani_c")
    assert load_all_decoders(None).decoders["text"].vendor == "Kijani"
    Path("own").mkdir()
    Path("own/text.py").write_text(MODULE.format(name="text").replace("Kijani", "Mine"))
    config = parse_config(
        '[gateway]\nid = "g"\n[decoders]\nfolder = "own"\n[[device]]\naddress = 6\ndecoder = "text"\n',
        Path("x.toml"),
        {},
    )
    assert load_all_decoders(config).decoders["text"].vendor == "Mine"
    with TimeLimit() as watch:
        assert callable(read_decoding(config, watch))


@pytest.mark.parametrize(
    ("text", "entry", "why"),
    [
        ("1 / 0", "x = {module}", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(1)", "x = {module}", "SystemExit: 1"),
        ("", "x = {module}", "no DECODER"),
        (MODULE.format(name="x"), "x = {module}:OTHER", "DECODER is an int, want a Decoder"),
        (MODULE.format(name="x"), "x = {module}:MISSING", "AttributeError: "),
        (MODULE.format(name="x"), "x = {module}.inside", "ModuleNotFoundError: "),
        (MODULE.format(name=""), "x = {module}", "DECODER needs a name"),
        ("import lora_post.lpp", "x = {module}", "lora_post.lpp is lora_post.payloads.lpp now"),
    ],
)
def test_broken_package_is_reported_and_the_others_load(packages: Path, text: str, entry: str, why: str) -> None:
    module = packages.parent.name  # another for each test: imports are remembered
    install(packages, module, text, entry.format(module=module))
    install(packages, "kijani_d", MODULE.format(name="good"), "good = kijani_d")
    loaded = load_installed()
    assert list(loaded.decoders) == ["good"]
    (problem,) = loaded.problems
    assert problem.what.startswith(f"{module} 1.2: {module}")
    assert why in str(problem)


def test_second_package_with_the_same_decoder_is_reported(packages: Path) -> None:
    install(packages, "kijani_e", MODULE.format(name="same"), "same = kijani_e")
    install(packages, "kijani_f", MODULE.format(name="same"), "same = kijani_f")
    loaded = load_installed()
    assert loaded.decoders["same"].origin == "kijani_e 1.2: kijani_e"
    taken = "kijani_f 1.2: kijani_f: the name 'same' is taken by kijani_e 1.2: kijani_e"
    assert loaded.problems == (Problem(taken),)
