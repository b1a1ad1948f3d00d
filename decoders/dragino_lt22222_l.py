"""Dragino LT-22222-L and LT-33222-L I/O controllers: inputs, counters, outputs.

Eleven bytes on FPort 2, every 10 minutes, big-endian:

    XX XX XX XX XX XX XX XX IO RR HM

    X  8 byte  what the working mode measures:
               mode 1  voltage 1, voltage 2, current 1, current 2
               mode 2  count 1, count 2
               mode 3  count 1, current 1, current 2
               mode 4  count 1, count of the minutes in which voltage 1 was above its threshold
               mode 5  voltage 1, voltage 2, current 1, short count 1
               mode 6  triggers that are set, triggers that fired; sent when one fires
               voltage i16, mV; current i16, µA; count u32; short count u16
    IO u8      bit 7 relay 1 closed, bit 6 relay 2 closed
               bits 5-3 in mode 1 digital inputs 3, 2, 1 high; in others bit 5 = first uplink after a join
               bits 2-0 digital outputs 3, 2, 1 low
    R  u8      reserved, FF
    H  2 bit   hardware: 0 = LT-33222-L, 1 = LT-22222-L, which has no third input and output
    M  6 bit   working mode

In mode 6 the first byte tells which analog triggers are set and the second which fired: bits 7-0 are
voltage 1 low and high, voltage 2 low and high, current 1 low and high, current 2 low and high. The
third does so for the digital inputs: bits 0 and 2 are set for 1 and 2, bits 1 and 3 they fired. The
outputs are not told; a trigger that is not set gives no reading.

An open digital output floats: true means high or floating, as the maker shows it. The first uplink is
not told apart from others. FPort 5 carries version and settings, a single byte on FPort 2 an answer: no reading. Not
seen: other modes.
"""

from struct import Struct

from lora_post import Decoder, Example, NoReading, Reading, WrongFormat, WrongLength

FPORT = 2
SETTINGS_FPORT = 5
SIZE = 11
TRIGGERS = 6
LT33222, LT22222 = 0, 1

Field = tuple[str, int | None, str, int]  # name, channel, unit, scale

VOLTAGE_1: Field = ("voltage_1", 1, "V", 1000)
VOLTAGE_2: Field = ("voltage_2", 2, "V", 1000)
CURRENT_1: Field = ("current_1", 1, "mA", 1000)
CURRENT_2: Field = ("current_2", 2, "mA", 1000)
COUNT_1: Field = ("count_1", 1, "", 1)
COUNT_2: Field = ("count_2", 2, "", 1)
OVER_VOLTAGE_1: Field = ("over_voltage_count_1", 1, "", 1)

MODES: dict[int, tuple[Struct, tuple[Field, ...]]] = {
    1: (Struct(">hhhh"), (VOLTAGE_1, VOLTAGE_2, CURRENT_1, CURRENT_2)),
    2: (Struct(">II"), (COUNT_1, COUNT_2)),
    3: (Struct(">Ihh"), (COUNT_1, CURRENT_1, CURRENT_2)),
    4: (Struct(">II"), (COUNT_1, OVER_VOLTAGE_1)),
    5: (Struct(">hhhH"), (VOLTAGE_1, VOLTAGE_2, CURRENT_1, COUNT_1)),
}
WITH_INPUTS = 1
ANALOG_TRIGGERS = [
    (f"{what}_{side}", channel) for what in ("voltage", "current") for channel in (1, 2) for side in ("low", "high")
]


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport == SETTINGS_FPORT:
        raise NoReading("version and settings")
    if len(payload) == 1:
        raise NoReading("an answer without values")
    if len(payload) != SIZE:
        raise WrongLength(f"{len(payload)} bytes, want {SIZE}")
    hardware, mode = payload[10] >> 6, payload[10] & 0x3F
    if fport != FPORT or hardware > LT22222:
        raise WrongFormat(f"FPort {fport}, hardware {hardware}; want {FPORT}, 0 or 1")
    if mode == TRIGGERS:
        return read_triggers(payload)
    if mode not in MODES:
        raise WrongFormat(f"working mode {mode}, want 1 to 6")

    layout, fields = MODES[mode]
    readings = [
        Reading(name, raw if scale == 1 else raw / scale, unit, channel)
        for raw, (name, channel, unit, scale) in zip(layout.unpack_from(payload), fields, strict=True)
    ]
    pins = payload[8]
    last = 3 if hardware == LT33222 else 2
    if mode == WITH_INPUTS:
        readings += [Reading(f"digital_in_{n}", pins >> (n + 2) & 1 == 1, "", n) for n in range(1, last + 1)]
    readings += [Reading(f"digital_out_{n}", pins >> (n - 1) & 1 == 0, "", n) for n in range(1, last + 1)]
    readings += [Reading(f"relay_{n}", pins >> (8 - n) & 1 == 1, "", n) for n in (1, 2)]
    return readings


