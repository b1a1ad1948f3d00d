"""Dragino LHT65 and LHT65N: temperature, humidity, battery, one external sensor.

Eleven bytes on FPort 2 (seven where the external sensor is 0), every 10 or 20 minutes, big-endian:

    BB BB TT TT HH HH EE XX XX XX XX

    B  u16     battery: bits 15-14 status (0 ultra low, 1 low, 2 OK, 3 good), bits 13-0 in mV
    T  i16     built-in temperature, 0.01 °C; 7FFF = not measured
    H  u16     built-in relative humidity, 0.1 %, in bits 11-0
    E  u8      bits 7-6 = stored values, see below; bits 3-0 = type of the external sensor
    X  4 byte  its value, what is not named unused:
               0     none
               1 2   temperature, i16, 0.01 °C; 7FFF = no probe (1: DS18B20, 2: TMP117)
               4     interrupt: level of the pin, u8; caused by the pin, u8
               5     illumination, u16, lx
               6     ADC, u16, mV
               7     pulses, u16
               8     pulses, u32
               9 10  u32, Unix time of this measurement, unused; B is then the temperature of the probe as in
                     types 1 and 2, and the battery status is in bits 15-14 of H
               11    SHT31: temperature as above; relative humidity, u16, 0.1 %, in bits 11-0
               15    with T and H the serial number of the probe: nothing is measured but the battery
               E 10  X as in type 11, E 20: X as in type 2; T and H are part of the probe's serial number

Newer firmware may send four bytes more. X of type 4 is then level, cause, the number of interrupts (u24) and three
unused bytes; with other types they are unused.

Stored values come as records of eleven bytes, which become readings of their own time. Bit 6 of E tells
the answer to a poll, bit 7 (since firmware 1.4) values that are sent again because they were not acknowledged:

    VV VV TT TT HH HH EE UU UU UU UU

    V  2 byte  external value: temperature of types 1, 2 and 9 to 12, pulses (u16) of 7, 8 and 14, else as X
    U  u32     Unix time

A record of zeros says that nothing is stored. Older firmware sets bit 7 where no probe is connected, with
7FFF in X, which is no time before the year 2038.

FPort 3 carries the same answers, or temperatures of the probe without times: battery (u16, mV, in bits 13-0), type
of the probe (u8, 1 to 4), temperatures; only the battery is used. FPort 5 carries version and battery (u16, mV). Not
seen: types 3, 12 to 14 beside stored values. A probe that is missing drops its reading, never the frame.
"""

from struct import Struct

from msgspec.structs import replace

from lora_post import DecodeError, Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength

FPORT, POLL_FPORT, STATUS_FPORT = 2, 3, 5
LAYOUT = Struct(">HhHB")
STATUS = Struct(">5xH")
EXTERNAL_SIZES = (0, 4, 8)
RECORD_SIZE = 11
NOT_CONNECTED, STORED = 0x80, 0xC0
NONE, DS18B20, TMP117, INTERRUPT, LIGHT, ADC, PULSES, LONG_PULSES = 0, 1, 2, 4, 5, 6, 7, 8
TIMED_DS18B20, TIMED_TMP117, SHT31, SHT31_STORED, PULSES_STORED, PROBE_ID = 9, 10, 11, 12, 14, 15
SHT31_ID, TMP117_ID = 0x10, 0x20
TIMED = (TIMED_DS18B20, TIMED_TMP117)
TEMPERATURES = (DS18B20, TMP117, *TIMED, SHT31, SHT31_STORED, SHT31_ID, TMP117_ID)
WITH_HUMIDITY = (SHT31, SHT31_ID)
IDS = (PROBE_ID, SHT31_ID, TMP117_ID)
STORED_KINDS = (NONE, *range(DS18B20, 3), *range(INTERRUPT, 13), PULSES_STORED, PROBE_ID)
LIVE_KINDS = (NONE, *range(DS18B20, 3), *range(INTERRUPT, 12), *IDS)
NO_VALUE = 0x7FFF
LIST_TYPES = range(1, 5)
TIMES = range(0x54A48E00, 0x7FFF0000)  # from 2015; as two temperatures the first is over 200 °C


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == STATUS_FPORT:
        return read_status(payload)
    if fport not in (FPORT, POLL_FPORT):
        raise WrongFormat(f"FPort {fport}, want {FPORT}, {POLL_FPORT} or {STATUS_FPORT}")
    if len(payload) == 1:
        raise NoReading("the device has restarted")
    if len(payload) < LAYOUT.size:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size} or more")
    if fport == POLL_FPORT and is_list(payload):
        raise WrongFormat("temperatures of the probe without their times", [battery_voltage(payload)])
    return read_records(payload) if is_stored(payload) else read_values(payload)


