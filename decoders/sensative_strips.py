"""Sensative Strips: Guard, Drip, Comfort, Presence and the multi-sensor.

A sequence of values, each behind a type byte (`lora_post.payloads.tagged`), big-endian:

    FPort 1, at changes and at intervals        NN NN  TT VV …  TT VV …
    FPort 2, stored values that were asked for  NN NN  AA AA AA AA TT VV …  AA AA AA AA TT VV …

    N  u16  number of the newest value in the device's store, of the first one here on FPort 2
    A  u32  seconds since it was measured
    T  u8   type in bits 6-0; bit 7 = the value is in the device's store too:

    T   V
    00  -        nothing
    01  u8       battery, %
    02  i16      temperature, 0.1 °C
    03  u8       temperature alarm: bit 0 = too high, bit 1 = too low
    04  i16      average temperature, 0.1 °C; 05 its alarm, as 03
    06  u8       relative humidity, 0.5 %
    07  u16      illuminance, lx; 08 a second range of it
    09  u8       door contact, 0 or 1; 0A its alarm
    0B  u8       tamper contact; 0C its alarm
    0D  u8       wetness, %; 0E its alarm
    0F  u8       oil or foil alarm
    10  u8       button alarm
    11  u16      openings of the door
    12  u8       presence
    13  u16      proximity; 14 near, 15 u8 its alarm
    16  u8       disinfection: 0 = dirty, 1 = occupied, 2 = being cleaned, 3 = clean
    50  u8 i16   06 and 02
    51  u8 i16   06 and 04
    52  u8 i16   09 and 02
    6E  8        report of a start; skipped
    70  u16      capacitance as a raw number: flood, 71 pad, 72 end

FPort 11 tells the device's settings.

Published decoders disagree on whether 1 at the door contact means open or closed, so it is passed on
as the number it is.
"""

from msgspec.structs import replace

from lora_post import DecodeError, Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength
from lora_post.payloads.tagged import Item, flag, number, read_tagged, skipped, together

NOW, STORED, SETTINGS = 1, 2, 11
NUMBER_SIZE, AGE_SIZE = 2, 4
IN_STORE = 0x80


def alarms(name: str) -> Item:
    return Item(
        1, lambda value: [Reading(f"{name}_high", value[0] & 1 == 1), Reading(f"{name}_low", value[0] & 2 == 2)]
    )


TEMPERATURE = number("temperature", "°C", ">h", 10)
AVERAGE = number("average_temperature", "°C", ">h", 10)
HUMIDITY = number("relative_humidity", "%", "B", 2, most=100)
DOOR = number("door_contact", most=1)
TYPES = {
    0x00: skipped(0),
    0x01: number("battery_level", "%", most=100),
    0x02: TEMPERATURE,
    0x03: alarms("temperature"),
    0x04: AVERAGE,
    0x05: alarms("average_temperature"),
    0x06: HUMIDITY,
    0x07: number("illuminance", "lx", ">H"),
    0x08: number("illuminance_2", "lx", ">H"),
    0x09: DOOR,
    0x0A: flag("door_alarm"),
    0x0B: flag("tamper"),
    0x0C: flag("tamper_alarm"),
    0x0D: number("wetness", "%", most=100),
    0x0E: flag("flood_alarm"),
    0x0F: flag("oil_alarm"),
    0x10: flag("button_alarm"),
    0x11: number("door_count", "", ">H"),
    0x12: flag("presence"),
    0x13: number("proximity", "", ">H"),
    0x14: number("close_proximity", "", ">H"),
    0x15: flag("close_proximity_alarm"),
    0x16: number("disinfection", most=3),
    0x50: together(HUMIDITY, TEMPERATURE),
    0x51: together(HUMIDITY, AVERAGE),
    0x52: together(DOOR, TEMPERATURE),
    0x6E: skipped(8),
    0x70: number("capacitance_flood", "", ">H"),
    0x71: number("capacitance_pad", "", ">H"),
    0x72: number("capacitance_end", "", ">H"),
}
ITEMS = {bytes([kind | bit]): item for kind, item in TYPES.items() for bit in (0, IN_STORE)}


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == SETTINGS:
        raise NoReading(f"FPort {fport} tells the device's settings")
    if fport not in (NOW, STORED):
        raise WrongFormat(f"FPort {fport}, want {NOW} or {STORED}")
    if len(payload) < NUMBER_SIZE:
        raise WrongLength(f"{len(payload)} bytes, want {NUMBER_SIZE} or more")
    return read_tagged(payload, ITEMS, NUMBER_SIZE) if fport == NOW else read_stored(payload)


