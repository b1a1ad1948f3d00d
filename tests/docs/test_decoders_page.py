"""docs/decoders.md: its decoder passes its own examples, its sensor table fits the README's site."""

from __future__ import annotations

import re
from pathlib import Path

from lora_post.config import parse_config
from lora_post.decoding.examples import check_decoder
from lora_post.decoding.loading import load_decoder
from lora_post.decoding.time_limit import TimeLimit
from lora_post.model import Reading
from lora_post.service.units import Place, units
from tests.docs.markdown import named
from tests.support.paths import DOCS, ROOT

PAGE = DOCS / "decoders.md"


def test_sensor_table_fits_the_site_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "waziup.password").write_text("secret")
    (tmp_path / "waziup.password").chmod(0o600)
    site = named(ROOT / "README.md", "site")
    site = site.replace('name = "Pond 7"\n', 'name = "Pond 7"\n\n' + named(PAGE, "sensor"))
    (rule,) = parse_config(site, tmp_path / "site.toml", {}).devices[0].sensors
    assert (rule.name, rule.rename) == ("temperature_3", "water_temperature")


def test_decoder_passes_its_own_examples(tmp_path: Path) -> None:
    path = tmp_path / "example_soil_probe.py"
    path.write_text(named(PAGE, "decoder"), "utf-8")
    decoder = load_decoder(path)
    good, bad = decoder.examples
    assert decoder.decode(bytes.fromhex(good.payload), good.fport) == list(good.gives)
    assert bad.fails is not None
    assert decoder.decode(b"\xf5\x7f\xff", 2) == [Reading("battery_voltage", 2.45, "V")]


def test_examples_of_a_codec_are_read_as_the_page_says(tmp_path: Path) -> None:
    codec = """function decodeUplink(input) {
      if (input.variables.probe !== "soil" || input.recvTime.getUTCHours() !== 12) return { errors: ["other"] };
      return { data: { battery: input.bytes[0] / 100, soil_temperature: 23 } };
    }"""
    (tmp_path / "probe.js").write_text(codec)
    (tmp_path / "probe.examples.json").write_text(named(PAGE, "examples"))
    decoder = load_decoder(tmp_path / "probe.js")
    assert [example.payload for example in decoder.examples] == ["f508fc", "f5"]
    with TimeLimit() as watch:
        assert check_decoder(decoder, watch) == []


def test_pause_before_a_service_is_started_again_is_that_of_the_unit() -> None:
    text = '[gateway]\nid = "gw1"\n[[input]]\nurl = "udp://:1700"\n'
    path = Path("/etc/lora-post/lora-post.toml")
    made = units(parse_config(text, path, {}), Place(Path("/opt/lora-post/bin/lora-post"), path))["lora-post.service"]
    (seconds,) = re.findall(r"(?m)^RestartSec=(\d+)s$", made)
    assert f"a service is back after {seconds} seconds" in PAGE.read_text("utf-8")
