"""INTEL-IRRIS soil sensor, one or two tensiometers (Watermark): moisture tension, battery.

A sequence of values, each behind a channel and a type byte (`lora_post.payloads.tagged`): XLPP or
Cayenne LPP of two types, every hour. The firmware sends nearly everything as a temperature; the channel
tells what it is, big-endian:

    C  T   V
    00 67  i16  soil moisture tension, 0.1 cbar: 0 = saturated, rising as the soil dries;
                240 cbar = probe shorted, 255 cbar = no probe, or so dry that it does not conduct
    01 67  i16  resistance of the probe, Ω (sent as a tenth of it); 32760 = as 255 cbar
    02 67  i16  tension of a second probe, 03 67 its resistance
    05 67  i16  soil temperature, 0.1 °C; -99.0 or -127.0 = no probe
    06 02  i16  battery, 0.01 V, the lowest since the uplink before
    08 67  i16  CO2, 0.1 ppm

The device computes the tension from the resistance and the soil temperature, 28 °C when it has no
probe for that. A faulty probe drops its readings, never the frame. A device with a capacitive probe
sends other things on the same channels: use intel-irris-capacitive for it. Firmware built without LPP
sends text. The FPort is not checked.
"""

from lora_post import Decoder, Example, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import number, read_tagged

SHORTED_OR_OPEN = frozenset({2400, 2550})
OPEN = frozenset({32760})
NO_PROBE = frozenset({-990, -1270})
ITEMS = {
    b"\x00\x67": number("soil_moisture_tension", "cbar", ">h", 10, faults=SHORTED_OR_OPEN),
    b"\x01\x67": number("resistance", "Ω", ">h", faults=OPEN),
    b"\x02\x67": number("soil_moisture_tension_2", "cbar", ">h", 10, faults=SHORTED_OR_OPEN),
    b"\x03\x67": number("resistance_2", "Ω", ">h", faults=OPEN),
    b"\x05\x67": number("soil_temperature", "°C", ">h", 10, faults=NO_PROBE),
    b"\x06\x02": number("battery_voltage", "V", ">h", 100),
    b"\x08\x67": number("co2", "ppm", ">h", 10),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_tagged(payload, ITEMS)


DECODER = Decoder(
    name="intel-irris-tensiometer",
    vendor="INTEL-IRRIS",
    model="PRIMA INTEL-IRRIS soil sensor, tensiometer (Watermark)",
    source="CongducPham/PRIMA-Intel-IrriS: Arduino/README.md, Intelirris_Soil_Sensor.ino and watermark.cpp, April 2024",
    decode=decode,
    examples=[
        Example(  # built, as all: the values of the project's logs
            "00 67 0264  01 67 1F40  06 02 0147",
            fport=1,
            gives=[
                Reading("soil_moisture_tension", 61.2, "cbar"),
                Reading("resistance", 8000, "Ω"),
                Reading("battery_voltage", 3.27, "V"),
            ],
        ),
        Example(  # two probes and soil temperature
            "00 67 0027  01 67 026C  02 67 0264  03 67 1F40  05 67 00F5  06 02 0170",
            fport=1,
            gives=[
                Reading("soil_moisture_tension", 3.9, "cbar"),
                Reading("resistance", 620, "Ω"),
                Reading("soil_moisture_tension_2", 61.2, "cbar"),
                Reading("resistance_2", 8000, "Ω"),
                Reading("soil_temperature", 24.5, "°C"),
                Reading("battery_voltage", 3.68, "V"),
            ],
        ),
        Example(  # both probes unplugged
            "00 67 09F6  01 67 7FF8  05 67 FC22  06 02 0170",
            fport=1,
            gives=[Reading("battery_voltage", 3.68, "V")],
        ),
        Example(
            "00 67 0264  0D 67 0BB8", fport=1, gives=[Reading("soil_moisture_tension", 61.2, "cbar")], fails=WrongFormat
        ),
        Example(
            "00 67 0264  01 67 1F", fport=1, gives=[Reading("soil_moisture_tension", 61.2, "cbar")], fails=WrongLength
        ),
    ],
)
