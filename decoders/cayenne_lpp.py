"""Cayenne LPP: a sequence of values, each with a channel and a type byte.

Any FPort, any length, big-endian:

    CC TT VV …  CC TT VV …

    C  u8   channel, 0 … 255: which of the device's sensors; a reading's name ends in it
    T  u8   type: what the value is, its size and unit; the tables of `lora_post.payloads.lpp`
    V       the value

Length and checksum are missing: behind an unknown type or a value cut short nothing can be
located, so the readings before it are kept and the rest is given up. A channel and type that occur
twice give two readings. Types 0-3, 101-104, 113, 115, 134 and 136 are the original set; the others
come from later libraries. Where libraries differ on the sign of pressure, voltage, current,
distance, energy, frequency or percentage, it is unsigned here.

The value of a polyline (240) is a track of positions:

    SS FF AA AA AA OO OO OO DD …

    S  u8     size of the value in bytes, itself included
    F  u8     factor of all its numbers: 1 … 199, or a key of POLYLINE_FACTORS
    A  s24    latitude of the first point, 0.0001° times the factor
    O  s24    longitude of the first point, likewise
    D  2×s4   steps to the next point: longitude in the high four bits, latitude in the low four

A device may have this option:

    signed   true: types 115, 116, 117, 130 and 131 are signed, as some libraries send them
"""

from collections.abc import Callable
from functools import partial

from lora_post import ConfigError, Decoder, Example, Options, Reading, WrongFormat, WrongLength
from lora_post.payloads.actuators import encode_lpp
from lora_post.payloads.lpp import ITEMS, SIGNED_ITEMS, decode


def configure(options: Options) -> Callable[[bytes, int], list[Reading]]:
    mistakes = [f"option {name!r} is not known; known is signed" for name in options if name != "signed"]
    signed = options.get("signed", False)
    if not isinstance(signed, bool):
        mistakes.append(f"option 'signed' is {signed!r}, want true or false")
    if mistakes:
        raise ConfigError("; ".join(mistakes))
    return partial(decode, items=SIGNED_ITEMS if signed else ITEMS)


DECODER = Decoder(
    name="cayenne-lpp",
    vendor="Cayenne (myDevices)",
    model="Low Power Payload",
    source="ElectronicCats/CayenneLPP: src/CayenneLPP.h and src/CayenneLPPPolyline.cpp; names of The Things Network",
    decode=decode,
    configure=configure,
    encode=encode_lpp,
    examples=[
        Example(  # published with the format
            "03 67 0110  05 67 00FF",
            gives=[Reading("temperature_3", 27.2, "°C", 3), Reading("temperature_5", 25.5, "°C", 5)],
        ),
        Example("01 67 FFD7", gives=[Reading("temperature_1", -4.1, "°C", 1)]),
        Example(
            "06 71 04D2 FB2E 0000",
            gives=[Reading("accelerometer_6", {"x": 1.234, "y": -1.234, "z": 0.0}, "g", 6)],
        ),
        Example(
            "01 88 06765F F2960A 0003E8",
            gives=[Reading("gps_1", {"latitude": 42.3519, "longitude": -87.9094, "altitude": 10.0}, "", 1)],
        ),
        Example(  # four values of four sizes
            "00 00 64  01 68 C8  01 73 27A6  01 83 00795B30",
            gives=[
                Reading("digital_in_0", 100, "", 0),
                Reading("relative_humidity_1", 100.0, "%", 1),
                Reading("barometric_pressure_1", 1015.0, "hPa", 1),
                Reading("energy_1", 7953.2, "kWh", 1),
            ],
        ),
        Example(  # a track of two steps
            "01 F0 0A E3 07CA1D 0218A5 F1 87",
            gives=[
                Reading(
                    "polyline_1",
                    [
                        {"latitude": 51.0493, "longitude": 13.7381},
                        {"latitude": 51.0494, "longitude": 13.738},
                        {"latitude": 51.0501, "longitude": 13.7372},
                    ],
                    "",
                    1,
                )
            ],
        ),
        Example(  # the same bytes from two libraries
            "01 74 D8F0",
            gives=[Reading("voltage_1", 555.36, "V", 1)],
        ),
        Example("01 74 D8F0", gives=[Reading("voltage_1", -100.0, "V", 1)], options={"signed": True}),
        Example("", gives=[]),
        Example("03 67 0110  05", gives=[Reading("temperature_3", 27.2, "°C", 3)], fails=WrongLength),
        Example("03 67 01", fails=WrongLength),
        Example("03 67 0110  01 FF 00", gives=[Reading("temperature_3", 27.2, "°C", 3)], fails=WrongFormat),
        Example("01 F0 08 F0 07CA1D 0218A5", fails=WrongFormat),
    ],
)
