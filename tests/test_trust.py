"""Code and configuration that somebody else could change are refused, by every command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lora_post.config import load_config
from lora_post.decoding.loading import load_decoder
from lora_post.errors import ConfigError, DecoderCrash
from tests.support.in_process import lora_post

SOMEBODY = 65534
CONFIG = '[gateway]\nid = "gw1"\n[decoders]\nfolder = "own"\n'
DECODER = """
from pathlib import Path
from lora_post import Decoder, Reading
Path(__file__).with_name("has_run").touch()
DECODER = Decoder("mine", lambda payload, fport: [Reading("x", 1)], "v", "m", "s", [])
"""
CODEC = "function Decode(p, b) { return {}; }"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(params=["mine.py", "mine.js"])
def decoder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "lora-post.toml").write_text(CONFIG)
    path = tmp_path / "own" / request.param
    path.write_text(DECODER if path.suffix == ".py" else CODEC)
    return path


@pytest.mark.parametrize("mode", [0o020, 0o002])
@pytest.mark.parametrize("up", [0, 1, 2])
def test_decoder_that_others_may_write_or_replace_is_not_loaded(decoder: Path, up: int, mode: int) -> None:
    open_to_others = [decoder, *decoder.parents][up]
    before = open_to_others.stat().st_mode
    open_to_others.chmod(before | mode)
    with pytest.raises(DecoderCrash, match="is not loaded: others may write to") as refused:
        load_decoder(decoder)
    assert refused.value.fix == f"run: chmod go-w {open_to_others}"
    assert not decoder.with_name("has_run").exists()
    open_to_others.chmod(before)
    assert load_decoder(decoder).name == "mine"


@as_root
@pytest.mark.parametrize("up", [0, 1, 2])
def test_decoder_of_somebody_else_is_not_loaded(decoder: Path, up: int) -> None:
    os.chown([decoder, *decoder.parents][up], SOMEBODY, SOMEBODY)
    with pytest.raises(DecoderCrash, match="belongs to user 65534"):
        load_decoder(decoder)
    assert not decoder.with_name("has_run").exists()


@as_root
@pytest.mark.parametrize("words", [["check", "--offline"], ["decode", "--payload", "00"], ["decoders"]])
def test_commands_of_root_run_nothing_from_the_folder_of_somebody_else(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text(DECODER)
    (tmp_path / "lora-post.toml").write_text(CONFIG)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
    ran = lora_post(*words)
    assert not (tmp_path / "own" / "has_run").exists()
    assert "belongs to user 65534, who could change it" in ran.out + ran.err + caplog.text


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
def test_configuration_with_secrets_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "lora-post.toml"
    path.write_text('[gateway]\nid = "gw1"\n[waziup]\nusername = "a@b.org"\npassword = "secret"\n')
    path.chmod(mode)
    with pytest.raises(ConfigError, match="it holds secrets, and others may write to") as refused:
        load_config(path)
    assert f"run: chmod go-w {path}" in str(refused.value)
    assert 'secret"' not in str(refused.value)
    path.chmod(0o600)
    load_config(path)


def test_folder_with_sticky_bit_is_a_place_for_files_of_ones_own(decoder: Path) -> None:
    decoder.parents[1].chmod(0o1777)
    assert load_decoder(decoder).name == "mine"
    shutil.rmtree(decoder.parent)
