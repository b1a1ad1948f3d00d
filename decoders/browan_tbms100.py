"""Browan Tabs TBMS100 motion sensor: occupied or free, number of events, battery.

Eight bytes on FPort 102, at each change, every 10 minutes while occupied and every hour while free, little-endian:

    SS BB TT EE EE CC CC CC

    S  u8   bit 0: 1 = occupied, 0 = free
    B  u8   battery, 2.5 V + 0.1 V a step, in bits 3-0; bits 7-4 unused
    T  u8   temperature of the circuit board, °C + 32, in bits 6-0
    E  u16  minutes since the last event
    C  u24  events since the battery was put in

FPorts 204 and 222 tell settings and versions.
"""

from lora_post import Decoder, Example, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.browan import check, read_events

FPORT = 102


def decode(payload: bytes, fport: int) -> list[Reading]:
    check(payload, fport, FPORT)
    return read_events("presence", payload)


DECODER = Decoder(
    name="browan-tbms100",
    vendor="Browan",
    model="TBMS100 (Tabs motion sensor)",
    source="TBMS100 Reference Manual BQW_02_0006.002, section 4.1",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/browan/tbms100-codec.yaml
            "01 BB 34 0400 DC7801",
            fport=102,
            gives=[
                Reading("presence", True),
                Reading("battery_voltage", 3.6, "V"),
                Reading("board_temperature", 20, "°C"),
                Reading("since_event", 4, "min"),
                Reading("count", 96476),
            ],
        ),
        Example(  # built: free for an hour, in frost
            "00 0A 1B 3C00 010000",
            fport=102,
            gives=[
                Reading("presence", False),
                Reading("battery_voltage", 3.5, "V"),
                Reading("board_temperature", -5, "°C"),
                Reading("since_event", 60, "min"),
                Reading("count", 1),
            ],
        ),
        Example("00 0A 20", fport=102, fails=WrongLength),  # built, as all below
        Example("00 100E 02 0A00 04 0200", fport=204, fails=NoReading),
        Example("01 BB 34 0400 DC7801", fport=42, fails=WrongFormat),
    ],
)
