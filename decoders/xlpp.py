"""XLPP: Waziup's extension of Cayenne LPP by texts, wide integers, nested values and times.

Any FPort, any length, big-endian; fields and markers in any order:

    CC TT VV …        field: channel 00 … FA, FE, FF, type, value
    FD HH MM SS       delay: what follows was measured so many hours, minutes, seconds earlier
    FC NN TT …        actuators: N types; their channels are 0, 1, 2 … by their place
    FB NN CC TT …     actuators: N pairs of channel and type

Types are those of Cayenne LPP (tables of `lora_post.payloads.lpp`, unsigned where libraries differ) and:

    51  integer   varint: 7 bits a byte, lowest first, bit 7 = more follow; 0, -1, 1, -2 are 0, 1, 2, 3
    52  string    UTF-8, then 00; bytes that are not UTF-8 appear as \\xNN
    53  bool      false, without data, as 55; 54 is true
    57  binary    a varint of its length, then its bytes; the value is their hex text
    58  null      no data; gives no reading, and is left out of objects and arrays
    91  array     TT VV … TT VV …, then 93
   123  object    K … 00 TT VV … for each key K, in UTF-8, then 00

Delays add up. A reading's name ends in its channel; objects and arrays are one reading each. Actuators
are what the device can be told, not values: `actuator_switch_2` is announced, and named in a warning. A payload may
end only where a channel would stand. As in Cayenne LPP, what comes before a mistake is kept and the rest given up.

Not seen: 53 with a byte of data, as one header file has it (no writer sends 53), and 56, reserved.
"""

from __future__ import annotations

import struct
from struct import Struct

from lora_post import Actuator, Decoded, DecodeError, Decoder, Example, Reading, Value, WrongFormat, WrongLength
from lora_post.payloads.actuators import encode_xlpp
from lora_post.payloads.lpp import HEADER_SIZE, ITEMS, NAMES, read_item

ACTUATORS_WITH_CHANNEL, ACTUATORS, DELAY = 0xFB, 0xFC, 0xFD
INTEGER, STRING, BOOL, TRUE, FALSE, BINARY, NULL = 51, 52, 53, 54, 55, 57, 58
ARRAY, END_OF_ARRAY, OBJECT = 91, 93, 123
BOOLS = {BOOL: False, TRUE: True, FALSE: False}
ALL_NAMES = NAMES | {INTEGER: "integer", STRING: "string", BINARY: "binary", ARRAY: "array", OBJECT: "object"}
ALL_NAMES |= dict.fromkeys(BOOLS, "bool")
VALUE_TYPES = dict.fromkeys(("switch", "bool", "presence", "digital_in", "digital_out"), "bool")
VALUE_TYPES |= {"string": "string", "binary": "string", "array": "array", "polyline": "array"}
VALUE_TYPES |= dict.fromkeys(("object", "accelerometer", "gyrometer", "gps", "colour"), "object")
DELAY_LAYOUT = Struct(">xBBB")
MAX_DEPTH = 6  # arrays and objects in one another; a polyline has two more, and reports take eight
MAX_BITS = 64  # of a varint; both sides keep integers in 64 bits
ACTUATORS_SHOWN = 16


