"""Milesight EM300-TH: temperature, humidity, battery.

A sequence of values, usually on FPort 85, every 10 minutes (battery every 6 hours), little-endian:

    CC TT VV …  CC TT VV …

    C T   V
    01 75  u8   battery, %
    03 67  i16  temperature, 0.1 °C
    04 68  u8   relative humidity, 0.5 %
    20 CE  8    stored values of another time: u32 Unix time, i16 and u8 as above, one unused
    FF 01  1    protocol version
    FF 09  2    hardware version
    FF 0A  2    firmware version
    FF 0B  1    switched on
    FF 0F  1    LoRaWAN class
    FF 16  8    serial number
    FF FE  1    reset
    FF FF  2    version of this table

The FPort is a setting, so it is not checked. Values of FF are skipped: they say nothing about the
field. Stored values are not decoded, since when they were measured is told in the device's own
clock; they are reported and the rest is kept. Answers to downlinks (other types of FE and FF) have
sizes of their own and end the decoding.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, Reading, WrongFormat, WrongLength

TEMPERATURE = Struct("<h")
BATTERY_LEVEL, AIR_TEMPERATURE, HUMIDITY, HISTORY = (0x01, 0x75), (0x03, 0x67), (0x04, 0x68), (0x20, 0xCE)
SIZES = {
    BATTERY_LEVEL: 1,
    AIR_TEMPERATURE: 2,
    HUMIDITY: 1,
    HISTORY: 8,
    (0xFF, 0x01): 1,
    (0xFF, 0x09): 2,
    (0xFF, 0x0A): 2,
    (0xFF, 0x0B): 1,
    (0xFF, 0x0F): 1,
    (0xFF, 0x16): 8,
    (0xFF, 0xFE): 1,
    (0xFF, 0xFF): 2,
}


def decode(payload: bytes, fport: int) -> list[Reading]:
    readings: list[Reading] = []
    stored = offset = 0
    while offset < len(payload):
        kind = (payload[offset], payload[offset + 1] if offset + 1 < len(payload) else -1)
        size = SIZES.get(kind)
        if size is None:
            raise WrongFormat(f"offset {offset}: {payload[offset : offset + 2].hex(' ')} is not known", readings)
        value = payload[offset + 2 : offset + 2 + size]
        if len(value) < size:
            raise WrongLength(f"offset {offset}: value cut short, {len(value)} of {size} bytes", readings)
        if kind in (BATTERY_LEVEL, HUMIDITY) and value[0] > (100 if kind == BATTERY_LEVEL else 200):
            raise Implausible(f"offset {offset}: {payload[offset : offset + 3].hex(' ')} is over 100 %", readings)
        if kind == BATTERY_LEVEL:
            readings.append(Reading("battery_level", value[0], "%"))
        elif kind == AIR_TEMPERATURE:
            readings.append(Reading("temperature", TEMPERATURE.unpack(value)[0] / 10, "°C"))
        elif kind == HUMIDITY:
            readings.append(Reading("relative_humidity", value[0] / 2, "%"))
        elif kind == HISTORY:
            stored += 1
        offset += 2 + size
    if stored:
        raise WrongFormat(f"{stored} stored measurements of another time are left out", readings)
    return readings


DECODER = Decoder(
    name="milesight-em300-th",
    vendor="Milesight",
    model="EM300-TH",
    source="EM300 Series User Guide, section 5; Milesight-IoT/SensorDecoders: em-series/em300-th/README.md",
    decode=decode,
    examples=[
        Example(  # published by the maker, as the next ones
            "01 75 5C  03 67 3401  04 68 65",
            fport=85,
            gives=[
                Reading("battery_level", 92, "%"),
                Reading("temperature", 30.8, "°C"),
                Reading("relative_humidity", 50.5, "%"),
            ],
        ),
        Example(
            "01 75 64  03 67 0401  04 68 7B",
            fport=85,
            gives=[
                Reading("battery_level", 100, "%"),
                Reading("temperature", 26.0, "°C"),
                Reading("relative_humidity", 61.5, "%"),
            ],
        ),
        Example("03 67 9CFF", fport=85, gives=[Reading("temperature", -10.0, "°C")]),  # an alarm, in frost
        Example("FF 09 0100  FF 0A 0102  FF 0F 00", fport=85, gives=[]),  # after a join
        Example("20 CE 9E744663 1001 5D 00", fport=85, fails=WrongFormat),
        Example(  # a stored measurement before a new one
            "20 CE 9E744663 1001 5D 00  03 67 1001",
            fport=85,
            gives=[Reading("temperature", 27.2, "°C")],
            fails=WrongFormat,
        ),
        Example("03 67 1001  05 00 01", fport=85, gives=[Reading("temperature", 27.2, "°C")], fails=WrongFormat),
        Example("03 67 1001  04 68", fport=85, gives=[Reading("temperature", 27.2, "°C")], fails=WrongLength),
        Example("03 67 1001  04 68 FF", fport=85, gives=[Reading("temperature", 27.2, "°C")], fails=Implausible),
    ],
)
