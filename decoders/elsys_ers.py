"""Elsys ERS, and with it EMS, ELT and all other Elsys sensors: they share one payload.

A sequence of values, each behind a type byte (`lora_post.payloads.tagged`), big-endian:

    T   V
    01  i16    temperature, 0.1 °C
    02  u8     relative humidity, %
    03  3×i8   acceleration, 1/63 g
    04  u16    illuminance, lx
    05  u8     movements that the infrared detector counted since the last uplink
    06  u16    CO2, ppm
    07  u16    battery, mV
    08  u16    analogue input 1, mV
    09  6      position; skipped, since no document tells its scale
    0A  u16    pulses at input 1 since the last uplink
    0B  u32    pulses at input 1 in all
    0C  i16    external probe, 0.1 °C
    0D  u8     digital input 1
    0E  u16    distance, mm
    0F  u8     shocks that the accelerometer counted since the last uplink
    10  2×i16  infrared thermometer: its own temperature, that of the surface, 0.1 °C
    11  u8     occupancy: 0 = vacant, 1 = pending, 2 = occupied
    12  u8     water leak: 0 = dry … 255
    13  65     8 × 8 heat picture; skipped
    14  u32    barometric pressure, Pa / 1000 as hPa
    15  2×u8   sound, dB: peak, average
    16 17 18   as 0A, 0B and 08, of input 2
    19  i16    as 0C, further probes; may occur several times
    1A  u8     digital input 2
    1B  i32    analogue input, µV
    1C  u16    total volatile organic compounds, ppb
    1D  u8     index of the air's quality
    22  i16    temperature that is set at a thermostat, 0.1 °C
    24  u8     relative humidity at an external probe, %
    3C  4      checksum, 3D 4 for the maker; both skipped
    3E         the device's settings fill the payload

Bits 7 and 6 of a type tell how many bytes behind its value say when it was measured; in which unit, no document found
tells, so such a value costs a warning.

The FPort is a setting (5 unless changed), so it is not checked. Not decoded: other types up to
3B. What is known of 1C and later ones, and of bits 7 and 6, comes from users' decoders.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import Item, number, read_tagged, skipped, together

SETTINGS = 0x3E
COUNTS_PER_G = 63


def read_acceleration(value: bytes) -> list[Reading]:
    x, y, z = (round((byte - 256 if byte > 127 else byte) / COUNTS_PER_G, 3) for byte in value)
    return [Reading("accelerometer", {"x": x, "y": y, "z": z}, "g")]


def of_another_time(item: Item, time_size: int) -> Item:
    def read(value: bytes) -> list[Reading]:
        raise WrongFormat(f"a value with its time, {value.hex()}, is not understood")

    return Item(item.size + time_size, read)


TYPES = {
    b"\x01": number("temperature", "°C", ">h", 10),
    b"\x02": number("relative_humidity", "%", most=100),
    b"\x03": Item(3, read_acceleration),
    b"\x04": number("illuminance", "lx", ">H"),
    b"\x05": number("motion"),
    b"\x06": number("co2", "ppm", ">H"),
    b"\x07": number("battery_voltage", "V", ">H", 1000),
    b"\x08": number("voltage_1", "V", ">H", 1000),
    b"\x09": skipped(6),
    b"\x0a": number("count_1", "", ">H"),
    b"\x0b": number("total_count_1", "", ">I"),
    b"\x0c": number("external_temperature", "°C", ">h", 10),
    b"\x0d": number("digital_in_1"),
    b"\x0e": number("distance", "mm", ">H"),
    b"\x0f": number("shock_count"),
    b"\x10": together(
        number("infrared_sensor_temperature", "°C", ">h", 10), number("surface_temperature", "°C", ">h", 10)
    ),
    b"\x11": number("occupancy", most=2, quantity="Presence"),
    b"\x12": number("water_leak"),
    b"\x13": skipped(65),
    b"\x14": number("barometric_pressure", "hPa", ">I", 1000),
    b"\x15": together(number("noise_peak", "dB"), number("noise", "dB")),
    b"\x16": number("count_2", "", ">H"),
    b"\x17": number("total_count_2", "", ">I"),
    b"\x18": number("voltage_2", "V", ">H", 1000),
    b"\x19": number("external_temperature_2", "°C", ">h", 10),
    b"\x1a": number("digital_in_2"),
    b"\x1b": number("analog_voltage", "µV", ">i"),
    b"\x1c": number("tvoc", "ppb", ">H"),
    b"\x1d": number("air_quality"),
    b"\x22": number("target_temperature", "°C", ">h", 10),
    b"\x24": number("external_humidity", "%", most=100),
    b"\x3c": skipped(4),
    b"\x3d": skipped(4),
}
ITEMS = TYPES | {
    bytes([tag[0] | size << 6]): of_another_time(item, size) for tag, item in TYPES.items() for size in (1, 2, 3)
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    if payload[:1] == bytes([SETTINGS]):
        raise NoReading("the device's settings")
    return read_tagged(payload, ITEMS)


DECODER = Decoder(
    name="elsys-ers",
    vendor="Elsys",
    model="ERS, ERS CO2, ERS Sound, EMS, ELT-2, ELT Ultrasonic and all others",
    source="Elsys generic payload decoder, as in chirpstack/chirpstack-device-profiles: vendors/elsys/codecs/elsys.js",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/elsys/ers-codec.yaml
            "01 00E2  02 29  04 0027  05 06",
            fport=1,
            gives=[
                Reading("temperature", 22.6, "°C"),
                Reading("relative_humidity", 41, "%"),
                Reading("illuminance", 39, "lx"),
                Reading("motion", 6),
            ],
        ),
        Example(  # the payload that most published decoders are tried with
            "01 00E2  02 29  04 0027  05 06  06 0308  07 0D62",
            fport=5,
            gives=[
                Reading("temperature", 22.6, "°C"),
                Reading("relative_humidity", 41, "%"),
                Reading("illuminance", 39, "lx"),
                Reading("motion", 6),
                Reading("co2", 776, "ppm"),
                Reading("battery_voltage", 3.426, "V"),
            ],
        ),
        Example(  # published in chirpstack/chirpstack-device-profiles, as the next four
            "01 00C8  0C 0096",
            fport=5,
            gives=[Reading("temperature", 20.0, "°C"), Reading("external_temperature", 15.0, "°C")],
        ),
        Example(
            "01 FFCE  02 50",
            fport=5,
            gives=[Reading("temperature", -5.0, "°C"), Reading("relative_humidity", 80, "%")],
        ),
        Example("14 000F5CA8", fport=5, gives=[Reading("barometric_pressure", 1006.76, "hPa")]),
        Example("0A 002A", fport=5, gives=[Reading("count_1", 42)]),
        Example(
            "01 00B4  08 1388", fport=5, gives=[Reading("temperature", 18.0, "°C"), Reading("voltage_1", 5.0, "V")]
        ),
        Example(  # built, as all below: an ELT-2 with three probes, lying on its side
            "03 3F00C1  0F 02  0C FFF6  19 00E2  19 00A3",
            fport=5,
            gives=[
                Reading("accelerometer", {"x": 1.0, "y": 0.0, "z": -1.0}, "g"),
                Reading("shock_count", 2),
                Reading("external_temperature", -1.0, "°C"),
                Reading("external_temperature_2", 22.6, "°C"),
                Reading("external_temperature_3", 16.3, "°C"),
            ],
        ),
        Example(  # ERS Eye and ERS Sound
            "10 00E6 0131  11 02  15 48 2C  3D 00000000  1C 0102",
            fport=5,
            gives=[
                Reading("infrared_sensor_temperature", 23.0, "°C"),
                Reading("surface_temperature", 30.5, "°C"),
                Reading("occupancy", 2, quantity="Presence"),
                Reading("noise_peak", 72, "dB"),
                Reading("noise", 44, "dB"),
                Reading("tvoc", 258, "ppb"),
            ],
        ),
        Example("3E 44 07 05 10", fport=6, fails=NoReading),
        Example(  # the second temperature is of another time
            "01 00E2  81 00E3 0258  07 0D62",
            fport=5,
            gives=[Reading("temperature", 22.6, "°C"), Reading("battery_voltage", 3.426, "V")],
            fails=WrongFormat,
        ),
        Example(
            "01 00E2  02 FF  07 0D62",
            fport=5,
            gives=[Reading("temperature", 22.6, "°C"), Reading("battery_voltage", 3.426, "V")],
            fails=Implausible,
        ),
        Example("01 00E2  2F 01", fport=5, gives=[Reading("temperature", 22.6, "°C")], fails=WrongFormat),
        Example("01 00E2  07 0D", fport=5, gives=[Reading("temperature", 22.6, "°C")], fails=WrongLength),
    ],
)
