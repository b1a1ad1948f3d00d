"""Dragino LHT65 and LHT65N: temperature, humidity, battery, one external sensor.

Eleven bytes on FPort 2 (seven where the external sensor is 0), every 10 or 20 minutes, big-endian:

    BB BB TT TT HH HH EE XX XX XX XX

    B  u16     battery: bits 15-14 status (0 ultra low, 1 low, 2 OK, 3 good), bits 13-0 in mV
    T  i16     built-in temperature, 0.01 °C
    H  u16     built-in relative humidity, 0.1 %, in bits 11-0
    E  u8      bit 7 = external sensor not connected, bit 6 = answer to a poll, bits 3-0 = its type
    X  4 byte  its value, what is not named unused:
               0    none
               1 2  temperature, i16, 0.01 °C; 7FFF = no probe (1: DS18B20, 2: TMP117)
               4    interrupt: level of the pin, u8; caused by the pin, u8
               5    illumination, u16, lx
               6    ADC, u16, mV
               7    pulses, u16
               8    pulses, u32
               9    u32, Unix time of this measurement; B is then the temperature of the probe as in
                    type 1, and the battery status is in bits 15-14 of H
               15   with T and H the serial number of the probe: nothing is measured but the battery

Not decoded: answers to a poll (E bit 6), which carry stored values of other times; other FPorts. Not
seen: external types 3 and 10-14. A probe that is missing drops its reading, never the frame.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, Reading, WrongFormat, WrongLength

FPORT = 2
LAYOUT = Struct(">HhHB")
EXTERNAL_SIZE = 4
NOT_CONNECTED = 0x80
POLL_ANSWER = 0x40
NONE, DS18B20, TMP117, INTERRUPT, LIGHT, ADC, PULSES, LONG_PULSES, TIMED_DS18B20, PROBE_ID = (
    0,
    1,
    2,
    4,
    5,
    6,
    7,
    8,
    9,
    15,
)
NO_PROBE = 0x7FFF


def decode(payload: bytes, fport: int) -> list[Reading]:
    if len(payload) not in (LAYOUT.size, LAYOUT.size + EXTERNAL_SIZE):
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size} or {LAYOUT.size + EXTERNAL_SIZE}")
    battery, temperature, humidity, flags = LAYOUT.unpack_from(payload)
    if fport != FPORT or flags & POLL_ANSWER:
        raise WrongFormat(f"FPort {fport}, flags {flags:02x}; want {FPORT} and no answer to a poll")
    kind = flags & 0x0F
    external = payload[LAYOUT.size :]
    if kind != NONE and not external:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size + EXTERNAL_SIZE} with external sensor {kind}")
    percent = (humidity & 0x0FFF) / 10
    if kind != PROBE_ID and percent > 100:
        raise Implausible(f"humidity {percent} %")

    if kind == TIMED_DS18B20:
        readings = [Reading("battery_status", humidity >> 14)]
        external = payload[:2]
    else:
        readings = [
            Reading("battery_voltage", (battery & 0x3FFF) / 1000, "V"),
            Reading("battery_status", battery >> 14),
        ]
    if kind != PROBE_ID:
        readings.append(Reading("temperature", temperature / 100, "°C"))
        readings.append(Reading("relative_humidity", percent, "%"))
    if kind not in (NONE, PROBE_ID) and not flags & NOT_CONNECTED:
        readings += read_external(kind, external, readings)
    return readings


def read_external(kind: int, value: bytes, before: list[Reading]) -> list[Reading]:
    """Return the readings of the external sensor. before: what is known without it."""
    short = int.from_bytes(value[:2], "big")
    if kind in (DS18B20, TMP117, TIMED_DS18B20):
        signed = int.from_bytes(value[:2], "big", signed=True)
        return [] if short == NO_PROBE else [Reading("external_temperature", signed / 100, "°C")]
    if kind == INTERRUPT:
        return [Reading("pin_high", value[0] != 0), Reading("interrupt", value[1] != 0)]
    if kind == LIGHT:
        return [Reading("illuminance", short, "lx")]
    if kind == ADC:
        return [Reading("external_voltage", short / 1000, "V")]
    if kind == PULSES:
        return [Reading("count", short)]
    if kind == LONG_PULSES:
        return [Reading("count", int.from_bytes(value, "big"))]
    raise WrongFormat(f"external sensor {kind} is not known", before)


DECODER = Decoder(
    name="dragino-lht65",
    vendor="Dragino",
    model="LHT65, LHT65N",
    source="LHT65 User Manual, section 2.4; dragino/dragino-end-node-decoder: LHT65N/LHT65N-TTN_v1.3.3_decode.txt",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/dragino/lht65-codec.yaml
            "CBF6 0B0D 0376 01 0ADD 7FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
                Reading("external_temperature", 27.81, "°C"),
            ],
        ),
        Example(  # both below zero; F54F is the manual's
            "4A10 FF38 025C 01 F54F 7FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.576, "V"),
                Reading("battery_status", 1),
                Reading("temperature", -2.0, "°C"),
                Reading("relative_humidity", 60.4, "%"),
                Reading("external_temperature", -27.37, "°C"),
            ],
        ),
        Example(  # no probe at the cable
            "CBF6 0B0D 0376 01 7FFF 7FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
            ],
        ),
        Example(
            "CBF6 0B0D 0376 00",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
            ],
        ),
        Example(  # light
            "CBF6 0B0D 0376 05 01F4 7FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
                Reading("illuminance", 500, "lx"),
            ],
        ),
        Example(  # probe temperature in place of the battery voltage, then Unix time
            "0ADD 0B0D C376 09 66431EB2",
            fport=2,
            gives=[
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
                Reading("external_temperature", 27.81, "°C"),
            ],
        ),
        Example(
            "CBF6 0B0D 0376 03 0ADD 7FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
            ],
            fails=WrongFormat,
        ),
        Example("CBF6 0B0D 0FFF 01 0ADD 7FFF", fport=2, fails=Implausible),
        Example("0ADD 0B0D 0376 41 66431EB2", fport=2, fails=WrongFormat),
        Example("CBF6 0B0D 0376 01 0ADD 7FFF", fport=42, fails=WrongFormat),
        Example("CBF6 0B0D 0376 01", fport=2, fails=WrongLength),
        Example("CBF6 0B0D 0376", fport=2, fails=WrongLength),
    ],
)
