"""Browan Tabs TBDW100 door and window sensor: open or closed, how often opened, battery.

Eight bytes on FPort 100, at each change and every hour, little-endian:

    SS BB TT EE EE CC CC CC

    S  u8   bit 0: 1 = open, 0 = closed
    B  u8   battery, 2.5 V + 0.1 V a step, in bits 3-0; bits 7-4 unused
    T  u8   temperature of the circuit board, °C + 32, in bits 6-0
    E  u16  minutes since the last event
    C  u24  events since the battery was put in

FPorts 204 and 222 tell settings and versions.
"""

from lora_post import Decoder, Example, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.browan import check, read_events

FPORT = 100


def decode(payload: bytes, fport: int) -> list[Reading]:
    check(payload, fport, FPORT)
    return read_events("door", payload)


DECODER = Decoder(
    name="browan-tbdw100",
    vendor="Browan",
    model="TBDW100 (Tabs door and window sensor)",
    source="TBDW100 Reference Manual, section 4.1",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/browan/tbdw100-codec.yaml
            "00 CB 35 0000 8A3A00",
            fport=100,
            gives=[
                Reading("door", False),
                Reading("battery_voltage", 3.6, "V"),
                Reading("board_temperature", 21, "°C"),
                Reading("since_event", 0, "min"),
                Reading("count", 14986),
            ],
        ),
        Example(  # built: opened a day ago, in frost
            "01 0A 1B A005 000001",
            fport=100,
            gives=[
                Reading("door", True),
                Reading("battery_voltage", 3.5, "V"),
                Reading("board_temperature", -5, "°C"),
                Reading("since_event", 1440, "min"),
                Reading("count", 65536),
            ],
        ),
        Example("00 0A 20", fport=100, fails=WrongLength),  # built, as all below
        Example("00 100E 02 0A00 04 0200", fport=204, fails=NoReading),
        Example("00 CB 35 0000 8A3A00", fport=42, fails=WrongFormat),
    ],
)
