"""Tektelic Smart Room Sensor (generations 2 to 4 without CO2), Comfort and Vivid.

A sequence of values on FPort 10, each behind a channel and a type byte
(`lora_post.payloads.tagged`), temperature and humidity every hour, big-endian:

    C  T   V
    00 FF  i16    battery, 0.01 V; older models
    00 BA  u16    battery, mV
    00 D3  u8     what is left in the battery, %
    01 00  u8     reed switch: 0 = one level, FF = the other
    02 00  u8     light: 0 = dark, else bright
    03 67  i16    temperature, 0.1 °C
    04 68  u8     relative humidity, 0.5 %
    05 02  u16    magnitude of the acceleration, mg
    06 67  i16    temperature of what the motion detector sees, 0.1 °C
    07 71  3×i16  acceleration, mg
    08 04  u16    changes of the reed switch
    09 00  u8     moisture: 0 = dry, FF = wet
    09 03  i16    motion as a raw number
    0A 00  u8     motion: 0 = none, FF = seen
    0B 67  i16    temperature of the processor, 0.1 °C
    0C 00  u8     impact: 0 = none, FF = felt
    0D 00  u8     output: 0 = open, FF = conducting
    0D 04  u16    motion events
    0E 00  u8     external connector: 0 or FF
    0F 04  u16    changes of the external connector
    10 02  u8     light level, a number without a unit
    11 02  i16    external connector, mV
    12 04  u32    changes of the external connector in all
    1E 00  1F 04  22 04   as 0E 00, 0F 04 and 12 04: connector A of generation 4, whose B are those
    2A 00  u8     motion detector: 0 = it has started

Which level of the reed switch means an open door depends on how it is mounted. FPorts 5, 100 and 101 carry
diagnostics and answers about settings. Not seen: the statistics of types 10 to 17.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import axes, flag, number, read_tagged, skipped

FPORT = 10
ABOUT_DEVICE = (5, 100, 101)
ITEMS = {
    b"\x00\xff": number("battery_voltage", "V", ">h", 100),
    b"\x00\xba": number("battery_voltage", "V", ">H", 1000),
    b"\x00\xd3": number("battery_level", "%", most=100),
    b"\x01\x00": flag("reed_switch"),
    b"\x02\x00": flag("light_detected"),
    b"\x03\x67": number("temperature", "°C", ">h", 10),
    b"\x04\x68": number("relative_humidity", "%", "B", 2, most=100),
    b"\x05\x02": number("acceleration", "g", ">H", 1000, quantity="Acceleration"),
    b"\x06\x67": number("object_temperature", "°C", ">h", 10),
    b"\x07\x71": axes("accelerometer", "g", 1000),
    b"\x08\x04": number("reed_count", "", ">H"),
    b"\x09\x00": flag("moisture_detected"),
    b"\x09\x03": number("motion_raw", "", ">h"),
    b"\x0a\x00": flag("motion"),
    b"\x0b\x67": number("board_temperature", "°C", ">h", 10),
    b"\x0c\x00": flag("impact"),
    b"\x0d\x00": flag("output"),
    b"\x0d\x04": number("motion_count", "", ">H"),
    b"\x0e\x00": flag("external_input"),
    b"\x0f\x04": number("external_input_count", "", ">H"),
    b"\x10\x02": number("light_level"),
    b"\x11\x02": number("external_voltage", "V", ">h", 1000),
    b"\x12\x04": number("external_input_total_count", "", ">I"),
    b"\x1e\x00": flag("external_input_a"),
    b"\x1f\x04": number("external_input_a_count", "", ">H"),
    b"\x22\x04": number("external_input_a_total_count", "", ">I"),
    b"\x2a\x00": skipped(1),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport in ABOUT_DEVICE:
        raise NoReading(f"FPort {fport} is about the device and its settings")
    if fport != FPORT:
        raise WrongFormat(f"FPort {fport}, want {FPORT}")
    return read_tagged(payload, ITEMS)


DECODER = Decoder(
    name="tektelic-smart-room",
    vendor="Tektelic",
    model="Smart Room Sensor (Base, PIR), Comfort, Vivid",
    source="TektelicCommunications/data-converters: comfort-vivid-v2.2, v3.1 and v4.3; "
    "TheThingsNetwork/lorawan-devices: vendor/tektelic/t00061xx-codec.yaml",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/tektelic/t00061xx-codec.yaml
            "03 67 0126  04 68 33  00 BA 0BD1",
            fport=10,
            gives=[
                Reading("temperature", 29.4, "°C"),
                Reading("relative_humidity", 25.5, "%"),
                Reading("battery_voltage", 3.025, "V"),
            ],
        ),
        Example("02 00 01", fport=10, gives=[Reading("light_detected", True)]),  # published there, as the next one
        Example("0A 00 FF", fport=10, gives=[Reading("motion", True)]),
        Example(  # built, as all below: an older model in frost
            "00 FF 012C  03 67 FFCE  0A 00 00  0D 04 0011",
            fport=10,
            gives=[
                Reading("battery_voltage", 3.0, "V"),
                Reading("temperature", -5.0, "°C"),
                Reading("motion", False),
                Reading("motion_count", 17),
            ],
        ),
        Example(  # knocked against, lying on its side
            "0C 00 FF  05 02 0960  07 71 03E8 0000 FFF6",
            fport=10,
            gives=[
                Reading("impact", True),
                Reading("acceleration", 2.4, "g", quantity="Acceleration"),
                Reading("accelerometer", {"x": 1.0, "y": 0.0, "z": -0.01}, "g"),
            ],
        ),
        Example(  # generation 4
            "00 BA 8001  00 D3 5F  1E 00 FF  1F 04 0003  22 04 00010003  05 02 8CA0  06 67 0126",
            fport=10,
            gives=[
                Reading("battery_voltage", 32.769, "V"),
                Reading("battery_level", 95, "%"),
                Reading("external_input_a", True),
                Reading("external_input_a_count", 3),
                Reading("external_input_a_total_count", 65539),
                Reading("acceleration", 36.0, "g", quantity="Acceleration"),
                Reading("object_temperature", 29.4, "°C"),
            ],
        ),
        Example(
            "2A 00 00  09 03 FFFE  0D 00 FF  12 04 00000009",
            fport=10,
            gives=[
                Reading("motion_raw", -2),
                Reading("output", True),
                Reading("external_input_total_count", 9),
            ],
        ),
        Example("10 80 00", fport=100, fails=NoReading),
        Example("40 06 01 00 00 00 02", fport=5, fails=NoReading),
        Example("04 68 FF  0A 00 FF", fport=10, gives=[Reading("motion", True)], fails=Implausible),
        Example("0A 00 FF  0B E4 0258", fport=10, gives=[Reading("motion", True)], fails=WrongFormat),
        Example("0A 00 FF", fport=42, fails=WrongFormat),
        Example("0A 00 FF  03 67 01", fport=10, gives=[Reading("motion", True)], fails=WrongLength),
    ],
)
