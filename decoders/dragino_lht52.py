"""Dragino LHT52: temperature, humidity, one external probe.

Eleven bytes on FPort 2, big-endian:

    TT TT HH HH XX XX EE UU UU UU UU

    T  i16  built-in temperature, 0.01 °C
    H  u16  built-in relative humidity, 0.1 %
    X  i16  external temperature, 0.01 °C; 7FFF = no probe
    E  u8   type of the external sensor, always 1
    U  u32  Unix time of this measurement in the device's own clock, unused

Seven bytes on FPort 5, after a join and every 12 hours:

    MM VV VV FF SS BB BB

    M  u8   device type, V  u16  firmware version, F  u8  frequency band, S  u8  sub-band; unused
    B  u16  battery, mV

FPort 4 carries the serial number of the probe, no reading. Not decoded: FPort 3, stored values of
other times; FPort 2 with other lengths, after a reset. A probe that is missing drops its reading,
never the frame.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength

FPORT = 2
PROBE_ID_FPORT = 4
STATUS_FPORT = 5
LAYOUT = Struct(">hHhBI")
STATUS = Struct(">BHBBH")
EXTERNAL_TEMPERATURE = 1
NO_PROBE = 0x7FFF


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == FPORT:
        return read_values(payload)
    if fport == STATUS_FPORT:
        return read_status(payload)
    if fport == PROBE_ID_FPORT:
        raise NoReading("serial number of the external probe")
    raise WrongFormat(f"FPort {fport}, want {FPORT} or {STATUS_FPORT}")


def read_values(payload: bytes) -> list[Reading]:
    if len(payload) != LAYOUT.size:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size}")
    temperature, humidity, external, kind, _ = LAYOUT.unpack(payload)
    readings = [Reading("temperature", temperature / 100, "°C")]
    percent = humidity / 10
    if percent <= 100:
        readings.append(Reading("relative_humidity", percent, "%"))
    if kind == EXTERNAL_TEMPERATURE and external != NO_PROBE:
        readings.append(Reading("external_temperature", external / 100, "°C"))
    if percent > 100:
        raise Implausible(f"humidity {percent} %", readings)
    if kind != EXTERNAL_TEMPERATURE:
        raise WrongFormat(f"external sensor {kind} is not known", readings)
    return readings


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
        Example("08CD 0220 7FFF 01 61CD4EDD", fport=3, fails=WrongFormat),
        Example("08CD 0220 7FFF 01", fport=2, fails=WrongLength),
        Example("09 0100 01 00", fport=5, fails=WrongLength),
    ],
)
