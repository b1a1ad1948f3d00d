"""CBOR: the members of a map become readings under their own names.

Any FPort, any length, one data item:

    {"temperature": 22.5, "door_open": true, 7: 1}

An object in an object gives `door.open`, a list `level_0`, `level_1`, …, a text or number alone `value`.
Positions stay one reading, null is a missing value. Common names bring their unit; for others the
device's configuration can. Numbers that are not finite are left out with a warning.

An integer key is the name in decimal. Byte strings become hex text, decimal fractions numbers; other
tags are ignored. Not read: shared
references (tags 25 and 29), and a second item behind the first.
"""

from lora_post import Decoded, Decoder, Example, Reading, WrongFormat, WrongLength
from lora_post.payloads.flatten import flatten
from lora_post.payloads.json_cbor import read_cbor


def decode(payload: bytes, fport: int) -> Decoded:
    item, size = read_cbor(payload)
    result = flatten(item)
    if size < len(payload):
        raise WrongLength(f"{len(payload) - size} bytes after the data item", result.readings)
    return result


DECODER = Decoder(
    name="cbor",
    vendor="any",
    model="CBOR",
    source="RFC 8949",
    decode=decode,
    examples=[
        Example(  # {"temperature": 22.5, "door_open": true, 7: h'0102'}
            "A3 6B74656D7065726174757265 F94DA0  69646F6F725F6F70656E F5  07 420102",
            gives=[
                Reading("temperature", 22.5, "°C"),
                Reading("door_open", True, quantity="DoorStatus"),
                Reading("7", "0102"),
            ],
        ),
        Example("A2 6161 C4 82 21 19 6AB3  6162 F6", gives=[Reading("a", 273.15)]),  # {"a": 273.15, "b": null}
        Example("A1 6161 01  00", gives=[Reading("a", 1)], fails=WrongLength),
        Example("A1 6161", fails=WrongLength),
        Example("D81C 81 D81D 00", fails=WrongFormat),  # an array that contains itself
        Example("818181818181818181818181818181818100", fails=WrongFormat),
    ],
)
