"""Dragino LHT52: temperature, humidity, one external probe.

Eleven bytes on FPort 2, big-endian:

    TT TT HH HH XX XX EE UU UU UU UU

    T  i16  built-in temperature, 0.01 °C
    H  u16  built-in relative humidity, 0.1 %
    X  i16  external temperature, 0.01 °C; 7FFF = no probe
    E  u8   type of the external sensor, always 1
    U  u32  Unix time of this measurement in the device's own clock

On FPort 2 the time is not used. On FPort 3 stored values follow each other, eleven bytes each, and become readings
of their own time:

    XX XX TT TT HH HH EE UU UU UU UU

with T and H in the other order according to other published decoders: a T over 10 °C or below 0 °C, which is no
humidity, tells. Eleven zeros: nothing is stored.

Seven bytes on FPort 5, after a join and every 12 hours:

    MM VV VV FF SS BB BB

    M  u8   device type, V  u16  firmware version, F  u8  frequency band, S  u8  sub-band; unused
    B  u16  battery, mV

FPort 4 carries the serial number of the probe, no reading. A single byte on FPort 2 tells a reset. A probe that is
missing drops its reading, never the frame.
"""

from struct import Struct

from msgspec.structs import replace

from lora_post import DecodeError, Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength

FPORT = 2
STORED_FPORT = 3
PROBE_ID_FPORT = 4
STATUS_FPORT = 5
LAYOUT = Struct(">hHhBI")
STORED = Struct(">hHHBI")
STATUS = Struct(">BHBBH")
EXTERNAL_TEMPERATURE = 1
NO_PROBE = 0x7FFF
WETTEST = 1000  # 0.1 %


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == FPORT:
        return read_values(payload)
    if fport == STORED_FPORT:
        return read_stored(payload)
    if fport == STATUS_FPORT:
        return read_status(payload)
    if fport == PROBE_ID_FPORT:
        raise NoReading("serial number of the external probe")
    raise WrongFormat(f"FPort {fport}, want {FPORT}, {STORED_FPORT} or {STATUS_FPORT}")


def read_values(payload: bytes) -> list[Reading]:
    if len(payload) == 1:
        raise NoReading("the device was reset")
    if len(payload) != LAYOUT.size:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size}")
    temperature, humidity, external, kind, _ = LAYOUT.unpack(payload)
    readings = read_measured(temperature, humidity, external, kind)
    problem = problem_of(humidity, kind)
    if problem:
        raise type(problem)(problem.what, readings)
    return readings


def read_stored(payload: bytes) -> list[Reading]:
    if not payload or len(payload) % STORED.size:
        raise WrongLength(f"{len(payload)} bytes, want a multiple of {STORED.size}")
    records = [record for record in STORED.iter_unpack(payload) if any(record)]
    if not records:
        raise NoReading("nothing is stored for the time that was asked for")
    humidity_first = any(last > WETTEST for _, _, last, _, _ in records)
    readings: list[Reading] = []
    problem: DecodeError | None = None
    for external, first, last, kind, at_s in records:
        humidity, temperature = (first, last) if humidity_first else (last, first)
        signed = temperature - ((temperature & 0x8000) << 1)
        found = read_measured(signed, humidity, external, kind)
        readings += [replace(reading, at_s=at_s) for reading in found]
        problem = problem or problem_of(humidity, kind)
    if problem:
        raise type(problem)(problem.what, readings)
    return readings


def read_measured(temperature: int, humidity: int, external: int, kind: int) -> list[Reading]:
    readings = [Reading("temperature", temperature / 100, "°C")]
    if humidity <= WETTEST:
        readings.append(Reading("relative_humidity", humidity / 10, "%"))
    if kind == EXTERNAL_TEMPERATURE and external != NO_PROBE:
        readings.append(Reading("external_temperature", external / 100, "°C"))
    return readings


