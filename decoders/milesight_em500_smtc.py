"""Milesight EM500-SMTC: soil moisture, temperature and conductivity.

A sequence of values as all Milesight sensors send it (`lora_post.payloads.milesight`),
little-endian:

    C T   V
    01 75  u8   battery, %
    03 67  i16  soil temperature, 0.1 °C
    04 68  u8   soil moisture, 0.5 %; older firmware
    04 CA  u16  soil moisture, 0.01 %; newer firmware
    05 7F  u16  electrical conductivity, µS/cm
    83 D7  5    temperature alarm: i16 soil temperature and i16 its change, 0.1 °C;
                u8 0 = back within the thresholds, 1 = beyond them, 2 = changed too fast
    20 CE  10   stored values of an earlier time: u32 Unix time, u16 conductivity, i16 and u16 as above

FFFF in place of a 16-bit value means that the probe did not answer, FFFD that it is out of range;
they drop the reading, never the frame. A soil temperature of exactly -0.1 or -0.3 °C cannot be told
from them, so it gives no reading.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.milesight import BATTERY, BATTERY_LEVEL, HISTORY, read_items, stored
from lora_post.payloads.tagged import Item, number

FAULTS = frozenset({0xFFFF, 0xFFFD})
SIGNED_FAULTS = frozenset({-1, -3})
ALARM = Struct("<hhB")
LAST_ALARM = 2


def read_alarm(value: bytes) -> list[Reading]:
    temperature, change, alarm = ALARM.unpack(value)
    readings = []
    if temperature not in SIGNED_FAULTS:
        readings.append(Reading("soil_temperature", temperature / 10, "°C"))
    readings.append(Reading("soil_temperature_change", change / 10, "°C"))
    if alarm > LAST_ALARM:
        raise WrongFormat(f"alarm {alarm}, want 0, 1 or 2", readings)
    readings.append(Reading("soil_temperature_alarm", alarm != 0))
    return readings


TEMPERATURE = number("soil_temperature", "°C", "<h", 10, faults=SIGNED_FAULTS)
MOISTURE = number("soil_moisture", "%", "<H", 100, most=100, faults=FAULTS)
CONDUCTIVITY = number("soil_conductivity", "µS/cm", "<H", faults=FAULTS)
ITEMS = {
    BATTERY: BATTERY_LEVEL,
    b"\x03\x67": TEMPERATURE,
    b"\x04\x68": number("soil_moisture", "%", "B", 2, most=100),
    b"\x04\xca": MOISTURE,
    b"\x05\x7f": CONDUCTIVITY,
    b"\x83\xd7": Item(ALARM.size, read_alarm),
    HISTORY: stored(CONDUCTIVITY, TEMPERATURE, MOISTURE),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_items(payload, ITEMS)


DECODER = Decoder(
    name="milesight-em500-smtc",
    vendor="Milesight",
    model="EM500-SMTC",
    source="Milesight-IoT/SensorDecoders: em-series/em500-smtc/README.md and em500-smtc-decoder.js",
    decode=decode,
    examples=[
        Example(  # published by the maker, in em-series/em500-smtc/README.md
            "01 75 64  03 67 1901  04 68 73  05 7F F000",
            fport=85,
            gives=[
                Reading("battery_level", 100, "%"),
                Reading("soil_temperature", 28.1, "°C"),
                Reading("soil_moisture", 57.5, "%"),
                Reading("soil_conductivity", 240, "µS/cm"),
            ],
        ),
        Example(  # built, as all below: newer firmware, frost
            "03 67 ECFF  04 CA 3512  05 7F 2C01",
            fport=85,
            gives=[
                Reading("soil_temperature", -2.0, "°C"),
                Reading("soil_moisture", 46.61, "%"),
                Reading("soil_conductivity", 300, "µS/cm"),
            ],
        ),
        Example(  # moisture out of range, conductivity not measured
            "03 67 1901  04 CA FDFF  05 7F FFFF",
            fport=85,
            gives=[Reading("soil_temperature", 28.1, "°C")],
        ),
        Example("03 67 FFFF  04 CA FFFF  05 7F FFFF", fport=85),  # no probe
        Example(
            "83 D7 1901 3200 02",
            fport=85,
            gives=[
                Reading("soil_temperature", 28.1, "°C"),
                Reading("soil_temperature_change", 5.0, "°C"),
                Reading("soil_temperature_alarm", True),
            ],
        ),
        Example("FF 0B FF  FF 01 01  FF 0A 0102", fport=85, fails=NoReading),  # after a join
        Example(
            "04 CA 1127  05 7F F000", fport=85, gives=[Reading("soil_conductivity", 240, "µS/cm")], fails=Implausible
        ),
        Example(  # two stored measurements, of the second the conductivity alone
            "20 CE 9E744663 F000 1901 7311  20 CE F6764663 F100 FFFF FDFF  05 7F F200",
            fport=85,
            gives=[
                Reading("soil_conductivity", 240, "µS/cm", at_s=1665561758),
                Reading("soil_temperature", 28.1, "°C", at_s=1665561758),
                Reading("soil_moisture", 44.67, "%", at_s=1665561758),
                Reading("soil_conductivity", 241, "µS/cm", at_s=1665562358),
                Reading("soil_conductivity", 242, "µS/cm"),
            ],
        ),
        Example(
            "83 D7 1901 3200 03",
            fport=85,
            gives=[Reading("soil_temperature", 28.1, "°C"), Reading("soil_temperature_change", 5.0, "°C")],
            fails=WrongFormat,
        ),
        Example(
            "05 7F F000  03 67 19", fport=85, gives=[Reading("soil_conductivity", 240, "µS/cm")], fails=WrongLength
        ),
    ],
)
