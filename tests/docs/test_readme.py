"""What the README shows is what the program does."""

from __future__ import annotations

from pathlib import Path

from lora_post.cli import LazyGroup
from lora_post.config import parse_config
from tests.docs.markdown import named
from tests.support.paths import ROOT

README = ROOT / "README.md"


def test_site_of_the_readme_is_a_valid_configuration(tmp_path: Path) -> None:
    (tmp_path / "waziup.password").write_text("secret")
    (tmp_path / "waziup.password").chmod(0o600)
    config = parse_config(named(README, "site"), tmp_path / "site.toml", {})
    assert [device.id for device in config.devices] == ["pond-7", "farm-gateway-1-6"]
    assert config.warnings == ()


def test_every_command_is_in_the_readme() -> None:
    text = README.read_text("utf-8")
    assert [name for name in LazyGroup.modules if f"lora-post {name}" not in text] == []
