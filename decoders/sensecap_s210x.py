"""SenseCAP S2101 to S2105 (Seeed), and older SenseCAP sensors of the same format.

A sequence of measurements of seven bytes each, then a checksum, at an interval, little-endian:

    CC II II VV VV VV VV  CC II II VV VV VV VV  …  KK KK

    C  u8   channel: 1 for the sensor, 0 for the device
    I  u16  what it is: a measurement (table MEASUREMENTS), or below 1000 (hex) the device's state
    V  i32  the value, 0.001 of the measurement's unit
    K  u16  CRC-16/KERMIT of what is before it

Of the device's state only 0007 is read: battery in % and interval in minutes, both u16. A payload
with a wrong checksum gives no readings. An unknown measurement is left out and reported; so is one
that its sensor cannot have measured. The FPort is not told, so it is not checked.
"""

from binascii import crc_hqx
from struct import Struct

from lora_post import (
    BadChecksum,
    DecodeError,
    Decoder,
    Example,
    Implausible,
    NoReading,
    Reading,
    WrongFormat,
    WrongLength,
)

LAYOUT = Struct("<BHi")
CHECKSUM = Struct("<H")
FIRST_MEASUREMENT = 0x1000
BATTERY = 7

# number: (name, unit, scale, least, most); the value is divided by the scale
MEASUREMENTS = {
    4097: ("air_temperature", "°C", 1000, -40, 90),
    4098: ("relative_humidity", "%", 1000, 0, 100),
    4099: ("illuminance", "lx", 1000, 0, 188_000),
    4100: ("co2", "ppm", 1000, 0, 10_000),
    4101: ("barometric_pressure", "hPa", 100_000, 3, 11_000),
    4102: ("soil_temperature", "°C", 1000, -30, 70),
    4103: ("soil_moisture", "%", 1000, 0, 100),
    4104: ("wind_direction", "°", 1000, 0, 360),
    4105: ("wind_speed", "m/s", 1000, 0, 60),
    4106: ("ph", "pH", 1000, 0, 14),
    4107: ("light_quantum", "µmol/m²/s", 1000, 0, 5000),
    4108: ("soil_conductivity", "dS/m", 1000, 0, 23),
    4109: ("dissolved_oxygen", "mg/L", 1000, 0, 20),
    4110: ("soil_moisture", "%", 1000, 0, 100),
    4111: ("soil_conductivity", "dS/m", 1000, 0, 23),
    4112: ("soil_temperature", "°C", 1000, -40, 60),
    4113: ("rainfall", "mm/h", 1000, 0, 240),
    4115: ("distance", "cm", 1000, 28, 250),
    4117: ("water_level", "cm", 1000, 0, 500),
}
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def decode(payload: bytes, fport: int) -> list[Reading]:
    count, rest = divmod(len(payload) - CHECKSUM.size, LAYOUT.size)
    if rest or count < 1:
        raise WrongLength(f"{len(payload)} bytes, want a multiple of {LAYOUT.size} and {CHECKSUM.size}")
    (sent,) = CHECKSUM.unpack_from(payload, count * LAYOUT.size)
    computed = checksum(payload[: -CHECKSUM.size])
    if sent != computed:
        raise BadChecksum(f"checksum {sent:04x}, want {computed:04x}")

    readings: list[Reading] = []
    problem: DecodeError | None = None
    measured = False
    for _, kind, value in LAYOUT.iter_unpack(payload[: -CHECKSUM.size]):
        measured = measured or kind >= FIRST_MEASUREMENT or kind == BATTERY
        try:
            readings += read(kind, value)
        except DecodeError as error:
            problem = problem or error
    if problem:
        raise type(problem)(str(problem), readings)
    if not measured:
        raise NoReading("the device's versions and identity")
    return readings


