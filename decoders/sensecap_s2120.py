"""SenseCAP S2120 (Seeed) weather station: air, light, UV, wind, rain, pressure.

A sequence of frames, each behind a type byte (`lora_post.payloads.tagged`), big-endian:

    T   V
    01  i16   air temperature, 0.1 °C
        u8    relative humidity, %
        u32   illuminance, lx
        u8    UV index, 0.1
        u16   wind speed, 0.1 m/s
    02  u16   wind direction, °
        u32   rain in an hour, 0.001 mm
        u16   barometric pressure, 10 Pa
    03  u8    battery, %: 100, or 0 when it is low
    04  u8    battery, then 8 bytes of versions and intervals
    05  4     intervals
    06  u8    error of the sensor: 0 = none; others are told in a warning
    10  9     the sensor's state and identity
    4A  as 01, 4B as 02, from newer firmware, with
    4C  u16   fastest gust, 0.1 m/s
        u32   rain in all, 0.001 mm

Types 05 and 10 give no reading. The FPort is not told, so it is not checked. Not seen: what
replaces a value that could not be measured.
"""

from lora_post import Decoder, Example, Implausible, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import Item, number, read_tagged, skipped, together


def read_error(value: bytes) -> list[Reading]:
    if value != b"\0":
        raise WrongFormat(f"the sensor reports error {value.hex()}")
    return []


AIR = together(
    number("air_temperature", "°C", ">h", 10),
    number("relative_humidity", "%", most=100),
    number("illuminance", "lx", ">I"),
    number("uv_index", "", "B", 10),
    number("wind_speed", "m/s", ">H", 10),
)
WIND_AND_RAIN = together(
    number("wind_direction", "°", ">H", most=360),
    number("rainfall", "mm/h", ">I", 1000),
    number("barometric_pressure", "hPa", ">H", 10),
)
BATTERY = number("battery_level", "%", most=100)
ITEMS = {
    b"\x01": AIR,
    b"\x02": WIND_AND_RAIN,
    b"\x03": BATTERY,
    b"\x04": together(BATTERY, skipped(8)),
    b"\x05": skipped(4),
    b"\x06": Item(1, read_error),
    b"\x10": skipped(9),
    b"\x4a": AIR,
    b"\x4b": WIND_AND_RAIN,
    b"\x4c": together(
        number("wind_gust", "m/s", ">H", 10, quantity="WindSpeed"),
        number("rain_total", "mm", ">I", 1000, quantity="Rainfall"),
    ),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    return read_tagged(payload, ITEMS)


DECODER = Decoder(
    name="sensecap-s2120",
    vendor="Seeed",
    model="SenseCAP S2120 weather station",
    source="SenseCAP S2120 User Guide, section 10.3; Seeed-Solution/SenseCAP-Decoder: S2120/TTN",
    decode=decode,
    examples=[
        Example(  # the user guide's, section 10.3.2
            "04 64 0101 0103 000A 05A0  01 0110 43 00000000 00 0000  02 011A 00000000 2702",
            fport=3,
            gives=[
                Reading("battery_level", 100, "%"),
                Reading("air_temperature", 27.2, "°C"),
                Reading("relative_humidity", 67, "%"),
                Reading("illuminance", 0, "lx"),
                Reading("uv_index", 0.0),
                Reading("wind_speed", 0.0, "m/s"),
                Reading("wind_direction", 282, "°"),
                Reading("rainfall", 0.0, "mm/h"),
                Reading("barometric_pressure", 998.6, "hPa"),
            ],
        ),
        Example(  # built with the user guide's values from the UV index on, section 10.3.1; frost
            "01 FFCE 55 00007C6A 05 0011  02 0156 000000FE 2703",
            fport=3,
            gives=[
                Reading("air_temperature", -5.0, "°C"),
                Reading("relative_humidity", 85, "%"),
                Reading("illuminance", 31850, "lx"),
                Reading("uv_index", 0.5),
                Reading("wind_speed", 1.7, "m/s"),
                Reading("wind_direction", 342, "°"),
                Reading("rainfall", 0.254, "mm/h"),
                Reading("barometric_pressure", 998.7, "hPa"),
            ],
        ),
        Example(  # built, as all below: newer firmware
            "4B 0156 000000FE 2703  4C 0037 00003039  03 64  06 00",
            fport=3,
            gives=[
                Reading("wind_direction", 342, "°"),
                Reading("rainfall", 0.254, "mm/h"),
                Reading("barometric_pressure", 998.7, "hPa"),
                Reading("wind_gust", 5.5, "m/s", quantity="WindSpeed"),
                Reading("rain_total", 12.345, "mm", quantity="Rainfall"),
                Reading("battery_level", 100, "%"),
            ],
        ),
        Example(
            "02 0200 000000FE 2703",
            fport=3,
            gives=[Reading("rainfall", 0.254, "mm/h"), Reading("barometric_pressure", 998.7, "hPa")],
            fails=Implausible,
        ),
        Example(
            "03 64  06 03", fport=3, gives=[Reading("battery_level", 100, "%")], fails=WrongFormat
        ),  # sensor not heard
        Example("03 64  20 01", fport=3, gives=[Reading("battery_level", 100, "%")], fails=WrongFormat),
        Example("03 64  02 0156", fport=3, gives=[Reading("battery_level", 100, "%")], fails=WrongLength),
    ],
)