def read_triggers(payload: bytes) -> list[Reading]:
    is_set, fired, inputs = payload[:3]
    readings = [
        Reading(f"{name}_{channel}", fired >> bit & 1 == 1, "", channel)
        for bit, (name, channel) in zip(range(7, -1, -1), ANALOG_TRIGGERS, strict=True)
        if is_set >> bit & 1
    ]
    for channel, bit in ((1, 0), (2, 2)):
        if inputs >> bit & 1:
            readings.append(Reading(f"digital_in_fired_{channel}", inputs >> (bit + 1) & 1 == 1, "", channel))
    return readings


DECODER = Decoder(
    name="dragino-lt22222-l",
    vendor="Dragino",
    model="LT-22222-L, LT-33222-L",
    source="LT-22222-L User Manual, section 3.3; dragino/dragino-end-node-decoder: LT22222-L/v1.6_decoder_ttn .txt",
    decode=decode,
    examples=[
        Example(  # the manual's, published in TheThingsNetwork/lorawan-devices: vendor/dragino/lt22222-l-codec.yaml
            "04AB 04AC 1310 1300 AA FF 01",
            fport=2,
            gives=[
                Reading("voltage_1", 1.195, "V", 1),
                Reading("voltage_2", 1.196, "V", 2),
                Reading("current_1", 4.88, "mA", 1),
                Reading("current_2", 4.864, "mA", 2),
                Reading("digital_in_1", True, "", 1),
                Reading("digital_in_2", False, "", 2),
                Reading("digital_in_3", True, "", 3),
                Reading("digital_out_1", True, "", 1),
                Reading("digital_out_2", False, "", 2),
                Reading("digital_out_3", True, "", 3),
                Reading("relay_1", True, "", 1),
                Reading("relay_2", False, "", 2),
            ],
        ),
        Example(  # built, as all below: the same from an LT-22222-L
            "04AB 04AC 1310 1300 AA FF 41",
            fport=2,
            gives=[
                Reading("voltage_1", 1.195, "V", 1),
                Reading("voltage_2", 1.196, "V", 2),
                Reading("current_1", 4.88, "mA", 1),
                Reading("current_2", 4.864, "mA", 2),
                Reading("digital_in_1", True, "", 1),
                Reading("digital_in_2", False, "", 2),
                Reading("digital_out_1", True, "", 1),
                Reading("digital_out_2", False, "", 2),
                Reading("relay_1", True, "", 1),
                Reading("relay_2", False, "", 2),
            ],
        ),
        Example(
            "0000003C FFFFFFFF 60 FF 42",
            fport=2,
            gives=[
                Reading("count_1", 60, "", 1),
                Reading("count_2", 4294967295, "", 2),
                Reading("digital_out_1", True, "", 1),
                Reading("digital_out_2", True, "", 2),
                Reading("relay_1", False, "", 1),
                Reading("relay_2", True, "", 2),
            ],
        ),
        Example(
            "0000003C 1310 FFFF 00 FF 43",
            fport=2,
            gives=[
                Reading("count_1", 60, "", 1),
                Reading("current_1", 4.88, "mA", 1),
                Reading("current_2", -0.001, "mA", 2),
                Reading("digital_out_1", True, "", 1),
                Reading("digital_out_2", True, "", 2),
                Reading("relay_1", False, "", 1),
                Reading("relay_2", False, "", 2),
            ],
        ),
        Example(
            "0000003C 00000005 03 FF 44",
            fport=2,
            gives=[
                Reading("count_1", 60, "", 1),
                Reading("over_voltage_count_1", 5, "", 1),
                Reading("digital_out_1", False, "", 1),
                Reading("digital_out_2", False, "", 2),
                Reading("relay_1", False, "", 1),
                Reading("relay_2", False, "", 2),
            ],
        ),
        Example(
            "04AB 04AC 1310 003C 00 FF 45",
            fport=2,
            gives=[
                Reading("voltage_1", 1.195, "V", 1),
                Reading("voltage_2", 1.196, "V", 2),
                Reading("current_1", 4.88, "mA", 1),
                Reading("count_1", 60, "", 1),
                Reading("digital_out_1", True, "", 1),
                Reading("digital_out_2", True, "", 2),
                Reading("relay_1", False, "", 1),
                Reading("relay_2", False, "", 2),
            ],
        ),
        Example(  # voltage 1 got too high, current 2 is watched, input 2 changed
            "C2 40 0D 0000000000 00 01 46",
            fport=2,
            gives=[
                Reading("voltage_low_1", False, "", 1),
                Reading("voltage_high_1", True, "", 1),
                Reading("current_low_2", False, "", 2),
                Reading("digital_in_fired_1", False, "", 1),
                Reading("digital_in_fired_2", True, "", 2),
            ],
        ),
        Example("01 FF 0154 000258", fport=5, fails=NoReading),
        Example("01", fport=2, fails=NoReading),
        Example("04AB 04AC 1310 1300 AA FF 07", fport=2, fails=WrongFormat),
        Example("04AB 04AC 1310 1300 AA FF 81", fport=2, fails=WrongFormat),
        Example("04AB 04AC 1310 1300 AA FF 01", fport=42, fails=WrongFormat),
        Example("04AB 04AC 1310 1300 AA FF", fport=2, fails=WrongLength),
    ],
)
