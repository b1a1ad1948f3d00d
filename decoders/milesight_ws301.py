"""Milesight WS301: magnetic contact of a door or window.

A sequence of values as all Milesight sensors send it (`lora_post.payloads.milesight`), at each
change and at an interval:

    C T   V
    01 75  u8  battery, %
    03 00  u8  magnet: 0 = closed, 1 = open
    04 00  u8  tamper contact: 0 = in place, 1 = taken off

The comments beside the maker's example read the tamper contact the other way round than the table
does; the table is followed, as other published examples do.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.milesight import BATTERY, BATTERY_LEVEL, read_items, state

ITEMS = {
    BATTERY: BATTERY_LEVEL,
    b"\x03\x00": state("door"),
    b"\x04\x00": state("tamper"),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_items(payload, ITEMS)


DECODER = Decoder(
    name="milesight-ws301",
    vendor="Milesight",
    model="WS301",
    source="WS301 User Guide, section 5; Milesight-IoT/SensorDecoders: ws-series/ws301/README.md",
    decode=decode,
    examples=[
        Example(  # published by the maker, in ws-series/ws301/README.md
            "01 75 64  03 00 01  04 00 01",
            fport=85,
            gives=[Reading("battery_level", 100, "%"), Reading("door", True), Reading("tamper", True)],
        ),
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/milesight-iot/ws301-codec.yaml
            "03 00 01", fport=85, gives=[Reading("door", True)]
        ),
        Example(  # built
            "03 00 00  04 00 00", fport=85, gives=[Reading("door", False), Reading("tamper", False)]
        ),
        Example(  # the user guide's example of what is sent after a join
            "FF 0B FF  FF 01 01  FF 08 6538B2232131  FF 09 0100  FF 0A 0102  FF 0F 00", fport=85, fails=NoReading
        ),
        Example("01 75 65  03 00 00", fport=85, gives=[Reading("door", False)], fails=Implausible),  # built, as below
        Example("03 00 02  04 00 00", fport=85, gives=[Reading("tamper", False)], fails=WrongFormat),
        Example("04 00 00  03 00", fport=85, gives=[Reading("tamper", False)], fails=WrongLength),
    ],
)
