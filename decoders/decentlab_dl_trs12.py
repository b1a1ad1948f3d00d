"""Decentlab DL-TRS12 soil sensor: moisture, temperature, conductivity, battery.

The header of all Decentlab devices (`lora_post.payloads.decentlab`), then, every 10 minutes, the
words of the sensors that it lists, big-endian:

    sensor 0  u16  raw moisture R, 0.1
              u16  soil temperature, 0.1 °C, 8000 = 0 °C
              u16  soil conductivity, µS/cm
    sensor 1  u16  battery, mV

Two values are computed from R with the maker's equations: the volumetric water content of mineral
soil, 3.879e-4 R - 0.6956 m³/m³, and the dielectric permittivity,
(2.887e-9 R³ - 2.08e-5 R² + 5.276e-2 R - 43.39)². A water content outside -20 … 100 % drops both, never
the frame; slightly below zero it is air. Not seen: words in place of which a fault is sent.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.decentlab import BATTERY, Sensor, Words, read_sensors

DRIEST, WETTEST = -20, 100  # %


def read_soil(words: Words) -> list[Reading]:
    raw = words[0] / 10
    others = [
        Reading("soil_temperature", (words[1] - 0x8000) / 10, "°C"),
        Reading("soil_conductivity", words[2], "µS/cm"),
    ]
    moisture = round((3.879e-4 * raw - 0.6956) * 100, 2)
    if not DRIEST <= moisture <= WETTEST:
        raise Implausible(f"soil moisture {moisture} %", others)
    permittivity = (2.887e-9 * raw**3 - 2.08e-5 * raw**2 + 5.276e-2 * raw - 43.39) ** 2
    return [
        Reading("dielectric_permittivity", round(permittivity, 2)),
        Reading("soil_moisture", moisture, "%"),
        *others,
    ]


SENSORS = (Sensor(3, read_soil), BATTERY)


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_sensors(payload, SENSORS)


DECODER = Decoder(
    name="decentlab-dl-trs12",
    vendor="Decentlab",
    model="DL-TRS12",
    source="DL-TRS12 Datasheet, section on the sensor data message format; decentlab/decentlab-decoders: DL-TRS12",
    decode=decode,
    examples=[
        Example(  # published by the maker, in the datasheet and in DL-TRS12/DL-TRS12.py, as the next one
            "02 10D3 0003 46BE 813D 0000 0C80",
            fport=1,
            gives=[
                Reading("dielectric_permittivity", 1.18),
                Reading("soil_moisture", 0.69, "%"),
                Reading("soil_temperature", 31.7, "°C"),
                Reading("soil_conductivity", 0, "µS/cm"),
                Reading("battery_voltage", 3.2, "V"),
            ],
        ),
        Example("02 10D3 0002 0C80", fport=1, gives=[Reading("battery_voltage", 3.2, "V")]),
        Example(  # built, as all below: wet soil in frost
            "02 10D3 0001 61A8 7FF6 00C8",
            fport=1,
            gives=[
                Reading("dielectric_permittivity", 13.1),
                Reading("soil_moisture", 27.41, "%"),
                Reading("soil_temperature", -1.0, "°C"),
                Reading("soil_conductivity", 200, "µS/cm"),
            ],
        ),
        Example(
            "02 10D3 0003 0000 813D 0000 0C80",
            fport=1,
            gives=[
                Reading("soil_temperature", 31.7, "°C"),
                Reading("soil_conductivity", 0, "µS/cm"),
                Reading("battery_voltage", 3.2, "V"),
            ],
            fails=Implausible,
        ),
        Example(  # battery cut off
            "02 10D3 0003 46BE 813D 0000",
            fport=1,
            gives=[
                Reading("dielectric_permittivity", 1.18),
                Reading("soil_moisture", 0.69, "%"),
                Reading("soil_temperature", 31.7, "°C"),
                Reading("soil_conductivity", 0, "µS/cm"),
            ],
            fails=WrongLength,
        ),
        Example("03 10D3 0002 0C80", fport=1, fails=WrongFormat),
        Example("02 10D3 0000", fport=1, fails=NoReading),
    ],
)
