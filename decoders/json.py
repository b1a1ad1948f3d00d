"""JSON: the members of an object become readings under their own names.

Any FPort, UTF-8, any length:

    {"temperature": 22.5, "door": {"open": true}, "label": "pond"}

An object in an object gives `door.open`, a list `level_0`, `level_1`, …, a text or number alone `value`.
Positions stay one reading, null is a missing value. Common names bring their unit; for others the
device's configuration can. Numbers that are not finite are left out with a warning.

NaN and Infinity, which JSON does not have
and devices send, count as null. A name that occurs twice has its last value.
"""

from lora_post import Decoded, Decoder, Example, Reading, WrongFormat
from lora_post.payloads.flatten import flatten
from lora_post.payloads.json_cbor import read_json


def decode(payload: bytes, fport: int) -> Decoded:
    return flatten(read_json(payload))


DECODER = Decoder(
    name="json",
    vendor="any",
    model="JSON",
    source="RFC 8259",
    decode=decode,
    examples=[
        Example(  # {"temperature":22.5,"door_open":true,"label":"pond"}
            "7B2274656D7065726174757265223A32322E352C22646F6F725F6F70656E223A747275652C226C6162656C223A22706F6E64227D",
            gives=[
                Reading("temperature", 22.5, "°C"),
                Reading("door_open", True, quantity="DoorStatus"),
                Reading("label", "pond"),
            ],
        ),
        Example("7B2261223A312C2262223A6E756C6C7D 00", gives=[Reading("a", 1)]),  # {"a":1,"b":null} and a NUL
        Example("32312E35", gives=[Reading("value", 21.5)]),  # 21.5
        Example("7B2261223A31", fails=WrongFormat),  # {"a":1
        Example("5C21 54432F32322E35", fails=WrongFormat),
    ],
)
