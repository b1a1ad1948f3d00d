"""A codec's own values and its normalised ones, each once: codecs in the shape of published ones, run by the engine."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.decoding.javascript.host import Codec
from lora_post.model import Decoded
from lora_post.payloads.flatten import flatten_normalized

RECEIVED_S = 1_778_746_530.0

# Values of two bytes behind a tag, as some makers of room sensors send them; only the first three are normalised.
ROOM = """
    var NAMES = ["temperature", "humidity", "light", "co2", "motion", "open", "vdd"];
    function decodeUplink(input) {
      var data = {};
      for (var i = 0; i + 2 < input.bytes.length; i += 3) {
        var value = (input.bytes[i + 1] << 8) | input.bytes[i + 2];
        var name = NAMES[input.bytes[i]];
        if (name === "temperature") value = (value > 32767 ? value - 65536 : value) / 10;
        data[name] = name === "open" ? value > 0 : value;
      }
      return { data: data };
    }
    function normalizeUplink(input) {
      var air = {}, action = {}, data = {};
      if (input.data.temperature) air.temperature = input.data.temperature;
      if (input.data.humidity) air.relativeHumidity = input.data.humidity;
      if (input.data.light) air.lightIntensity = input.data.light;
      if (input.data.motion) action.motion = { detected: input.data.motion > 0, count: input.data.motion };
      if (input.data.open) action.contact = input.data.open;
      if (Object.keys(air).length) data.air = air;
      if (Object.keys(action).length) data.action = action;
      if (input.data.vdd) data.battery = input.data.vdd / 1000;
      return { data: data };
    }
    """
# Two probes, of which the second is a measurement of its own.
PROBES = """
    function decodeUplink(input) {
      var data = { TempC_DS: input.bytes[1], TempC_SHT: input.bytes[0], Hum_SHT: input.bytes[2], Ext: "probe" };
      if (input.bytes[1] === 255) delete data.TempC_DS;
      return { data: data };
    }
    function normalizeUplink(input) {
      var all = [{ air: { temperature: input.data.TempC_SHT, relativeHumidity: input.data.Hum_SHT } }];
      if (input.data.TempC_DS) all.push({ air: { temperature: input.data.TempC_DS } });
      return { data: all };
    }
    """
SOIL = """
    function decodeUplink(input) {
      var b = input.bytes;
      return { data: { Bat: b[0] / 10, water_SOIL: b[1].toFixed(2), conduct_SOIL: b[2] * 10 } };
    }
    function normalizeUplink(input) {
      var soil = { moisture: Number(input.data.water_SOIL), ec: input.data.conduct_SOIL / 1000 };
      return { data: { soil: soil, battery: input.data.Bat } };
    }
    """
WIND = """
    var directions = ["N", "E", "S", "W"];
    var degrees = { N: 0, E: 90, S: 180, W: 270 };
    function decodeUplink(input) {
      return { data: { direction: directions[input.bytes[0]], speed: input.bytes[1] } };
    }
    function normalizeUplink(input) {
      return { data: { wind: { speed: input.data.speed * 0.5144, direction: degrees[input.data.direction] } } };
    }
    """
STORED = """
    function decodeUplink(input) {
      return { data: { at: 1778746000 + input.bytes[0], temp: input.bytes[1], mode: 3 } };
    }
    function normalizeUplink(input) {
      return { data: { time: new Date(input.data.at * 1000).toISOString(), air: { temperature: input.data.temp } } };
    }
    """


def decoded(text: str, payload: bytes) -> Decoded:
    answer = Codec(dedent(text)).call(payload, 1, "", RECEIVED_S)
    return flatten_normalized(answer.data, answer.normalized, answer.trials)


def named(text: str, payload: bytes) -> dict[str, object]:
    found = decoded(text, payload)
    assert not found.warnings
    return {reading.name: reading.value for reading in found.readings}


def tagged(**values: int) -> bytes:
    names = ["temperature", "humidity", "light", "co2", "motion", "open", "vdd"]
    return b"".join(
        bytes((names.index(name),)) + value.to_bytes(2, "big", signed=value < 0) for name, value in values.items()
    )


def test_what_is_not_normalised_is_kept_by_its_own_name() -> None:
    assert named(ROOM, tagged(temperature=226, humidity=41, light=39, co2=518, vdd=3592)) == {
        "air.temperature": 22.6,
        "air.relativeHumidity": 41,
        "air.lightIntensity": 39,
        "battery": 3.592,
        "co2": 518,
    }


def test_zeros_that_a_codec_does_not_normalise_keep_the_normalised_name() -> None:
    assert named(ROOM, tagged(temperature=0, humidity=0, light=0, open=0)) == {
        "air.temperature": 0,
        "air.relativeHumidity": 0,
        "air.lightIntensity": 0,
        "action.contact": False,
    }


def test_number_is_told_by_a_number_not_by_a_yes() -> None:
    assert named(ROOM, tagged(motion=7)) == {"action.motion.detected": True, "action.motion.count": 7}
    assert named(ROOM, tagged(open=1)) == {"action.contact": True}


@pytest.mark.parametrize("temperature", [-10, -1, 1, 10, 20, 1000])
def test_no_value_hides_where_another_came_from(temperature: int) -> None:
    found = named(ROOM, tagged(temperature=temperature, humidity=abs(temperature), light=1, co2=1))
    assert list(found) == ["air.temperature", "air.relativeHumidity", "air.lightIntensity", "co2"]


def test_second_probe_keeps_its_own_name_whatever_the_values_are() -> None:
    for inside, outside in ((21, 5), (21, 21), (5, 21)):
        assert named(PROBES, bytes((inside, outside, 50))) == {
            "air.temperature": inside,
            "air.relativeHumidity": 50,
            "TempC_DS": outside,
            "Ext": "probe",
        }
    assert list(named(PROBES, bytes((21, 255, 50)))) == ["air.temperature", "air.relativeHumidity", "Ext"]


def test_scaled_and_spelled_values_are_found() -> None:
    assert named(SOIL, bytes((36, 22, 45))) == {"soil.moisture": 22, "soil.ec": 0.45, "battery": 3.6}
    assert named(WIND, bytes((1, 42))) == {"wind.speed": pytest.approx(21.6048), "wind.direction": 90}


def test_time_of_the_one_measurement_is_that_of_all_its_values() -> None:
    found = decoded(STORED, bytes((30, 21)))
    assert [(reading.name, reading.value, reading.at_s) for reading in found.readings] == [
        ("air.temperature", 21, 1778746030.0),
        ("mode", 3, 1778746030.0),
    ]


def test_what_is_told_by_another_name_is_said() -> None:
    found = decoded(ROOM, tagged(temperature=226))
    assert [(left.name, left.why) for left in found.left_out] == [("temperature", "is air.temperature")]


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.integers(-400, 850),
        "humidity": st.integers(0, 100),
        "light": st.integers(0, 3000),
        "co2": st.integers(400, 5000),
        "motion": st.integers(1, 255),
        "open": st.integers(0, 1),
        "vdd": st.integers(1, 3600),
    },
)
IDS = {
    "temperature": {"air.temperature"},
    "humidity": {"air.relativeHumidity"},
    "light": {"air.lightIntensity"},
    "co2": {"co2"},
    "motion": {"action.motion.detected", "action.motion.count"},
    "open": {"action.contact"},
    "vdd": {"battery"},
}


@given(values=VALUES)
def test_ids_follow_from_what_is_measured_and_from_nothing_else(values: dict[str, int]) -> None:
    wanted = set().union(*(IDS[name] for name in values))
    assert set(named(ROOM, tagged(**values))) == wanted


@given(payload=st.binary(max_size=24))
def test_any_payload_loses_nothing(payload: bytes) -> None:
    found = decoded(ROOM, payload)
    answer = Codec(dedent(ROOM)).call(payload, 1, "", RECEIVED_S)
    told = {left.name for left in found.left_out}
    names = {reading.name for reading in (*found.readings, *found.metadata)}
    for name, value in answer.data.items():
        assert value is None or (name == "undefined") or name in names or name in told