def read(kind: int, value: int) -> list[Reading]:
    if kind == BATTERY:
        if value & 0xFFFF > 100:
            raise Implausible(f"battery {value & 0xFFFF} %")
        return [Reading("battery_level", value & 0xFFFF, "%")]
    if kind < FIRST_MEASUREMENT:
        return []
    if kind not in MEASUREMENTS:
        raise WrongFormat(f"measurement {kind} is not known")
    name, unit, scale, least, most = MEASUREMENTS[kind]
    if not least <= value / scale <= most:
        raise Implausible(f"{name} {value / scale} {unit}")
    return [Reading(name, value / scale, unit)]


def checksum(data: bytes) -> int:
    """Return CRC-16/KERMIT: the CRC of XMODEM, bits reversed in each byte and in the result."""
    crc = crc_hqx(data.translate(REVERSED), 0)
    return REVERSED[crc & 0xFF] << 8 | REVERSED[crc >> 8]


DECODER = Decoder(
    name="sensecap-s210x",
    vendor="Seeed",
    model="SenseCAP S2101, S2102, S2103, S2104, S2105 and older SenseCAP LoRaWAN sensors",
    source="SenseCAP S210X LoRaWAN Sensor User Guide, section 9; wiki.seeedstudio.com: List of Measurement IDs",
    decode=decode,
    examples=[
        Example(  # the user guide's, S2101
            "01 0110 B0680000  01 0210 88F40000  8CFF",
            fport=2,
            gives=[Reading("air_temperature", 26.8, "°C"), Reading("relative_humidity", 62.6, "%")],
        ),
        Example(  # the user guide's, S2104
            "01 0610 245E0000  01 0710 BCB10000  A3D9",
            fport=2,
            gives=[Reading("soil_temperature", 24.1, "°C"), Reading("soil_moisture", 45.5, "%")],
        ),
        Example(  # the user guide's, S2104 with its battery
            "00 0700 64000500  01 0610 B45F0000  01 0710 A41F0000  3259",
            fport=2,
            gives=[
                Reading("battery_level", 100, "%"),
                Reading("soil_temperature", 24.5, "°C"),
                Reading("soil_moisture", 8.1, "%"),
            ],
        ),
        Example(  # the user manual's, older CO2 sensor
            "01 0410 E08D0500  9802", fport=2, gives=[Reading("co2", 364.0, "ppm")]
        ),
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/sensecap/sensecap210x-codec.yaml
            "01 0110 98530000  01 0210 A87A0000  AF51",
            gives=[Reading("air_temperature", 21.4, "°C"), Reading("relative_humidity", 31.4, "%")],
        ),
        Example(  # published there too: versions, battery, interval
            "00 0000 01010001  00 0700 64003C00  01 2001 00000000  2890",
            gives=[Reading("battery_level", 100, "%")],
        ),
        Example(  # published there too: the sensor's identity
            "01 0100 01010001  01 0200 6A010015  01 0300 30F1F72C  01 0400 090C1314  01 0500 7F4D0000"
            " 01 0600 00000000  4CBE",
            fails=NoReading,
        ),
        Example(  # built, as all below: S2105 in frost
            "01 0610 78ECFFFF  01 0710 48A30000  01 0C10 B4000000  CA22",
            fport=2,
            gives=[
                Reading("soil_temperature", -5.0, "°C"),
                Reading("soil_moisture", 41.8, "%"),
                Reading("soil_conductivity", 0.18, "dS/m"),
            ],
        ),
        Example(
            "01 0110 B0680000  01 6210 88F40000  3D78",
            fport=2,
            gives=[Reading("air_temperature", 26.8, "°C")],
            fails=WrongFormat,
        ),
        Example(
            "01 0110 B0680000  01 0210 88F40100  54E6",
            fport=2,
            gives=[Reading("air_temperature", 26.8, "°C")],
            fails=Implausible,
        ),
        Example("01 0110 B0680000  01 0210 88F40000  8CFE", fport=2, fails=BadChecksum),
        Example("01 0110 B0680000  01 0210 88F4  8CFF", fport=2, fails=WrongLength),
    ],
)
