"""A name in `drop`, `only` or a sensor table that no sensor has is told; one that may be right is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.decoding.loading import load_decoder, load_shipped
from lora_post.decoding.unmatched import unmatched
from lora_post.model import SensorRule
from tests.support.build import device
from tests.support.command import run
from tests.support.in_process import lora_post

SHIPPED = load_shipped(["cayenne-lpp", "json", "dragino-lht65", "milesight-am107"]).decoders
CODEC = 'function decodeUplink(i) { return { data: { temperature: i.bytes[0], battery: 3.1, firmware: "1.2" } }; }'


@pytest.mark.parametrize(
    ("decoder", "name", "is_told"),
    [
        ("dragino-lht65", "temprature", True),
        ("dragino-lht65", "temp*", False),
        ("dragino-lht65", "*humidity", False),
        ("cayenne-lpp", "temperature_9", False),
        ("cayenne-lpp", "temperature", True),
        ("cayenne-lpp", "gps_*", False),
        ("cayenne-lpp", "temprature_*", True),
        ("json", "anything", False),
        ("not-there", "anything", False),
    ],
)
@pytest.mark.parametrize("key", ["only", "drop", "sensors"])
def test_name_that_no_sensor_has_is_told(decoder: str, name: str, is_told: bool, key: str) -> None:
    rules = {"only": (name,), "drop": (name,), "sensors": (SensorRule(name, drop=True),)}
    found = list(unmatched(device(decoder=decoder, **{key: rules[key]}), SHIPPED))
    assert bool(found) is is_told
    assert all(repr(name) in slip.problem.what and "temperature" in slip.problem.fix for slip in found)


def test_nothing_is_told_where_another_decoder_of_the_device_may_give_any_name() -> None:
    two = device(decoder="dragino-lht65", decoder_by_fport={7: "json"}, drop=("temprature",))
    assert list(unmatched(two, SHIPPED)) == []


def test_codec_is_asked_by_its_published_examples(tmp_path: Path) -> None:
    path = tmp_path / "probe.js"
    path.write_text(CODEC)
    typo = device(decoder="probe", drop=("batery", "temp*"), only=("firmware",))
    assert list(unmatched(typo, {"probe": load_decoder(path)})) == []
    output = '{"data": {"temperature": 21, "battery": 3.1, "firmware": "1.2"}}'
    examples = f'[{{"input": {{"bytes": [21], "fPort": 2}}, "output": {output}}}]'
    (tmp_path / "probe.examples.json").write_text(examples)
    (slip,) = unmatched(typo, {"probe": load_decoder(path)})
    assert (slip.problem.what.partition(",")[0], slip.problem.fix) == ("drop has 'batery'", "did you mean 'battery'?")


def test_run_and_check_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site.toml").write_text(
        '[gateway]\nid = "gw1"\n[[input]]\nurl = "file:/dev/null"\n[[device]]\naddress = 6\nid = "barn"\n'
        'decoder = "cayenne-lpp"\ndrop = ["temprature_*"]\n'
    )
    assert "barn: drop has 'temprature_*', and no example" in lora_post("check", "-c", "site.toml", "--offline").out
    assert b"device=barn: drop has 'temprature_*'" in run("run", "-c", "site.toml", "--dry-run").stderr
