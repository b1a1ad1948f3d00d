from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.cli.options import load_all_decoders, read_decoding
from lora_post.config import parse_config
from lora_post.decoding.plugins import load_plugins
from lora_post.decoding.time_limit import TimeLimit
from tests.support.in_process import lora_post

MODULE = """
from lora_post import Decoder, Example, Reading
def decode(payload, fport):
    return [Reading("x", 1)]
DECODER = Decoder({name!r}, decode, "Kijani", "SM-3", "rev. 1.2", [Example("00", gives=[Reading("x", 1)])])
OTHER = 5
"""


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
    loaded = load_plugins()
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
    ],
)
def test_broken_package_is_reported_and_the_others_load(packages: Path, text: str, entry: str, why: str) -> None:
    module = packages.parent.name  # another for each test: imports are remembered
    install(packages, module, text, entry.format(module=module))
    install(packages, "kijani_d", MODULE.format(name="good"), "good = kijani_d")
    loaded = load_plugins()
    assert list(loaded.decoders) == ["good"]
    (problem,) = loaded.problems
    assert problem.startswith(f"{module} 1.2: {module}")
    assert why in problem


def test_second_package_with_the_same_decoder_is_reported(packages: Path) -> None:
    install(packages, "kijani_e", MODULE.format(name="same"), "same = kijani_e")
    install(packages, "kijani_f", MODULE.format(name="same"), "same = kijani_f")
    loaded = load_plugins()
    assert loaded.decoders["same"].origin == "kijani_e 1.2: kijani_e"
    assert loaded.problems == ("kijani_f 1.2: kijani_f: the name 'same' is taken by kijani_e 1.2: kijani_e",)