def read_stored(payload: bytes) -> list[Reading]:
    """Return the readings of FPort 2, each with its age."""
    readings: list[Reading] = []
    problem: DecodeError | None = None
    offset = NUMBER_SIZE
    while offset < len(payload):
        start = offset + AGE_SIZE + 1
        item = ITEMS.get(payload[start - 1 : start])
        if start > len(payload) or (item and start + item.size > len(payload)):
            raise WrongLength(f"offset {offset}: value cut short", readings)
        if item is None:
            raise WrongFormat(f"offset {start - 1}: {payload[start - 1]:02x} is not known", readings)
        try:
            found = item.read(payload[start : start + item.size])
        except DecodeError as error:
            found = list(error.kept)
            problem = problem or type(error)(f"offset {start - 1}: {error}")
        age_s = float(int.from_bytes(payload[offset : offset + AGE_SIZE], "big"))
        readings += [replace(reading, age_s=age_s) for reading in found]
        offset = start + item.size
    if problem:
        raise type(problem)(str(problem), readings)
    return readings


DECODER = Decoder(
    name="sensative-strips",
    vendor="Sensative",
    model="Strips Guard, Drip, Comfort, Presence, Multi-Sensor (LoRaWAN)",
    source="Sensative/strips-lora-translator-open-source: strips-translate.js; TheThingsNetwork/lorawan-devices: "
    "vendor/sensative/strips-codec.yaml",
    decode=decode,
    examples=[
        Example("01 03 00000000", fport=11, fails=NoReading),
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/sensative/strips-codec.yaml
            "FFFF  01 50  02 00EA  03 00  0D 00  0E 00  10 00",
            fport=1,
            gives=[
                Reading("battery_level", 80, "%"),
                Reading("temperature", 23.4, "°C"),
                Reading("temperature_high", False),
                Reading("temperature_low", False),
                Reading("wetness", 0, "%"),
                Reading("flood_alarm", False),
                Reading("button_alarm", False),
            ],
        ),
        Example(  # built, as all below: a door in frost, some of it in the store too
            "0012  89 01  D0 5B FFCE  07 012C  91 0105",
            fport=1,
            gives=[
                Reading("door_contact", 1),
                Reading("relative_humidity", 45.5, "%"),
                Reading("temperature", -5.0, "°C"),
                Reading("illuminance", 300, "lx"),
                Reading("door_count", 261),
            ],
        ),
        Example(
            "0010  00000E10 02 00EA  00000708 02 FFCE",
            fport=2,
            gives=[
                Reading("temperature", 23.4, "°C", age_s=3600.0),
                Reading("temperature", -5.0, "°C", age_s=1800.0),
            ],
        ),
        Example("0012  06 FF  01 50", fport=1, gives=[Reading("battery_level", 80, "%")], fails=Implausible),
        Example("0012  01 50  40 00", fport=1, gives=[Reading("battery_level", 80, "%")], fails=WrongFormat),
        Example("0010  00000E10 40 00EA", fport=2, fails=WrongFormat),
        Example(
            "0010  00000E10 06 FF  00000708 02 FFCE",
            fport=2,
            gives=[Reading("temperature", -5.0, "°C", age_s=1800.0)],
            fails=Implausible,
        ),
        Example("0012  01 50", fport=42, fails=WrongFormat),
        Example("0012  01 50  02 00", fport=1, gives=[Reading("battery_level", 80, "%")], fails=WrongLength),
        Example("0010  00000E10 02 00", fport=2, fails=WrongLength),
        Example("00", fport=1, fails=WrongLength),
    ],
)
