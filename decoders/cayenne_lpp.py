"""Cayenne LPP: a sequence of values, each with a channel and a type byte.

Any FPort, any length, big-endian:

    CC TT VV …  CC TT VV …

    C  u8   channel, 0 … 255: which of the device's sensors; a reading's name ends in it
    T  u8   type: what the value is, its size and unit; tables NUMBERS and OBJECTS below
    V       the value

There is no length and no checksum: behind an unknown type or a value cut short nothing can be
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

Not seen: packed payloads without channel bytes and payloads with history, which later documents
tie to other FPorts.
"""

import struct
from collections.abc import Callable
from struct import Struct

from lora_post import DecodeError, Decoder, Example, Reading, WrongFormat, WrongLength
from lora_post.model import Value

# type: (name, unit, layout, scale); the number is divided by the scale
NUMBERS = {
    0: ("digital_in", "", "B", 1),
    1: ("digital_out", "", "B", 1),
    2: ("analog_in", "", "h", 100),
    3: ("analog_out", "", "h", 100),
    100: ("generic", "", "I", 1),
    101: ("luminosity", "lx", "H", 1),
    102: ("presence", "", "B", 1),
    103: ("temperature", "°C", "h", 10),
    104: ("relative_humidity", "%", "B", 2),
    115: ("barometric_pressure", "hPa", "H", 10),
    116: ("voltage", "V", "H", 100),
    117: ("current", "A", "H", 1000),
    118: ("frequency", "Hz", "I", 1),
    120: ("percentage", "%", "B", 1),
    121: ("altitude", "m", "h", 1),
    125: ("concentration", "ppm", "H", 1),
    128: ("power", "W", "H", 1),
    130: ("distance", "m", "I", 1000),
    131: ("energy", "kWh", "I", 1000),
    132: ("direction", "°", "H", 1),
    133: ("unix_time", "s", "I", 1),
    142: ("switch", "", "B", 1),
}
POLYLINE_FACTORS = dict(
    zip(range(227, 240), (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000), strict=True)
)

# The two header bytes are part of every layout. A signed 24-bit number is `bH`: its high byte, the rest.
THREE_SHORTS = Struct(">xxhhh")
THREE_BYTES = Struct(">xxBBB")
LOAD = Struct(">xxbH")
GPS = Struct(">xxbHbHbH")
POLYLINE = Struct(">xxBBbHbH")


def read_accelerometer(payload: bytes, offset: int) -> tuple[Value, int]:
    x, y, z = THREE_SHORTS.unpack_from(payload, offset)
    return {"x": x / 1000, "y": y / 1000, "z": z / 1000}, THREE_SHORTS.size


def read_gyrometer(payload: bytes, offset: int) -> tuple[Value, int]:
    x, y, z = THREE_SHORTS.unpack_from(payload, offset)
    return {"x": x / 100, "y": y / 100, "z": z / 100}, THREE_SHORTS.size


def read_load(payload: bytes, offset: int) -> tuple[Value, int]:
    high, low = LOAD.unpack_from(payload, offset)
    return (high << 16 | low) / 1000, LOAD.size


def read_colour(payload: bytes, offset: int) -> tuple[Value, int]:
    red, green, blue = THREE_BYTES.unpack_from(payload, offset)
    return {"r": red, "g": green, "b": blue}, THREE_BYTES.size


def read_gps(payload: bytes, offset: int) -> tuple[Value, int]:
    a, b, c, d, e, f = GPS.unpack_from(payload, offset)
    position = {
        "latitude": (a << 16 | b) / 10000,
        "longitude": (c << 16 | d) / 10000,
        "altitude": (e << 16 | f) / 100,
    }
    return position, GPS.size


