"""Values that are set on a WaziGate for devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lora_post.config import parse_config
from lora_post.errors import ConfigError, SinkError
from lora_post.sinks.watch import Setting
from lora_post.sinks.wazigate import WazigateConfig
from lora_post.sinks.wazigate.client import WazigateClient
from lora_post.sinks.wazigate.set_values import GateSetValues
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from tests.support.wazigate import Gate, wazigate

DEVICES = ["pond-7", "valve"]


@pytest.fixture
def gate() -> Iterator[Gate]:
    with wazigate() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as store:
        yield store


def watch(gate: Gate, store: SpoolFile) -> GateSetValues:
    return GateSetValues(WazigateClient(gate.url, None), Facts(store, "set gate"), 10.0)


def set_(gate: Gate, value: object, minute: int = 0, actuator: str = "pump") -> None:
    gate.actuators["pond-7"] = [{"id": actuator, "name": "P", "time": f"2026-03-01T12:{minute:02}:00Z", "value": value}]


def looked(found: GateSetValues) -> list[Any]:
    settings = list(found.look(DEVICES))
    for each in settings:
        found.taken(each)
    return [each.value for each in settings]


def test_first_sight_is_no_command_and_what_is_set_then_is_one(gate: Gate, store: SpoolFile) -> None:
    gate.actuators["valve"] = None
    set_(gate, True)
    with closing(watch(gate, store)) as found:
        assert looked(found) == []
        assert looked(found) == []
        set_(gate, False, 1)
        assert list(found.look(DEVICES)) == [Setting("pond-7", "pump", False)]
        assert looked(found) == [False]  # the first was not taken
        assert looked(found) == []
        set_(gate, False, 2)
        assert looked(found) == [False]
        set_(gate, None, 3)
        assert looked(found) == []
    set_(gate, 5, 4)
    with closing(watch(gate, store)) as again:  # after a restart
        assert looked(again) == [5]


@pytest.mark.parametrize("value", ["x" * 2000, [[1] * 600]])
def test_what_no_frame_holds_is_left_out(gate: Gate, store: SpoolFile, value: object) -> None:
    set_(gate, 1)
    with closing(watch(gate, store)) as found:
        assert looked(found) == []
        set_(gate, value, 1)
        assert looked(found) == []


def test_actuator_that_stands_there_twice_is_one(gate: Gate, store: SpoolFile) -> None:
    set_(gate, 1)
    with closing(watch(gate, store)) as found:
        assert looked(found) == []
        gate.actuators["pond-7"] = [{"id": "pump", "value": 2}, {"id": "pump", "value": 3}]
        assert looked(found) == [3]
        assert looked(found) == []


def test_answers_that_are_none_are_errors_of_the_server(gate: Gate, store: SpoolFile) -> None:
    with closing(watch(gate, store)) as found:
        assert looked(found) == []  # it has no such devices
        gate.actuators["pond-7"] = [{"id": 5}]
        with pytest.raises(SinkError, match="no list of them"):
            list(found.look(DEVICES))
        gate.trouble.append(("actuators", 500, False))
        with pytest.raises(SinkError):
            list(found.look(DEVICES))


@pytest.mark.parametrize("broken", DEVICES)
def test_device_that_cannot_be_read_holds_up_no_other(gate: Gate, store: SpoolFile, broken: str) -> None:
    good = next(each for each in DEVICES if each != broken)
    gate.actuators[broken] = [{"id": 5}]
    seen = []
    with closing(watch(gate, store)) as found:
        for value in (1, 2):
            gate.actuators[good] = [{"id": "pump", "value": value}]
            with pytest.raises(SinkError, match=f"actuators of {broken}: no list of them"):
                for setting in found.look(DEVICES):
                    seen.append(setting)
    assert seen == [Setting(good, "pump", 2)]


def test_it_is_configured(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = '[gateway]\nid = "gw1"\n[wazigate]\nactuators = "10s"\n[[input]]\nurl = "udp://127.0.0.1:1700"\n'
    config = parse_config(f'{text}[network]\nregion = "EU868"\n', path, {})
    settings = config.destinations["wazigate"]
    assert isinstance(settings, WazigateConfig) and settings.look_every_s == 10.0
    with pytest.raises(ConfigError, match=r"\[wazigate\] actuators needs \[network\]"):
        parse_config(text, path, {})
    with pytest.raises(ConfigError, match=r"\[wazigate\] actuators is '1s'"):
        parse_config(text.replace("10s", "1s") + '[network]\nregion = "EU868"\n', path, {})
