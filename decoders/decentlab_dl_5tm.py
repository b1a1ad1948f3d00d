"""Decentlab DL-5TM soil sensor: moisture, temperature, battery.

The header of all Decentlab devices (`lora_post.payloads.decentlab`), then the words of the
sensors that it lists, big-endian:

    sensor 0  u16  dielectric permittivity, 0.02
              u16  soil temperature, 0.1 °C from -40 °C on
    sensor 1  u16  battery, mV

The volumetric water content is computed from the permittivity E with the equation of Topp et al.
(1980), which the maker uses for this device too: 4.3e-6 E³ - 5.5e-4 E² + 2.92e-2 E - 5.3e-2 m³/m³. It
is slightly negative in air. A permittivity beyond that of water drops both readings, never the frame.
Not seen: words in place of which a fault is sent.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.decentlab import BATTERY, Sensor, Words, read_sensors

PERMITTIVITY_OF_WATER = 81


def read_soil(words: Words) -> list[Reading]:
    permittivity = words[0] / 50
    temperature = Reading("soil_temperature", (words[1] - 400) / 10, "°C")
    if permittivity > PERMITTIVITY_OF_WATER:
        raise Implausible(f"dielectric permittivity {permittivity}", [temperature])
    water = 4.3e-6 * permittivity**3 - 5.5e-4 * permittivity**2 + 2.92e-2 * permittivity - 5.3e-2
    return [
        Reading("dielectric_permittivity", permittivity),
        Reading("soil_moisture", round(water * 100, 2), "%"),  # one step of the sensor is 0.08 %
        temperature,
    ]


SENSORS = (Sensor(2, read_soil), BATTERY)


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_sensors(payload, SENSORS)


DECODER = Decoder(
    name="decentlab-dl-5tm",
    vendor="Decentlab",
    model="DL-5TM",
    source="decentlab/decentlab-decoders: DL-5TM/DL-5TM.py",
    decode=decode,
    examples=[
        Example(  # published by the maker, in DL-5TM/DL-5TM.py, as the next one
            "02 023B 0003 0037 0271 0C60",
            fport=1,
            gives=[
                Reading("dielectric_permittivity", 1.1),
                Reading("soil_moisture", -2.15, "%"),
                Reading("soil_temperature", 22.5, "°C"),
                Reading("battery_voltage", 3.168, "V"),
            ],
        ),
        Example("02 023B 0002 0C60", fport=1, gives=[Reading("battery_voltage", 3.168, "V")]),
        Example(  # built, as all below: wet soil in frost
            "02 023B 0001 03E8 0186",
            fport=1,
            gives=[
                Reading("dielectric_permittivity", 20.0),
                Reading("soil_moisture", 34.54, "%"),
                Reading("soil_temperature", -1.0, "°C"),
            ],
        ),
        Example(
            "02 023B 0003 FFFF 0271 0C60",
            fport=1,
            gives=[Reading("soil_temperature", 22.5, "°C"), Reading("battery_voltage", 3.168, "V")],
            fails=Implausible,
        ),
        Example("02 023B 0006 0C60 0001", fport=1, gives=[Reading("battery_voltage", 3.168, "V")], fails=WrongFormat),
        Example("02 023B 0002 0C60 00", fport=1, gives=[Reading("battery_voltage", 3.168, "V")], fails=WrongLength),
        Example("02 023B 0003 0037 02", fport=1, fails=WrongLength),
        Example("01 023B 0002 0C60", fport=1, fails=WrongFormat),
        Example("02 023B 0000", fport=1, fails=NoReading),
        Example("02 023B", fport=1, fails=WrongLength),
    ],
)
