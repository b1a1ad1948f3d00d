"""What the README shows is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from lora_post.cli import LazyGroup
from lora_post.config import parse_config
from lora_post.decoding.loading import load_decoder
from lora_post.model import Reading
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def block(name: str) -> str:
    """The fenced block behind `<!-- name -->`."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md has no block {name}"
    return found[1]


def test_site_of_the_readme_is_a_valid_configuration(tmp_path: Path) -> None:
    (tmp_path / "waziup.password").write_text("secret")
    (tmp_path / "waziup.password").chmod(0o600)
    config = parse_config(block("site"), tmp_path / "site.toml", {})
    assert [device.id for device in config.devices] == ["pond-7", "farm-gateway-1-6"]
    assert config.warnings == ()


def test_sensor_table_of_the_readme_fits_its_site(tmp_path: Path) -> None:
    (tmp_path / "waziup.password").write_text("secret")
    site = block("site").replace('name = "Pond 7"\n', 'name = "Pond 7"\n\n' + block("sensor"))
    (rule,) = parse_config(site, tmp_path / "site.toml", {}).devices[0].sensors
    assert (rule.name, rule.rename) == ("temperature_3", "water_temperature")


def test_decoder_of_the_readme_passes_its_own_examples(tmp_path: Path) -> None:
    path = tmp_path / "example_soil_probe.py"
    path.write_text(block("decoder"), "utf-8")
    decoder = load_decoder(path)
    good, bad = decoder.examples
    assert decoder.decode(bytes.fromhex(good.payload), good.fport) == list(good.gives)
    assert bad.fails is not None
    assert decoder.decode(b"\xf5\x7f\xff", 2) == [Reading("battery_voltage", 2.45, "V")]


def test_every_command_is_in_the_readme() -> None:
    missing = [name for name in LazyGroup.modules if f"lora-post {name}" not in README]
    assert missing == []
