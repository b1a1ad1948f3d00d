"""RAKwireless RAK7200 tracker, and RAK5205, RAK7204, RAK7205 with the same payload.

A sequence of values, each behind a channel and a type byte (`lora_post.payloads.tagged`); types
and values are Cayenne LPP's, the channel tells the sensor, big-endian:

    C  T   V
    01 88  3×s24  position: latitude and longitude, 0.0001°; altitude, 0.01 m
    02 67  i16    temperature, 0.1 °C
    03 71  3×i16  acceleration, mg
    04 02  i16    resistance of the gas sensor, 0.01 kΩ
    05 68  u8     relative humidity, 0.5 %; older firmware
    05 86  3×i16  rotation, 0.01 °/s
    06 73  u16    barometric pressure, 0.1 hPa
    07 02  i16    battery, 0.01 V; older firmware
    07 68  u8     relative humidity, 0.5 %
    08 02  i16    battery, 0.01 V
    09 02  i16    magnetic field along x, 0.01 µT; 0A 02 along y, 0B 02 along z

Older firmware sends one value a frame, on FPort 2 to 5, and puts a u16 behind the position: speed,
0.01 km/h. The FPort is a setting otherwise, so it is not checked. Not decoded: positions with six
decimals, which a firmware for it sends under the same channel and type.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import Item, axes, number, read_tagged

POSITION_TAG = b"\x01\x88"
POSITION = Struct(">bHbHbH")  # a signed 24-bit number is `bH`: its high byte, the rest
POSITION_AND_SPEED = len(POSITION_TAG) + POSITION.size + 2
FIELD = "MagneticFluxDensity"


def read_position(value: bytes) -> list[Reading]:
    a, b, c, d, e, f = POSITION.unpack(value)
    latitude, longitude, altitude = (a << 16 | b) / 10000, (c << 16 | d) / 10000, (e << 16 | f) / 100
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise Implausible(f"position {latitude}, {longitude}")
    return [Reading("gps", {"latitude": latitude, "longitude": longitude, "altitude": altitude})]


ITEMS = {
    POSITION_TAG: Item(POSITION.size, read_position),
    b"\x02\x67": number("temperature", "°C", ">h", 10),
    b"\x03\x71": axes("accelerometer", "g", 1000),
    b"\x04\x02": number("gas_resistance", "kΩ", ">h", 100, quantity="ElectricalResistance"),
    b"\x05\x68": number("relative_humidity", "%", "B", 2, most=100),
    b"\x05\x86": axes("gyrometer", "°/s", 100),
    b"\x06\x73": number("barometric_pressure", "hPa", ">H", 10),
    b"\x07\x02": number("battery_voltage", "V", ">h", 100),
    b"\x07\x68": number("relative_humidity", "%", "B", 2, most=100),
    b"\x08\x02": number("battery_voltage", "V", ">h", 100),
    b"\x09\x02": number("magnetic_field_x", "µT", ">h", 100, quantity=FIELD),
    b"\x0a\x02": number("magnetic_field_y", "µT", ">h", 100, quantity=FIELD),
    b"\x0b\x02": number("magnetic_field_z", "µT", ">h", 100, quantity=FIELD),
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    if len(payload) == POSITION_AND_SPEED and payload.startswith(POSITION_TAG):
        speed = int.from_bytes(payload[-2:], "big") / 100
        return [*read_tagged(payload[:-2], ITEMS), Reading("speed", speed, "km/h")]
    return read_tagged(payload, ITEMS)


DECODER = Decoder(
    name="rakwireless-rak7200",
    vendor="RAKwireless",
    model="RAK7200, RAK5205, RAK7204, RAK7205",
    source="RAK7200 quick start guide, Decoding Sensor Data; RAKWireless/RUI_LoRa_node_payload_decoder",
    decode=decode,
    examples=[
        Example(  # the maker's, in the quick start guide of the RAK7200
            "01 88 053782 109D6A 00B342  08 02 0166  03 71 0006 FE66 03B1  05 86 FFDD 00CC 0004"
            " 09 02 CDBA  0A 02 F367  0B 02 17CA",
            fport=2,
            gives=[
                Reading("gps", {"latitude": 34.189, "longitude": 108.8874, "altitude": 458.9}),
                Reading("battery_voltage", 3.58, "V"),
                Reading("accelerometer", {"x": 0.006, "y": -0.41, "z": 0.945}, "g"),
                Reading("gyrometer", {"x": -0.35, "y": 2.04, "z": 0.04}, "°/s"),
                Reading("magnetic_field_x", -128.7, "µT", quantity=FIELD),
                Reading("magnetic_field_y", -32.25, "µT", quantity=FIELD),
                Reading("magnetic_field_z", 60.9, "µT", quantity=FIELD),
            ],
        ),
        Example(  # the maker's, in RUISensorDataDecoder_for_TTN.js
            "01 88 053797 109D59 00DC14  08 02 017A  07 68 58  06 73 256D  02 67 011D  04 02 14AF 03 71 FFFF FFDD FC2E",
            fport=2,
            gives=[
                Reading("gps", {"latitude": 34.1911, "longitude": 108.8857, "altitude": 563.4}),
                Reading("battery_voltage", 3.78, "V"),
                Reading("relative_humidity", 44.0, "%"),
                Reading("barometric_pressure", 958.1, "hPa"),
                Reading("temperature", 28.5, "°C"),
                Reading("gas_resistance", 52.95, "kΩ", quantity="ElectricalResistance"),
                Reading("accelerometer", {"x": -0.001, "y": -0.035, "z": -0.978}, "g"),
            ],
        ),
        Example(  # the maker's, for a RAK5205 with older firmware, as the next four
            "01 88 0537A9 109D5B 00C0F8 0016",
            fport=2,
            gives=[
                Reading("gps", {"latitude": 34.1929, "longitude": 108.8859, "altitude": 494.0}),
                Reading("speed", 0.22, "km/h"),
            ],
        ),
        Example("07 02 019F", fport=3, gives=[Reading("battery_voltage", 4.15, "V")]),
        Example(
            "03 71 FF00 FFF0 0050",
            fport=4,
            gives=[Reading("accelerometer", {"x": -0.256, "y": -0.016, "z": 0.08}, "g")],
        ),
        Example(
            "02 67 0130  05 68 21  06 73 25B4",
            fport=5,
            gives=[
                Reading("temperature", 30.4, "°C"),
                Reading("relative_humidity", 16.5, "%"),
                Reading("barometric_pressure", 965.2, "hPa"),
            ],
        ),
        Example(  # built, as all below: south and west, in frost
            "01 88 FAC850 F9E580 FFFF9C  02 67 FFCE",
            fport=2,
            gives=[
                Reading("gps", {"latitude": -34.1936, "longitude": -40.0, "altitude": -1.0}),
                Reading("temperature", -5.0, "°C"),
            ],
        ),
        Example(
            "01 88 7FFFFF 109D5B 00C0F8  08 02 0166",
            fport=2,
            gives=[Reading("battery_voltage", 3.58, "V")],
            fails=Implausible,
        ),
        Example("08 02 0166  0C 02 0001", fport=2, gives=[Reading("battery_voltage", 3.58, "V")], fails=WrongFormat),
        Example("08 02 0166  02 67 01", fport=2, gives=[Reading("battery_voltage", 3.58, "V")], fails=WrongLength),
    ],
)
