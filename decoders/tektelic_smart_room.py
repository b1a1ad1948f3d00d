"""Tektelic Smart Room Sensor (generations 2 and 3), Comfort and Vivid.

A sequence of values on FPort 10, each behind a channel and a type byte
(`lora_post.payloads.tagged`), temperature and humidity every hour, big-endian:

    C  T   V
    00 FF  i16    battery, 0.01 V; older models
    00 BA  u16    battery, mV
    01 00  u8     reed switch: 0 = one level, FF = the other
    02 00  u8     light: 0 = dark, else bright
    03 67  i16    temperature, 0.1 °C
    04 68  u8     relative humidity, 0.5 %
    05 02  i16    magnitude of the acceleration, mg
    07 71  3×i16  acceleration, mg
    08 04  u16    changes of the reed switch
    09 00  u8     moisture: 0 = dry, FF = wet
    0A 00  u8     motion: 0 = none, FF = seen
    0B 67  i16    temperature of the processor, 0.1 °C
    0C 00  u8     impact: 0 = none, FF = felt
    0D 04  u16    motion events
    0E 00  u8     external connector: 0 or FF
    0F 04  u16    changes of the external connector
    10 02  u8     light level, a number without a unit
    11 02  i16    external connector, mV

Which level of the reed switch means an open door depends on how it is mounted. FPort 100 answers
questions about settings. Not seen: the statistics of types 10 to 17, and generation 4 with CO2.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import axes, flag, number, read_tagged

FPORT = 10
SETTINGS = 100
ITEMS = {
    b"\x00\xff": number("battery_voltage", "V", ">h", 100),
    b"\x00\xba": number("battery_voltage", "V", ">H", 1000),
    b"\x01\x00": flag("reed_switch"),
    b"\x02\x00": flag("light_detected"),
    b"\x03\x67": number("temperature", "°C", ">h", 10),
    b"\x04\x68": number("relative_humidity", "%", "B", 2, most=100),
    b"\x05\x02": number("acceleration", "g", ">h", 1000, quantity="Acceleration"),
    b"\x07\x71": axes("accelerometer", "g", 1000),
    b"\x08\x04": number("reed_count", "", ">H"),
    b"\x09\x00": flag("moisture_detected"),
    b"\x0a\x00": flag("motion"),
    b"\x0b\x67": number("board_temperature", "°C", ">h", 10),
    b"\x0c\x00": flag("impact"),
    b"\x0d\x04": number("motion_count", "", ">H"),
    b"\x0e\x00": flag("external_input"),
    b"\x0f\x04": number("external_input_count", "", ">H"),
    b"\x10\x02": number("light_level"),
    b"\x11\x02": number("external_voltage", "V", ">h", 1000),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == SETTINGS:
        raise NoReading(f"FPort {fport} tells the device's settings")
    if fport != FPORT:
        raise WrongFormat(f"FPort {fport}, want {FPORT}")
    return read_tagged(payload, ITEMS)


DECODER = Decoder(
    name="tektelic-smart-room",
    vendor="Tektelic",
    model="Smart Room Sensor (Base, PIR), Comfort, Vivid",
    source="TheThingsNetwork/lorawan-devices: vendor/tektelic/t00061xx-codec.yaml and decoder_smart_room_sensor.js",
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
        Example("10 80 00", fport=100, fails=NoReading),
        Example("04 68 FF  0A 00 FF", fport=10, gives=[Reading("motion", True)], fails=Implausible),
        Example("0A 00 FF  0B E4 0258", fport=10, gives=[Reading("motion", True)], fails=WrongFormat),
        Example("0A 00 FF", fport=42, fails=WrongFormat),
        Example("0A 00 FF  03 67 01", fport=10, gives=[Reading("motion", True)], fails=WrongLength),
    ],
)
