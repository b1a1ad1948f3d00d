"""INTEL-IRRIS soil sensor, capacitive probe (SEN0308): moisture, temperature, battery.

A sequence of values, each behind a channel and a type byte (`lora_post.payloads.tagged`): XLPP or
Cayenne LPP of two types, every hour. The firmware sends nearly everything as a temperature; the channel
tells what it is, big-endian:

    C  T   V
    00 67  i16  the probe's reading of its 10-bit converter, 0.1: 0 = very wet … about 800 = dry;
                mV in firmware that is built for it
    05 67  i16  soil temperature, 0.1 °C; -99.0 or -127.0 = no probe
    06 02  i16  battery, 0.01 V, the lowest since the uplink before
    08 67  i16  CO2, 0.1 ppm

The reading of the probe falls as the soil gets wetter and depends on soil and probe: what is dry and
what is wet must be calibrated. Firmware with further probes repeats a channel; such values get a
number, `soil_moisture_raw_2`. A device with a tensiometer sends other things on the same channels:
use intel-irris-tensiometer for it. Firmware built without LPP sends text. The FPort is not checked.
"""

from lora_post import Decoder, Example, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import number, read_tagged

NO_PROBE = frozenset({-990, -1270})
ITEMS = {
    b"\x00\x67": number("soil_moisture_raw", "", ">h", 10),
    b"\x05\x67": number("soil_temperature", "°C", ">h", 10, faults=NO_PROBE),
    b"\x06\x02": number("battery_voltage", "V", ">h", 100),
    b"\x08\x67": number("co2", "ppm", ">h", 10),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_tagged(payload, ITEMS)


DECODER = Decoder(
    name="intel-irris-capacitive",
    vendor="INTEL-IRRIS",
    model="PRIMA INTEL-IRRIS soil sensor, capacitive (SEN0308)",
    source="CongducPham/PRIMA-Intel-IrriS: Arduino/README.md and Intelirris_Soil_Sensor.ino, April 2024",
    decode=decode,
    examples=[
        Example(  # built, as all: the values of the project's logs
            "00 67 1446  06 02 0170",
            fport=1,
            gives=[Reading("soil_moisture_raw", 519.0), Reading("battery_voltage", 3.68, "V")],
        ),
        Example(  # with soil temperature, in frost
            "00 67 0AAA  05 67 FFF6  06 02 0147",
            fport=1,
            gives=[
                Reading("soil_moisture_raw", 273.0),
                Reading("soil_temperature", -1.0, "°C"),
                Reading("battery_voltage", 3.27, "V"),
            ],
        ),
        Example(  # a second moisture probe; the temperature probe is unplugged
            "00 67 0AAA  00 67 0BB8  05 67 FB0A  06 02 0147",
            fport=1,
            gives=[
                Reading("soil_moisture_raw", 273.0),
                Reading("soil_moisture_raw_2", 300.0),
                Reading("battery_voltage", 3.27, "V"),
            ],
        ),
        Example("00 67 0AAA  01 67 0BB8", fport=1, gives=[Reading("soil_moisture_raw", 273.0)], fails=WrongFormat),
        Example("00 67 0AAA  06 02 01", fport=1, gives=[Reading("soil_moisture_raw", 273.0)], fails=WrongLength),
    ],
)
