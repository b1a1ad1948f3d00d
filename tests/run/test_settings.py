"""From a value that was set to a command in the spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from lora_post.command import Fate, Moment
from lora_post.config import parse_config
from lora_post.errors import ConfigError
from lora_post.run import settings
from lora_post.run.settings import SettingQueue
from lora_post.sinks.watch import Setting
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile

NOW = Moment(1_772_366_400_000_000, "this boot", 60_000_000)
KEYS = f'nwk_skey = "{"11" * 16}"\napp_skey = "{"22" * 16}"\n'
CONFIG = (
    '[gateway]\nid = "gw1"\n[network]\nregion = "EU868"\n[json_lines]\npath = "-"\n[spool]\npath = "spool.db"\n'
    f'[[device]]\nid = "valve"\ndecoder = "xlpp"\ndev_addr = "26011bda"\n{KEYS}'
    '[[device.actuator]]\nname = "pump"\nport = 7\npayloads = { on = "0101", true = "02" }\n'
    'confirmed = true\nexpires = "10min"\n'
    f'[[device]]\nid = "buzzer"\ndecoder = "text"\ndev_addr = "26011bdb"\n{KEYS}'
    '[[device.actuator]]\nname = "text"\nport = 9\n'
    '[[device]]\nid = "old"\ndecoder = "text"\naddress = 6\n'
)


class Place:
    def __init__(self, folder: Path) -> None:
        self.spool_file = SpoolFile(folder / "spool.db")
        self.queue = SettingQueue(self.spool_file, parse_config(CONFIG, folder / "lora-post.toml", {}), lambda: NOW)

    def put(self, device: str, actuator: str, value: object) -> tuple[int, str, Fate]:
        self.queue.put(Setting(device, actuator, value))
        last = downlinks.load(self.spool_file)[-1]
        return last.fport, last.payload.hex(), last.fate


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    with closing(place.spool_file):
        yield place


def test_devices_that_can_be_sent_to_are_looked_at(place: Place) -> None:
    assert place.queue.devices() == ["valve", "buzzer", "old"]


@pytest.mark.parametrize(
    ("device", "actuator", "value", "fport", "payload"),
    [
        ("valve", "pump", "on", 7, "0101"),
        ("valve", "pump", True, 7, "02"),
        ("valve", "actuator_switch_2", True, 100, "028e01"),
        ("valve", "colour_0", "#ffaa00", 100, "0087ffaa00"),
        ("buzzer", "text", "BUZZ", 9, "42555a5a"),
        ("old", "text", "/@L2#", 1, b"/@L2#".hex()),
    ],
)
def test_value_becomes_bytes(device: str, actuator: str, value: object, fport: int, payload: str, place: Place) -> None:
    assert place.put(device, actuator, value) == (fport, payload, Fate.QUEUED)


def test_rule_of_the_actuator_holds(place: Place) -> None:
    place.put("valve", "pump", "on")
    (command,) = downlinks.load(place.spool_file)
    assert (command.is_confirmed, command.life_s, command.actuator, command.value) == (
        True,
        600.0,
        "pump",
        {"pump": "on"},
    )


@pytest.mark.parametrize(
    ("device", "actuator", "value", "why"),
    [
        ("valve", "pump", "half", "refused: xlpp: 'pump' is not the name of an actuator"),
        ("valve", "switch_0", "on", "refused: xlpp: switch_0 is 'on', want a number"),
        ("buzzer", "volume", 5, "refused: text: want one text"),
    ],
)
def test_value_that_makes_no_sense_is_refused_and_leaves_the_older_one(
    device: str, actuator: str, value: object, why: str, place: Place
) -> None:
    place.put("valve", "pump", "on")
    assert place.put(device, actuator, value)[2] is Fate.REFUSED
    older, refused = downlinks.load(place.spool_file)
    assert older.fate is Fate.QUEUED and refused.steps[-1].text.startswith(why)


def test_device_that_is_not_configured_is_left_out(place: Place) -> None:
    place.queue.put(Setting("gone", "pump", "on"))
    assert downlinks.load(place.spool_file) == []


NESTED: object = 1
for _ in range(200):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        NESTED,
        10**300,
        -1e308,
        float("inf"),
        float("nan"),
        "\x00\x1b[2J",
        "<script>",
        {"": {"a": []}},
        [],
    ],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.parametrize("actuator", ["text", "pump", "switch_0", "colour_0"])
def test_hostile_value_costs_only_itself(actuator: str, value: object, place: Place) -> None:
    for device in ("valve", "buzzer"):
        place.put(device, actuator, value)
    place.put("valve", "pump", "on")
    *_, last = commands = downlinks.load(place.spool_file)
    assert last.payload == b"\x01\x01" and last.fate is Fate.QUEUED
    assert all(len(each.payload) <= 242 for each in commands)
    assert sum(len(msgspec.json.encode(each)) for each in commands) < 20_000


@pytest.mark.parametrize("actuator", ["a\nb", "\x1b[2J", "x" * 101, "\u202e"])
def test_actuator_with_a_strange_name_is_none(actuator: str, place: Place) -> None:
    place.queue.put(Setting("valve", actuator, True))
    assert downlinks.load(place.spool_file) == []


def test_decoder_that_cannot_be_loaded_holds_up_no_other_value(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ConfigError("decoders/: it cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(settings, "payload_of", broken)
        assert place.put("valve", "pump", "on")[2] is Fate.REFUSED
    assert place.put("valve", "pump", "on")[2] is Fate.QUEUED
