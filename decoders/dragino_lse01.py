"""Dragino LSE01 soil sensor: moisture, temperature, conductivity, battery, external probe.

Eleven bytes on FPort 2, every 20 minutes, big-endian:

    BB BB EE EE MM MM TT TT CC CC FF

    B  u16  battery in mV, in bits 13-0; bits 15-14 unused
    E  i16  external DS18B20 probe, 0.1 °C; 0000 without a probe
    F  u8   bit 7 = raw mode; bits 3-0 = sent because of the interrupt pin; bit 4 = sensor flag
            FF bit 7 clear                              FF bit 7 set (newer firmware)
    M  u16  soil moisture, 0.01 % by volume             dielectric permittivity, 0.1
    T  i16  soil temperature, 0.01 °C                   moisture as the probe's raw number
    C  u16  soil conductivity, µS/cm                    conductivity as the probe's raw number

Below zero the manual and the maker's decoders subtract FFFF from the soil temperature, which is one
step off; it is read as two's complement, as the external probe is. A probe at exactly 0.0 °C cannot
be told from no probe, so it gives no reading, and neither does one beyond its range. Not used: the
sensor flag, whose meaning no document found tells.
"""

from struct import Struct

from lora_post import Decoder, Example, Implausible, Reading, WrongFormat, WrongLength

FPORT = 2
LAYOUT = Struct(">HhHhHB")
RAW_MODE = 0x80
PROBE_RANGE = range(-550, 1251)  # 0.1 °C, a DS18B20's
SOIL_RANGE = range(-4000, 8501)  # 0.01 °C
WETTEST = 10_000  # 0.01 %
PERMITTIVITY_OF_WATER = 81


def decode(payload: bytes, fport: int) -> list[Reading]:
    if len(payload) != LAYOUT.size:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size}")
    if fport != FPORT:
        raise WrongFormat(f"FPort {fport}, want {FPORT}")
    battery, external, moisture, temperature, conductivity, flags = LAYOUT.unpack(payload)

    readings = [
        Reading("battery_voltage", (battery & 0x3FFF) / 1000, "V"),
        Reading("interrupt", flags & 0x0F != 0),
    ]
    if external and external in PROBE_RANGE:
        readings.append(Reading("external_temperature", external / 10, "°C"))
    if flags & RAW_MODE:
        readings.append(Reading("soil_moisture_raw", temperature & 0xFFFF))
        readings.append(Reading("soil_conductivity_raw", conductivity))
        permittivity = moisture / 10
        if permittivity > PERMITTIVITY_OF_WATER:
            raise Implausible(f"dielectric permittivity {permittivity}", readings)
        readings.append(Reading("dielectric_permittivity", permittivity))
        return readings
    readings.append(Reading("soil_conductivity", conductivity, "µS/cm"))
    if moisture <= WETTEST:
        readings.append(Reading("soil_moisture", moisture / 100, "%"))
    if temperature in SOIL_RANGE:
        readings.append(Reading("soil_temperature", temperature / 100, "°C"))
    if moisture > WETTEST or temperature not in SOIL_RANGE:
        raise Implausible(f"soil moisture {moisture / 100} %, soil temperature {temperature / 100} °C", readings)
    return readings


DECODER = Decoder(
    name="dragino-lse01",
    vendor="Dragino",
    model="LSE01",
    source="LSE01 User Manual, section 2.3; dragino/dragino-end-node-decoder: LSE01/LSE01_TTN Decoder V1.2.1.txt",
    decode=decode,
    examples=[
        Example(  # built from the manual's values of each field
            "0B45 0105 05DC 0105 00C8 00",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.885, "V"),
                Reading("interrupt", False),
                Reading("external_temperature", 26.1, "°C"),
                Reading("soil_conductivity", 200, "µS/cm"),
                Reading("soil_moisture", 15.0, "%"),
                Reading("soil_temperature", 2.61, "°C"),
            ],
        ),
        Example(  # built from TheThingsNetwork/lorawan-devices: vendor/dragino/lse01-codec.yaml
            "CE29 00F1 07A5 099B 6E28 10",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.625, "V"),
                Reading("interrupt", False),
                Reading("external_temperature", 24.1, "°C"),
                Reading("soil_conductivity", 28200, "µS/cm"),
                Reading("soil_moisture", 19.57, "%"),
                Reading("soil_temperature", 24.59, "°C"),
            ],
        ),
        Example(  # built, as all below: frost, no external probe, sent because of the interrupt pin
            "0B49 0000 0384 FF7E 0032 11",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.889, "V"),
                Reading("interrupt", True),
                Reading("soil_conductivity", 50, "µS/cm"),
                Reading("soil_moisture", 9.0, "%"),
                Reading("soil_temperature", -1.3, "°C"),
            ],
        ),
        Example(  # raw mode
            "0B49 0000 00C3 0BB8 0190 90",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.889, "V"),
                Reading("interrupt", False),
                Reading("soil_moisture_raw", 3000),
                Reading("soil_conductivity_raw", 400),
                Reading("dielectric_permittivity", 19.5),
            ],
        ),
        Example(  # as lse01-codec.yaml has it, with a last byte that today means raw mode
            "CE29 00F1 07A5 099B 6E28 90",
            fport=2,
            gives=[
                Reading("battery_voltage", 3.625, "V"),
                Reading("interrupt", False),
                Reading("external_temperature", 24.1, "°C"),
                Reading("soil_moisture_raw", 2459),
                Reading("soil_conductivity_raw", 28200),
            ],
            fails=Implausible,
        ),
        Example(
            "0B49 0000 FFFF 0105 00C8 10",
            fport=2,
            gives=[
                Reading("battery_voltage", 2.889, "V"),
                Reading("interrupt", False),
                Reading("soil_conductivity", 200, "µS/cm"),
                Reading("soil_temperature", 2.61, "°C"),
            ],
            fails=Implausible,
        ),
        Example("0B45 0105 05DC 0105 00C8 00", fport=42, fails=WrongFormat),
        Example("0B45 0105 05DC 0105 00C8", fport=2, fails=WrongLength),
    ],
)
