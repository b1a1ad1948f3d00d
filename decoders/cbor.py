"""CBOR: the members of a map become readings under their own names.

Any FPort, any length, one data item:

    {"temperature": 22.5, "door_open": true, 7: 1}

A text or number alone is the reading `value`, the elements of a list are `value_0`, `value_1`, …
Objects and lists in others are one reading each, and null is a missing value. Numbers that are not
finite or beyond 64 bits are left out with a warning.

An integer key is the name in decimal. Byte strings become hex text, decimal fractions numbers; other
tags are ignored. Names say nothing of units; the device's configuration can. Not read: shared
references (tags 25 and 29), and a second item behind the first.
"""

from lora_post import Decoded, Decoder, Example, Reading, WrongFormat, WrongLength
from lora_post.payload_values import read_cbor, to_readings


def decode(payload: bytes, fport: int) -> list[Reading] | Decoded:
    item, size = read_cbor(payload)
    result = to_readings(item)
    if size < len(payload):
        kept = result.readings if isinstance(result, Decoded) else result
        raise WrongLength(f"{len(payload) - size} bytes after the data item", kept)
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
            gives=[Reading("temperature", 22.5), Reading("door_open", True), Reading("7", "0102")],
        ),
        Example("A2 6161 C4 82 21 19 6AB3  6162 F6", gives=[Reading("a", 273.15)]),  # {"a": 273.15, "b": null}
        Example("A1 6161 01  00", gives=[Reading("a", 1)], fails=WrongLength),
        Example("A1 6161", fails=WrongLength),
        Example("D81C 81 D81D 00", fails=WrongFormat),  # an array that contains itself
        Example("818181818181818181818181818181818100", fails=WrongFormat),
    ],
)
