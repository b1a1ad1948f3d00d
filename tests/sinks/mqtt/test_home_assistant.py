"""Home Assistant's discovery messages: what its documentation allows, and when a real broker gets them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

import lora_post
from lora_post.config import load_config
from lora_post.errors import ConfigError, SinkError, Unavailable
from lora_post.model import Device, Link
from lora_post.sinks.mqtt import MqttConfig
from lora_post.sinks.mqtt.home_assistant import CLASS_UNITS, CLASSES, sensor_discovery, to_topic_word
from lora_post.sinks.mqtt.sink import MqttSink
from lora_post.spool.model import Lane
from lora_post.units import UNITS
from lora_post.waziup.kinds import ontology
from tests.support.broker import Listener, listener, mosquitto
from tests.support.command import wait_until
from tests.support.mqtt_sink import LANE, batch, settings, site
from tests.support.paths import DOCS
from tests.support.ports import free_port
from tests.support.waziup import CuttingProxy

POND = Device("pond-7", "Pond, north end", Link.LORAWAN, 1, "cayenne-lpp")

# home-assistant.io, sensor: "The following device classes are supported"; the units that LoRa sensors may have.
ALLOWED = {
    "atmospheric_pressure": "cbar bar hPa mmHg inHg kPa mbar Pa psi",
    "battery": "%",
    "carbon_dioxide": "ppm",
    "carbon_monoxide": "ppm",
    "conductivity": "S/cm mS/cm µS/cm",
    "current": "A mA",
    "distance": "km m cm mm mi nmi yd in",
    "duration": "d h min s ms µs",
    "energy": "J kJ MJ GJ mWh Wh kWh MWh GWh TWh cal kcal Mcal Gcal",
    "frequency": "Hz kHz MHz GHz",
    "humidity": "%",
    "illuminance": "lx",
    "irradiance": "W/m² BTU/(h⋅ft²)",
    "moisture": "%",
    "nitrogen_dioxide": "µg/m³",
    "ozone": "µg/m³",
    "ph": "",
    "power": "mW W kW MW GW TW",
    "precipitation": "cm in mm",
    "precipitation_intensity": "in/d in/h mm/d mm/h",
    "pressure": "Pa kPa hPa bar cbar mbar mmHg inHg psi",
    "reactive_power": "var kvar",
    "signal_strength": "dB dBm",
    "sound_pressure": "dB dBA",
    "speed": "ft/s in/d in/h in/s km/h kn m/s mph mm/d mm/s",
    "sulphur_dioxide": "µg/m³",
    "temperature": "°C °F K",
    "volatile_organic_compounds": "µg/m³ mg/m³",
    "volatile_organic_compounds_parts": "ppm ppb",
    "voltage": "V mV µV kV MV",
    "weight": "kg g mg µg oz lb st",
    "wind_speed": "Beaufort ft/s km/h kn m/s mph",
}


def message(lane: Lane = LANE, value: object = 27.2) -> dict[str, Any]:
    made = sensor_discovery("homeassistant", lane, "Pond", "gw1", "lora/x", json.dumps(value).encode())
    assert made is not None
    return {"topic": made.topic, **json.loads(made.payload)}


def lane(name: str, unit: str = "", quantity: str = "") -> Lane:
    return Lane(1, "pond-7", name, unit, quantity, None)


def test_number_says_all_that_the_documentation_asks_of_a_sensor() -> None:
    assert message() == {
        "topic": "homeassistant/sensor/pond-7/temperature_3/config",
        "name": "temperature_3",
        "unique_id": "lora-post/pond-7/temperature_3",
        "state_topic": "lora/x",
        "value_template": "{{ value_json.value }}",
        "unit_of_measurement": "°C",
        "device_class": "temperature",
        "state_class": "measurement",
        "device": {"identifiers": ["lora-post/pond-7"], "name": "Pond", "via_device": "lora-post/gateway/gw1"},
        "origin": {"name": "lora-post", "sw_version": lora_post.__version__},
    }


def test_true_or_false_is_a_binary_sensor_and_a_text_has_neither_unit_nor_statistics() -> None:
    door = message(lane("door"), value=True)
    assert door["topic"] == "homeassistant/binary_sensor/pond-7/door/config"
    assert door["device_class"] == "door"
    assert door["value_template"] == "{{ 'ON' if value_json.value else 'OFF' }}"
    text = message(lane("state", unit="V"), value="open")
    assert text["topic"] == "homeassistant/sensor/pond-7/state/config"
    for about in (door, text):
        assert not {"unit_of_measurement", "state_class"} & about.keys()


@pytest.mark.parametrize("value", [{"latitude": 5.3, "longitude": -4.0}, [1, 2]])
def test_position_or_list_is_not_introduced(value: object) -> None:
    assert sensor_discovery("homeassistant", LANE, "Pond", "gw1", "lora/x", json.dumps(value).encode()) is None


@pytest.mark.parametrize("unit", ["", *UNITS])
def test_device_class_has_a_unit_that_home_assistant_allows(unit: str) -> None:
    for quantity in ontology().quantity_kinds:
        about = message(lane("x", unit, quantity.id))
        shown = about.get("unit_of_measurement", "")
        if name := about.get("device_class"):
            assert shown in ALLOWED[name].split(" "), (quantity.id, name)
        if name == "energy":  # the only one of ALLOWED that must be a total
            assert about["state_class"] == "total_increasing"


def test_every_class_can_be_reached_and_every_quantity_exists() -> None:
    known = {quantity.id for quantity in ontology().quantity_kinds}
    assert set(CLASSES) <= known
    reached = {
        message(lane("x", unit, quantity)).get("device_class") for quantity in CLASSES for unit in ("", *UNITS)
    } - {None}
    assert reached == set(CLASS_UNITS) == set(ALLOWED)


@pytest.mark.parametrize(
    ("name", "unit", "device_class", "shown"),
    [
        ("battery", "%", "battery", "%"),
        ("battery", "V", "voltage", "V"),
        ("battery", "", None, None),
        ("current", "µA", None, "µA"),
        ("noise", "dB(A)", "sound_pressure", "dBA"),
        ("ph", "pH", "ph", None),
        ("rssi", "dBm", "signal_strength", "dBm"),
        ("weight", "t", None, "t"),
    ],
)
def test_units_are_spelled_as_home_assistant_does(
    name: str, unit: str, device_class: str | None, shown: str | None
) -> None:
    about = message(lane(name, unit))
    assert (about.get("device_class"), about.get("unit_of_measurement")) == (device_class, shown)


def test_wind_direction_gets_no_mean() -> None:
    assert "state_class" not in message(lane("wind_direction", "°"))


@given(st.lists(st.text(), min_size=2, max_size=6, unique=True))
def test_any_name_is_a_word_that_home_assistant_takes_and_no_two_are_the_same(names: list[str]) -> None:
    words = [to_topic_word(name) for name in names]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", word) for word in words)
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("names", [("a.b", "a--2eb"), ("-.", "--2e", ".-"), ("--", "---", "-", "--2d", "---2d")])
def test_escapes_cannot_be_forged(names: tuple[str, ...]) -> None:
    assert len({to_topic_word(name) for name in names}) == len(names)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[int, Listener]]:
    port = free_port()
    with mosquitto(tmp_path, port), listener(port) as heard:
        yield port, heard


def config(port: int, **changes: object) -> MqttConfig:
    return settings(port, discovery_prefix="homeassistant", retain=True, **changes)


def topics(heard: Listener, count: int) -> list[str]:
    wait_until(lambda: len(heard.messages) >= count, f"fewer than {count} messages")
    return [message.topic for message in heard.messages]


PONDS = ["homeassistant/sensor/pond-7/temperature_3/config", "lora/pond-7/temperature_3"]
GATEWAY = "homeassistant/sensor/gw1/lora-post/config"


def test_each_sensor_is_introduced_once_before_its_first_reading_and_the_gateway_before_all(
    broker: tuple[int, Listener],
) -> None:
    port, heard = broker
    sink = MqttSink(config(port), site("gw1", POND))
    humidity = lane("humidity_4", "%")
    for values in (batch(1), batch(2, start=1), batch(55, lane=humidity), batch(56, start=1, lane=humidity)):
        sink.send(values)
    sink.close()
    assert topics(heard, 7) == [
        *(GATEWAY, *PONDS, PONDS[1]),
        *("homeassistant/sensor/pond-7/humidity_4/config", "lora/pond-7/humidity_4", "lora/pond-7/humidity_4"),
    ]
    gateway, pond = (json.loads(message.payload) for message in heard.messages[:2])
    assert pond["device"]["name"] == "Pond, north end"
    assert [pond["device"]["via_device"]] == gateway["device"]["identifiers"]
    assert pond["state_topic"] == heard.messages[2].topic
    assert gateway["state_topic"] == heard.messages[0].topic  # so its state is there as soon as it is
    assert gateway["device"]["name"] == "The gw1"


def test_whoever_comes_later_finds_all_of_it_and_the_last_value(broker: tuple[int, Listener]) -> None:
    sink = MqttSink(config(broker[0]), site("gw1", POND))
    sink.send(batch(1, 2))
    sink.close()
    with listener(broker[0]) as late:
        assert sorted(topics(late, 3)) == sorted([GATEWAY, *PONDS])
        assert all(message.retain for message in late.messages)


def test_a_new_unit_or_kind_is_told_and_what_was_set_up_as_another_kind_is_removed(
    broker: tuple[int, Listener],
) -> None:
    port, heard = broker
    sink = MqttSink(config(port), site("gw1", POND))
    for about, value in ((lane("t", "°C"), 20), (lane("t", "K"), 293), (lane("t"), True)):
        sink.send(batch(value, lane=about))
    sink.close()
    number, binary, state = (
        *("homeassistant/sensor/pond-7/t/config", "homeassistant/binary_sensor/pond-7/t/config", "lora/pond-7/t"),
    )
    assert topics(heard, 8) == [GATEWAY, number, state, number, state, number, binary, state]
    assert json.loads(heard.messages[3].payload)["unit_of_measurement"] == "K"
    assert heard.messages[5].payload == b""


def test_a_broker_that_comes_back_is_told_again(tmp_path: Path) -> None:
    port = free_port()
    sink = MqttSink(config(port), site("gw1", POND))
    for number in (1, 2):
        with mosquitto(tmp_path, port), listener(port) as heard:
            sink.send(batch(number, start=number))
            assert topics(heard, 3) == [GATEWAY, *PONDS]
        with pytest.raises(SinkError):
            sink.send(batch(9))
    sink.close()


def test_nothing_is_sent_when_the_introduction_is_not_acknowledged(broker: tuple[int, Listener]) -> None:
    port, heard = broker
    proxy = CuttingProxy(f"mqtt://127.0.0.1:{port}")
    sink = MqttSink(config(int(proxy.url.rpartition(":")[2])), site("gw1", POND))
    try:
        sink.send(batch(1))
        proxy.answers_to_take = 1
        with pytest.raises(Unavailable, match="was lost"):
            sink.send(batch(55, lane=lane("humidity_4", "%")))
        sink.send(batch(55, lane=lane("humidity_4", "%")))
        assert topics(heard, 7)[-1] == "lora/pond-7/humidity_4"
        assert topics(heard, 7).count("lora/pond-7/humidity_4") == 1
    finally:
        sink.close()
        proxy.close()


def test_filter_in_the_docs_takes_back_what_a_device_has_announced(broker: tuple[int, Listener]) -> None:
    found = re.search(r"--remove-retained -t '(\S+)'", (DOCS / "destinations.md").read_text("utf-8"))
    assert found
    sink = MqttSink(config(broker[0]), site("gw1", POND))
    for about, value in ((LANE, 20), (lane("door"), True), (Lane(2, "pond-8", "t", "", "", None), 1)):
        sink.send(batch(value, lane=about))
    sink.close()
    announced = {topic for topic in topics(broker[1], 7) if topic.endswith("/config")}
    assert len(announced) == 4
    assert {topic for topic in announced if topic_matches_sub(found[1], topic)} == {
        topic for topic in announced if "pond-7" in topic
    }


def test_size_of_a_message_is_as_the_docs_say() -> None:
    found = re.search(r"Announcing a sensor costs (\d+) to (\d+) bytes", (DOCS / "destinations.md").read_text("utf-8"))
    assert found
    sizes = []
    for about, value in ((LANE, 20), (lane("door"), True), (lane("relative_humidity_12", "%"), 1), (lane("a"), "text")):
        made = sensor_discovery(
            "homeassistant", about, POND.name, "farm-gateway-1", topic_of(about), json.dumps(value).encode()
        )
        assert made
        sizes.append(len(made.topic) + len(made.payload))
    assert int(found[1]) <= min(sizes) <= max(sizes) <= int(found[2])


def topic_of(about: Lane) -> str:
    return f"lora/{about.device}/{about.name}"


def write(folder: Path, lines: str) -> Path:
    path = folder / "lora-post.toml"
    path.write_text(f'[gateway]\nid = "gw1"\n[mqtt]\nurl = "mqtt://127.0.0.1"\n{lines}\n')
    return path


@pytest.mark.parametrize(
    ("lines", "prefix", "retain"),
    [
        ("", "", False),
        ("home_assistant = false", "", False),
        ("home_assistant = true", "homeassistant", True),
        ('home_assistant = "home/ha"', "home/ha", True),
    ],
)
def test_configuration_names_the_prefix(tmp_path: Path, lines: str, prefix: str, retain: bool) -> None:
    settings_of = load_config(write(tmp_path, lines)).destinations["mqtt"]
    assert isinstance(settings_of, MqttConfig)
    assert (settings_of.discovery_prefix, settings_of.retain) == (prefix, retain)


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('home_assistant = ""', "home_assistant is ''"),
        ('home_assistant = "a/+"', "home_assistant is 'a/\\+'"),
        ("home_assistant = 1", "home_assistant is a whole number"),
        ('home_assistant = true\ntopic = "all/{device}"', "topic is the same for several sensors"),
    ],
)
def test_configuration_that_home_assistant_cannot_use_is_refused(tmp_path: Path, lines: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        load_config(write(tmp_path, lines))
