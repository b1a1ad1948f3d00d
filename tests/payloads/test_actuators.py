from __future__ import annotations

import pytest

from lora_post.decoding.loading import load_shipped
from lora_post.errors import DecodeError
from lora_post.payloads.actuators import encode_lpp, encode_text, encode_xlpp


@pytest.mark.parametrize(
    ("name", "value", "payload"),
    [
        ("switch_0", True, "008e01"),
        ("actuator_switch_0", False, "008e00"),
        ("bool_3", True, "0336"),
        ("bool_3", 0, "0337"),
        ("digital_out_1", True, "010101"),
        ("analog_out_2", 3.5, "0203015e"),
        ("integer_4", 300, "0433d804"),
        ("integer_4", -1, "043301"),
        ("string_5", "ok", "05346f6b00"),
        ("temperature_0", 23.5, "006700eb"),
        ("colour0", "#ffaa00", "0087ffaa00"),  # as Waziup/WaziDev: examples/LoRaWAN/DHT_RGB-LED has it
        ("colour_0", [255, 170, 0], "0087ffaa00"),
        ("colour_0", {"r": 255, "g": 170, "b": 0}, "0087ffaa00"),
        ("gps_1", {"latitude": 42.3519, "longitude": -87.9094, "altitude": 10}, "018806765ff2960a0003e8"),
        ("unix_time_1", 1_700_000_000, "01856553f100"),
        ("binary_2", "AQID", "023903010203"),
    ],
)
def test_xlpp_value_is_encoded(name: str, value: object, payload: str) -> None:
    fport, made = encode_xlpp({name: value})
    assert (fport, made.hex()) == (100, payload)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("switch", True, "'switch' is not the name of an actuator; write its type and channel, as switch_0"),
        ("switch_251", True, "'switch_251' is not the name of an actuator"),
        ("lamp_0", True, "lamp_0: 'lamp' is not a type of value for an actuator; known are "),
        ("switch_0", "on", "switch_0 is 'on', want a number"),
        ("switch_0", 300, "switch_0 is 300, which does not fit"),
        ("analog_out_0", float("inf"), "analog_out_0 is inf, which does not fit"),
        ("integer_0", 2**63, "integer_0 is 9223372036854775808, want a whole number"),
        ("bool_0", None, "bool_0 is None, want true or false"),
        ("string_0", "a\0b", "string_0 is 'a\\x00b', want a text without NUL"),
        ("binary_0", "x", "binary_0 is 'x', want base64"),
        ("colour_0", "red", "colour_0 is 'red'; write a colour as"),
        ("colour_0", [256, 0, 0], "colour_0 is"),
        ("gps_0", {"latitude": 1}, "gps_0.longitude is None, want a number"),
        ("gps_0", {"latitude": 1, "longitude": 2, "altitude": 1e6}, "gps_0.altitude is 1000000.0, which does not fit"),
        ("gps_0", 1, "gps_0 is 1; write"),
    ],
)
def test_xlpp_value_that_makes_no_sense_is_refused(name: str, value: object, text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        encode_xlpp({name: value})
    assert str(caught.value).startswith(text)


def test_lpp_values_have_no_types() -> None:
    assert encode_lpp({"digital_out_1": True, "analog_out_2": -3.5}) == (None, bytes.fromhex("01 0064 02 fea2 ff"))


def test_text_is_sent_as_it_is() -> None:
    assert encode_text({"text": "BUZZ ü"}) == (None, b"BUZZ \xc3\xbc")
    for values in ({"text": 1}, {}, {"text": "a", "b": 1}):
        with pytest.raises(DecodeError, match="want one text"):
            encode_text(values)


def test_xlpp_values_come_back_as_they_were() -> None:
    values = {"switch_0": 1, "integer_4": -70000, "string_5": "ok", "temperature_9": -1.2, "bool_7": False}
    _, payload = encode_xlpp(values)
    found = load_shipped({"xlpp"}).decoders["xlpp"].decode(payload, 100)
    assert isinstance(found, list)
    assert {reading.name: reading.value for reading in found} == values