def problem_of(humidity: int, kind: int) -> DecodeError | None:
    """Return what has cost a reading, None for nothing."""
    if humidity > WETTEST:
        return Implausible(f"humidity {humidity / 10} %")
    return None if kind == EXTERNAL_TEMPERATURE else WrongFormat(f"external sensor {kind} is not known")


def read_status(payload: bytes) -> list[Reading]:
    if len(payload) != STATUS.size:
        raise WrongLength(f"{len(payload)} bytes, want {STATUS.size}")
    *_, battery = STATUS.unpack(payload)
    return [Reading("battery_voltage", battery / 1000, "V")]


DECODER = Decoder(
    name="dragino-lht52",
    vendor="Dragino",
    model="LHT52",
    source="LHT52 User Manual, section 2.4; dragino/dragino-end-node-decoder: LHT52/LHT52 Decoder TTN.txt",
    decode=decode,
    examples=[
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/dragino/lht52-codec.yaml; no probe
            "08CD 0220 7FFF 01 61CD4EDD",
            fport=2,
            gives=[Reading("temperature", 22.53, "°C"), Reading("relative_humidity", 54.4, "%")],
        ),
        Example("09 0100 01 00 0B3A", fport=5, gives=[Reading("battery_voltage", 2.874, "V")]),  # the manual's
        Example(  # built, as all below; F5C6 is the manual's
            "FF38 0220 F5C6 01 61CD4EDD",
            fport=2,
            gives=[
                Reading("temperature", -2.0, "°C"),
                Reading("relative_humidity", 54.4, "%"),
                Reading("external_temperature", -26.18, "°C"),
            ],
        ),
        Example("28 1122334455 66 77", fport=4, fails=NoReading),
        Example(
            "08CD FFFF F5C6 01 61CD4EDD",
            fport=2,
            gives=[Reading("temperature", 22.53, "°C"), Reading("external_temperature", -26.18, "°C")],
            fails=Implausible,
        ),
        Example(
            "08CD 0220 0105 02 61CD4EDD",
            fport=2,
            gives=[Reading("temperature", 22.53, "°C"), Reading("relative_humidity", 54.4, "%")],
            fails=WrongFormat,
        ),
        Example("08CD 0220 7FFF 01 61CD4EDD", fport=6, fails=WrongFormat),
        Example("FF", fport=2, fails=NoReading),
        Example(  # two stored measurements as the maker's decoder reads them
            "F5C6 08CD 0220 01 61CD4EDD  7FFF 01F4 0222 01 61CD538D",
            fport=3,
            gives=[
                Reading("temperature", 22.53, "°C", at_s=1640845021),
                Reading("relative_humidity", 54.4, "%", at_s=1640845021),
                Reading("external_temperature", -26.18, "°C", at_s=1640845021),
                Reading("temperature", 5.0, "°C", at_s=1640846221),
                Reading("relative_humidity", 54.6, "%", at_s=1640846221),
            ],
        ),
        Example(  # humidity before temperature
            "7FFF 0220 01F4 01 61CD4EDD  0000 0000 0000 00 00000000  7FFF 0222 FF38 01 61CD538D",
            fport=3,
            gives=[
                Reading("temperature", 5.0, "°C", at_s=1640845021),
                Reading("relative_humidity", 54.4, "%", at_s=1640845021),
                Reading("temperature", -2.0, "°C", at_s=1640846221),
                Reading("relative_humidity", 54.6, "%", at_s=1640846221),
            ],
        ),
        Example(  # neither is a humidity
            "7FFF 08CD 08CD 01 61CD4EDD",
            fport=3,
            gives=[Reading("temperature", 22.53, "°C", at_s=1640845021)],
            fails=Implausible,
        ),
        Example("0000 0000 0000 00 00000000", fport=3, fails=NoReading),
        Example("F5C6 08CD 0220 01", fport=3, fails=WrongLength),
        Example("08CD 0220 7FFF 01", fport=2, fails=WrongLength),
        Example("09 0100 01 00", fport=5, fails=WrongLength),
    ],
)