def read_status(payload: bytes) -> list[Reading]:
    if len(payload) != STATUS.size:
        raise WrongLength(f"{len(payload)} bytes, want {STATUS.size}")
    (battery,) = STATUS.unpack(payload)
    return [Reading("battery_voltage", battery / 1000, "V")]


def is_list(payload: bytes) -> bool:
    """Tell a list of temperatures from a record, which has a time in place of the third and the fourth."""
    is_record = is_stored(payload) and time_of(payload) in TIMES
    return payload[2] in LIST_TYPES and len(payload) % 2 == 1 and not is_record


def is_stored(payload: bytes) -> bool:
    if len(payload) % RECORD_SIZE:
        return False
    nothing = not any(payload[:RECORD_SIZE])
    return nothing or (payload[6] & STORED != 0 and short(payload[LAYOUT.size :]) != NO_VALUE)


def time_of(record: bytes) -> int:
    return int.from_bytes(record[LAYOUT.size : RECORD_SIZE], "big")


def short(value: bytes) -> int:
    return int.from_bytes(value[:2], "big")


def read_records(payload: bytes) -> list[Reading]:
    readings: list[Reading] = []
    problem: DecodeError | None = None
    for start in range(0, len(payload), RECORD_SIZE):
        record = payload[start : start + RECORD_SIZE]
        if any(record):
            _, temperature, humidity, flags = LAYOUT.unpack_from(record)
            kind = flags & 0x0F
            found = read_built_in(temperature, humidity) + read_external(kind, record[:2])
            readings += [replace(reading, at_s=time_of(record)) for reading in found]
            problem = problem or problem_of(kind, STORED_KINDS, humidity)
    if problem:
        raise type(problem)(problem.what, readings)
    if not readings:
        raise NoReading("nothing is stored for the time that was asked for")
    return readings


def read_values(payload: bytes) -> list[Reading]:
    external = payload[LAYOUT.size :]
    if len(external) not in EXTERNAL_SIZES:
        raise WrongLength(f"{len(payload)} bytes, want {', '.join(str(LAYOUT.size + n) for n in EXTERNAL_SIZES)}")
    _, temperature, humidity, flags = LAYOUT.unpack_from(payload)
    kind = flags & 0x0F or (flags & 0x30 if external else NONE)
    if kind != NONE and not external:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size + 4} with external sensor {kind}")

    timed = kind in TIMED
    readings = [] if timed else [battery_voltage(payload)]
    readings.append(Reading("battery_status", humidity >> 14 if timed else payload[0] >> 6))
    has_built_in = kind not in (*IDS, PULSES_STORED)
    if has_built_in:
        readings += read_built_in(temperature, humidity)
    if not flags & NOT_CONNECTED:
        readings += read_external(kind, payload[:2] if timed else external)
    built_in = humidity if has_built_in else 0
    problem = problem_of(kind, LIVE_KINDS, built_in, short(external[2:]) if kind in WITH_HUMIDITY else 0)
    if problem:
        raise type(problem)(problem.what, readings)
    return readings


def battery_voltage(payload: bytes) -> Reading:
    return Reading("battery_voltage", (short(payload) & 0x3FFF) / 1000, "V")


def read_built_in(temperature: int, humidity: int) -> list[Reading]:
    readings = [] if temperature == NO_VALUE else [Reading("temperature", temperature / 100, "°C")]
    return readings + read_humidity("relative_humidity", humidity)


def read_humidity(name: str, humidity: int) -> list[Reading]:
    percent = (humidity & 0x0FFF) / 10
    return [Reading(name, percent, "%")] if percent <= 100 else []


def read_external(kind: int, value: bytes) -> list[Reading]:
    """Return the readings of the external sensor. value: two bytes where it was stored."""
    if kind in TEMPERATURES:
        if short(value) == NO_VALUE:
            return []
        raw = int.from_bytes(value[:2], "big", signed=True)
        readings = [Reading("external_temperature", raw / 100, "°C")]
        if kind in WITH_HUMIDITY and len(value) > 2:
            readings += read_humidity("external_humidity", short(value[2:]))
        return readings
    if kind == INTERRUPT:
        count = [Reading("count", int.from_bytes(value[2:5], "big"))] if len(value) == EXTERNAL_SIZES[-1] else []
        return [Reading("pin_high", value[0] != 0), Reading("interrupt", value[1] != 0), *count]
    if kind == LIGHT:
        return [Reading("illuminance", short(value), "lx")]
    if kind == ADC:
        return [Reading("external_voltage", short(value) / 1000, "V")]
    if kind in (PULSES, PULSES_STORED):
        return [Reading("count", short(value))]
    if kind == LONG_PULSES:
        return [Reading("count", int.from_bytes(value[:4], "big"))]
    return []