def read_polyline(payload: bytes, offset: int) -> tuple[Value, int]:
    size, code, a, b, c, d = POLYLINE.unpack_from(payload, offset)
    factor = POLYLINE_FACTORS.get(code, code if code < 200 else 0)
    if factor == 0:
        raise WrongFormat(f"factor {code} is not defined")
    if size < POLYLINE.size - 2:
        raise WrongFormat(f"size {size}, want {POLYLINE.size - 2} or more")
    steps = payload[offset + POLYLINE.size : offset + 2 + size]
    if len(steps) < size - (POLYLINE.size - 2):
        raise WrongLength(f"value cut short, {len(payload) - offset - 2} of {size} bytes")
    latitude, longitude = a << 16 | b, c << 16 | d
    track: list[Value] = [{"latitude": latitude * factor / 10000, "longitude": longitude * factor / 10000}]
    for step in steps:
        latitude += ((step & 15) ^ 8) - 8
        longitude += (step >> 4 ^ 8) - 8
        track.append({"latitude": latitude * factor / 10000, "longitude": longitude * factor / 10000})
    return track, 2 + size


Read = Callable[[bytes, int], tuple[Value, int]]
Item = tuple[str, int, str, int, Callable[[bytes, int], tuple[int, ...]], int, Read | None]

# type: (name, unit, layout of its first bytes, function)
OBJECTS: dict[int, tuple[str, str, Struct, Read]] = {
    113: ("accelerometer", "g", THREE_SHORTS, read_accelerometer),
    122: ("load", "kg", LOAD, read_load),
    134: ("gyrometer", "°/s", THREE_SHORTS, read_gyrometer),
    135: ("colour", "", THREE_BYTES, read_colour),
    136: ("gps", "", GPS, read_gps),
    240: ("polyline", "", POLYLINE, read_polyline),
}


class Items(dict[int, Item]):
    """What each pair of channel and type means, made when it is first seen: at most 256 × 28."""

    def __missing__(self, header: int) -> Item:
        channel, kind = divmod(header, 256)
        item: Item
        if kind in OBJECTS:
            name, unit, layout, read = OBJECTS[kind]
            item = (f"{name}_{channel}", channel, unit, layout.size, layout.unpack_from, 1, read)
        else:
            name, unit, code, scale = NUMBERS[kind]
            layout = Struct(f">xx{code}")
            item = (f"{name}_{channel}", channel, unit, layout.size, layout.unpack_from, scale, None)
        self[header] = item
        return item


ITEMS = Items()


def decode(payload: bytes, fport: int) -> list[Reading]:
    readings: list[Reading] = []
    keep = readings.append
    offset, end = 0, len(payload)
    try:
        value: Value
        while offset < end:
            name, channel, unit, size, unpack, scale, read = ITEMS[payload[offset] << 8 | payload[offset + 1]]
            if read is not None:
                value, size = read(payload, offset)
            else:
                (value,) = unpack(payload, offset)
                if scale != 1:
                    value /= scale
            keep(Reading(name, value, unit, channel))
            offset += size
    except (IndexError, KeyError, struct.error, DecodeError) as error:
        raise explain(payload, offset, error, readings) from None
    return readings


def explain(payload: bytes, offset: int, error: Exception, kept: list[Reading]) -> DecodeError:
    """The item that could not be read: where it is, what it claims to be, what is wrong with it."""
    if isinstance(error, IndexError):
        return WrongLength(f"offset {offset}: one stray byte {payload[offset]:02x} at the end", kept)
    channel, kind = payload[offset], payload[offset + 1]
    where = f"offset {offset}: channel {channel}, type {kind}"
    if isinstance(error, DecodeError):
        return type(error)(f"{where}: {error}", kept)
    if isinstance(error, KeyError):
        return WrongFormat(f"{where}: unknown type", kept)
    size = ITEMS[channel << 8 | kind][3] - 2
    return WrongLength(f"{where}: value cut short, {len(payload) - offset - 2} of {size} bytes", kept)


DECODER = Decoder(
    name="cayenne-lpp",
    vendor="Cayenne (myDevices)",
    model="Low Power Payload",
    source="ElectronicCats/CayenneLPP: src/CayenneLPP.h and src/CayenneLPPPolyline.cpp; names of The Things Network",
    decode=decode,
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
        Example("", gives=[]),
        Example("03 67 0110  05", gives=[Reading("temperature_3", 27.2, "°C", 3)], fails=WrongLength),
        Example("03 67 01", fails=WrongLength),
        Example("03 67 0110  01 FF 00", gives=[Reading("temperature_3", 27.2, "°C", 3)], fails=WrongFormat),
        Example("01 F0 08 F0 07CA1D 0218A5", fails=WrongFormat),
    ],
)
