"""A new decoder file to start from: complete, and its examples pass."""

from __future__ import annotations

import re

from lora_post.errors import ConfigError

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_NAME = 60

_TEMPLATE = '''"""@NAME@: temperature, humidity, battery.

An invented layout, to be replaced by the maker's. Six bytes on FPort 2, big-endian:

    VV BB TT TT HH HH

    V  u8   payload version, always 1
    B  u8   battery, 10 mV a step above 2.00 V
    T  i16  temperature, 0.01 °C;        7FFF = sensor fault
    H  u16  relative humidity, 0.01 %;   FFFF = sensor fault

A sensor with a fault loses only its own reading, never the whole frame.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, Reading, WrongFormat, WrongLength

LAYOUT = Struct(">BBhH")
TEMPERATURE_FAULT = 0x7FFF
HUMIDITY_FAULT = 0xFFFF


def decode(payload: bytes, fport: int) -> list[Reading]:
    if len(payload) != LAYOUT.size:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size}")
    version, battery, temperature, humidity = LAYOUT.unpack(payload)
    if fport != 2 or version != 1:
        raise WrongFormat(f"FPort {fport}, version {version}; want 2 and 1")
    if 10_000 < humidity < HUMIDITY_FAULT:
        raise Implausible(f"humidity {humidity / 100} %")

    readings = [Reading("battery_voltage", (200 + battery) / 100, "V")]
    if temperature != TEMPERATURE_FAULT:
        readings.append(Reading("temperature", temperature / 100, "°C"))
    if humidity != HUMIDITY_FAULT:
        readings.append(Reading("relative_humidity", humidity / 100, "%"))
    return readings


DECODER = Decoder(
    name="@NAME@",
    vendor="Invented",
    model="@NAME@",
    source="invented; here goes the maker's document with its revision and section",
    decode=decode,
    examples=[
        Example(
            "01 7D 08FC 0C1C",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.25, "V"),
                Reading("temperature", 23.0, "°C"),
                Reading("relative_humidity", 31.0, "%"),
            ],
        ),
        Example(  # frost, humidity sensor out of order
            "01 32 FF9C FFFF",
            fport=2,
            gives=[Reading("battery_voltage", 2.5, "V"), Reading("temperature", -1.0, "°C")],
        ),
        Example("01 7D 08FC 7530", fport=2, fails=Implausible),
        Example("02 7D 08FC 0C1C", fport=2, fails=WrongFormat),
        Example("01 7D 08FC", fport=2, fails=WrongLength),
    ],
)
'''


_CODEC = """// @NAME@: temperature, humidity, battery.
//
// An invented layout, to be replaced by the maker's. Six bytes on FPort 2, big-endian:
//
//     VV BB TT TT HH HH
//
//     V  u8   payload version, always 1
//     B  u8   battery, 10 mV a step above 2.00 V
//     T  i16  temperature, 0.01 °C;        7FFF = sensor fault
//     H  u16  relative humidity, 0.01 %;   FFFF = sensor fault
//
// decodeUplink is the function of LoRa Alliance TS013, which The Things Stack and ChirpStack call as well.

function decodeUplink(input) {
  var bytes = input.bytes;
  if (input.fPort !== 2 || bytes.length !== 6 || bytes[0] !== 1) {
    return { errors: ["FPort " + input.fPort + ", " + bytes.length + " bytes: want FPort 2, 6 bytes, version 1"] };
  }
  var temperature = (bytes[2] << 8) | bytes[3];
  var humidity = (bytes[4] << 8) | bytes[5];
  var data = { battery_voltage: (200 + bytes[1]) / 100 };
  if (temperature !== 0x7fff) {
    data.temperature = (temperature > 0x7fff ? temperature - 0x10000 : temperature) / 100;
  }
  if (humidity !== 0xffff) {
    data.relative_humidity = humidity / 100;
  }
  return { data: data };
}
"""

_CODEC_EXAMPLES = """[
  {
    "description": "a warm day",
    "input": { "bytes": "017D08FC0C1C", "fPort": 2 },
    "output": { "data": { "battery_voltage": 3.25, "temperature": 23, "relative_humidity": 31 } }
  },
  {
    "description": "frost, humidity sensor out of order",
    "input": { "bytes": "0132FF9CFFFF", "fPort": 2 },
    "output": { "data": { "battery_voltage": 2.5, "temperature": -1 } }
  },
  { "input": { "bytes": "017D08FC", "fPort": 2 }, "output": { "errors": ["too short"] } }
]
"""


def skeleton(name: str, *, is_codec: bool = False) -> dict[str, str]:
    """Return the texts of a new decoder by file name, that of the decoder first. Raises ConfigError for an unfit name.

    is_codec: in JavaScript, with its examples beside it.
    """
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise ConfigError(
            f"{name!r} cannot be a decoder's name", fix="take small letters, digits and dashes, as vendor-model-2"
        )
    if is_codec:
        return {f"{name}.js": _CODEC.replace("@NAME@", name), f"{name}.examples.json": _CODEC_EXAMPLES}
    return {f"{name.replace('-', '_')}.py": _TEMPLATE.replace("@NAME@", name)}