class Values:
    """Reads the values of a payload that have no channel; counts the nulls that arrays lost."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.lost_nulls = 0

    def read(self, offset: int, depth: int) -> tuple[Value | None, int]:
        """Return the value whose type is at offset, None for null, and where it ends.

        depth: how many arrays and objects may be in one another from here on. Raises IndexError and
        struct.error where the payload ends too early.
        """
        kind = self.payload[offset]
        start = offset + 1
        if kind in NAMES:
            reading, size = read_item(ITEMS[kind], self.payload, start - HEADER_SIZE)
            return reading.value, start - HEADER_SIZE + size
        if kind in BOOLS:
            return BOOLS[kind], start
        if kind == NULL:
            return None, start
        if kind == INTEGER:
            number, end = self.read_varint(start)
            return number >> 1 ^ -(number & 1), end
        if kind == STRING:
            return self.read_text(start)
        if kind == BINARY:
            return self.read_binary(start)
        if kind not in (ARRAY, OBJECT):
            raise WrongFormat(f"unknown type {kind} at offset {offset}")
        if depth == 0:
            raise WrongFormat(f"nested deeper than {MAX_DEPTH} levels")
        return self.read_array(start, depth - 1) if kind == ARRAY else self.read_object(start, depth - 1)

    def read_varint(self, offset: int) -> tuple[int, int]:
        number = shift = 0
        while True:
            byte = self.payload[offset]
            number |= (byte & 0x7F) << shift
            shift += 7
            offset += 1
            if number >> MAX_BITS or shift > MAX_BITS + 6:
                raise WrongFormat(f"integer of more than {MAX_BITS} bits")
            if byte < 0x80:
                return number, offset

    def read_text(self, offset: int) -> tuple[str, int]:
        end = self.payload.find(0, offset)
        if end < 0:
            raise WrongLength("text cut short")
        return self.payload[offset:end].decode(errors="backslashreplace"), end + 1

    def read_binary(self, offset: int) -> tuple[str, int]:
        size, start = self.read_varint(offset)
        data = self.payload[start : start + size]
        if len(data) < size:
            raise WrongLength(f"binary cut short, {len(data)} of {size} bytes")
        return data.hex(), start + size

    def read_array(self, offset: int, depth: int) -> tuple[list[Value], int]:
        values: list[Value] = []
        while self.payload[offset] != END_OF_ARRAY:
            value, offset = self.read(offset, depth)
            if value is None:
                self.lost_nulls += 1
            else:
                values.append(value)
        return values, offset + 1

    def read_object(self, offset: int, depth: int) -> tuple[dict[str, Value], int]:
        members: dict[str, Value] = {}
        while self.payload[offset] != 0:
            key, offset = self.read_text(offset)
            value, offset = self.read(offset, depth)
            if value is not None:
                members[key] = value
        return members, offset + 1


def decode(payload: bytes, fport: int) -> list[Reading] | Decoded:
    values = Values(payload)
    readings: list[Reading] = []
    actuators: list[tuple[int, int]] = []
    age_s = 0.0
    offset = 0
    try:
        while offset < len(payload):
            head = payload[offset]
            if head == DELAY:
                hours, minutes, seconds = DELAY_LAYOUT.unpack_from(payload, offset)
                age_s += hours * 3600 + minutes * 60 + seconds
                offset += DELAY_LAYOUT.size
            elif head in (ACTUATORS, ACTUATORS_WITH_CHANNEL):
                declared, offset = read_actuators(payload, offset)
                actuators += declared
            elif payload[offset + 1] in NAMES:
                reading, size = read_item(ITEMS[head << 8 | payload[offset + 1]], payload, offset, age_s)
                readings.append(reading)
                offset += size
            else:
                value, end = values.read(offset + 1, MAX_DEPTH)
                if value is not None:
                    name = f"{ALL_NAMES[payload[offset + 1]]}_{head}"
                    readings.append(Reading(name, value, "", head, age_s=age_s))
                offset = end
    except (IndexError, struct.error):
        raise WrongLength(f"{place(payload, offset)}: cut short", readings) from None
    except DecodeError as error:
        raise type(error)(f"{place(payload, offset)}: {error}", readings) from None
    warnings = remarks(actuators, values.lost_nulls)
    announced = tuple(announce(channel, kind) for channel, kind in actuators if kind in ALL_NAMES)
    return Decoded(readings, warnings, None, announced) if warnings else readings


def announce(channel: int, kind: int) -> Actuator:
    """Return an actuator, under a name that sensors never have: Waziup keeps both in one map."""
    name = ALL_NAMES[kind]
    return Actuator(f"actuator_{name}_{channel}", name, VALUE_TYPES.get(name, "number"))


def read_actuators(payload: bytes, offset: int) -> tuple[list[tuple[int, int]], int]:
    """Return channel and type of each declared actuator, and where the marker ends."""
    count, start = payload[offset + 1], offset + 2
    with_channel = payload[offset] == ACTUATORS_WITH_CHANNEL
    end = start + count * (2 if with_channel else 1)
    if end > len(payload):
        raise WrongLength(f"{count} actuators cut short")
    listed = payload[start:end]
    pairs = zip(listed[::2], listed[1::2], strict=True) if with_channel else enumerate(listed)
    return list(pairs), end


def place(payload: bytes, offset: int) -> str:
    if payload[offset] in (DELAY, ACTUATORS, ACTUATORS_WITH_CHANNEL):
        return f"offset {offset}: marker {payload[offset]:02x}"
    kind = f", type {payload[offset + 1]}" if offset + 1 < len(payload) else ""
    return f"offset {offset}: channel {payload[offset]}{kind}"


def remarks(actuators: list[tuple[int, int]], lost_nulls: int) -> tuple[str, ...]:
    warnings = []
    if actuators:
        shown = [f"{channel} {ALL_NAMES.get(kind, f'type {kind}')}" for channel, kind in actuators[:ACTUATORS_SHOWN]]
        more = f" and {len(actuators) - ACTUATORS_SHOWN} more" if len(actuators) > ACTUATORS_SHOWN else ""
        warnings.append(f"actuators: {', '.join(shown)}{more}")
    if lost_nulls:
        warnings.append(f"{lost_nulls} null left out of an array; what follows it in there moves up")
    return tuple(warnings)


DECODER = Decoder(
    name="xlpp",
    vendor="Waziup",
    model="XLPP",
    source="Waziup/xlpp: README.md, reader.go, registry.go and xlpp_values.go; names as for Cayenne LPP",
    decode=decode,
    encode=encode_xlpp,
    examples=[
        Example("00 67 00EB", gives=[Reading("temperature_0", 23.5, "°C", 0)]),  # published with the format
        Example(  # three temperatures, now, half an hour and an hour ago
            "01 67 00E1  FD 001E00  01 67 00DD  FD 001E00  01 67 FFF4",
            gives=[
                Reading("temperature_1", 22.5, "°C", 1),
                Reading("temperature_1", 22.1, "°C", 1, age_s=1800.0),
                Reading("temperature_1", -1.2, "°C", 1, age_s=3600.0),
            ],
        ),
        Example(  # an integer, a text, true, null, six bytes
            "0C 33 FC50  0D 34 74657374203A29 00  0E 36  12 3A  0F 39 06 010203070809",
            gives=[
                Reading("integer_12", 5182, "", 12),
                Reading("string_13", "test :)", "", 13),
                Reading("bool_14", True, "", 14),
                Reading("binary_15", "010203070809", "", 15),
            ],
        ),
        Example(
            "10 7B 636F756E7400 33FC50  76616C00 000C  00",
            gives=[Reading("object_16", {"count": 5182, "val": 12}, "", 16)],
        ),
        Example("11 5B 6605 65002D 67013C 5D", gives=[Reading("array_17", [5, 45, 31.6], "", 17)]),
        Example("FB 02 0374 1187  03 74 57B8", gives=[Reading("voltage_3", 224.56, "V", 3)]),  # two actuators
        Example("FD 01 0A 23", gives=[]),
        Example("00 67 00EB  01 34 6F6B", gives=[Reading("temperature_0", 23.5, "°C", 0)], fails=WrongLength),
        Example("00 67 00EB  01", gives=[Reading("temperature_0", 23.5, "°C", 0)], fails=WrongLength),
        Example("01 38 00", fails=WrongFormat),
        Example("01 5B 5B5B5B5B5B5B", fails=WrongFormat),  # nested too deep
    ],
)