def problem_of(kind: int, known: tuple[int, ...], *humidities: int) -> DecodeError | None:
    """Return what has cost a reading, None for nothing."""
    if kind not in known:
        return WrongFormat(f"external sensor {kind} is not known")
    wettest = max(humidity & 0x0FFF for humidity in humidities) / 10
    return Implausible(f"humidity {wettest} %") if wettest > 100 else None


DECODER = Decoder(
    name="dragino-lht65",
    vendor="Dragino",
    model="LHT65, LHT65N",
    source="LHT65 User Manual, sections 2.4, 2.6.4; dragino/dragino-end-node-decoder: LHT65N-TTN-v1.5.6_decoder.txt",
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
        Example(  # the same with a TMP117
            "0ADD 0B0D C376 0A 66431EB2",
            fport=2,
            gives=[
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
                Reading("external_temperature", 27.81, "°C"),
            ],
        ),
        Example(  # SHT31 probe
            "CBF6 0B0D 0376 0B 0ADD 0237",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
                Reading("external_temperature", 27.81, "°C"),
                Reading("external_humidity", 56.7, "%"),
            ],
        ),
        Example(  # its serial number in place of the built-in values
            "CBF6 1122 FFFF 10 0ADD 0237",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("external_temperature", 27.81, "°C"),
                Reading("external_humidity", 56.7, "%"),
            ],
        ),
        Example(  # the same of a TMP117 probe
            "CBF6 1122 FFFF 20 0ADD 5566",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("external_temperature", 27.81, "°C"),
            ],
        ),
        Example(  # interrupt with a counter
            "CBF6 0B0D 0376 04 0101 00012C 000000",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
                Reading("pin_high", True),
                Reading("interrupt", True),
                Reading("count", 300),
            ],
        ),
        Example(  # stored, sent again
            "0A28 0B45 0236 81 6512ABCD",
            fport=2,
            gives=[
                Reading("temperature", 28.85, "°C", at_s=1695722445),
                Reading("relative_humidity", 56.6, "%", at_s=1695722445),
                Reading("external_temperature", 26.0, "°C", at_s=1695722445),
            ],
        ),
        Example(  # the manual's answer to a poll: two records without a probe
            "7FFF 0898 0146 41 60065F97 7FFF 088E 014B 41 60066009",
            fport=2,
            gives=[
                Reading("temperature", 22.0, "°C", at_s=1611030423),
                Reading("relative_humidity", 32.6, "%", at_s=1611030423),
                Reading("temperature", 21.9, "°C", at_s=1611030537),
                Reading("relative_humidity", 33.1, "%", at_s=1611030537),
            ],
        ),
        Example(  # on FPort 3, below 13 °C, pulses
            "0102 0398 0146 47 60065F97",
            fport=3,
            gives=[
                Reading("temperature", 9.2, "°C", at_s=1611030423),
                Reading("relative_humidity", 32.6, "%", at_s=1611030423),
                Reading("count", 258, at_s=1611030423),
            ],
        ),
        Example(  # temperatures without times
            "CBF6 01 0ADD 0ACC FF9C F8C0",
            fport=3,
            gives=[Reading("battery_voltage", 3.062, "V")],
            fails=WrongFormat,
        ),
        Example("0000 0000 0000 00 00000000", fport=2, fails=NoReading),  # nothing stored
        Example(  # older firmware, the probe is not connected
            "CBF6 0B0D 0376 81 7FFF 7FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("relative_humidity", 88.6, "%"),
            ],
        ),
        Example("0B 0156 01 FF 0BF6", fport=5, gives=[Reading("battery_voltage", 3.062, "V")]),
        Example(
            "0A28 0B45 0FFF 81 6512ABCD 0A29 0B45 0236 83 6512AC05",
            fport=2,
            gives=[
                Reading("temperature", 28.85, "°C", at_s=1695722445),
                Reading("external_temperature", 26.0, "°C", at_s=1695722445),
                Reading("temperature", 28.85, "°C", at_s=1695722501),
                Reading("relative_humidity", 56.6, "%", at_s=1695722501),
            ],
            fails=Implausible,
        ),
        Example(
            "CBF6 0B0D 0FFF 01 0ADD 7FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("temperature", 28.29, "°C"),
                Reading("external_temperature", 27.81, "°C"),
            ],
            fails=Implausible,
        ),
        Example(
            "CBF6 1122 FFFF 10 0ADD 0FFF",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.062, "V"),
                Reading("battery_status", 3),
                Reading("external_temperature", 27.81, "°C"),
            ],
            fails=Implausible,
        ),
        Example("FF", fport=2, fails=NoReading),  # a restart
        Example("CBF6 0B0D 0376 01 0ADD 7FFF", fport=42, fails=WrongFormat),
        Example("CBF6 0B0D 0376 01", fport=2, fails=WrongLength),
        Example("CBF6 0B0D 0376", fport=2, fails=WrongLength),
    ],
)
