"""MClimate HT Sensor: temperature, humidity, battery, one external thermistor.

Seven bytes on FPort 2 (five, up to B, in a shorter form of it), big-endian:

    01 TT TT HH BB EE EE

    T  u16  temperature, 0.1 °C + 40 °C
    H  u8   relative humidity, 100/256 %
    B  u8   battery, 1.6 V + 8 mV a step
    E  u16  bit 10 = no thermistor connected; bits 9-0 its temperature, 0.1 °C

Payloads that begin otherwise answer commands and end in these bytes, unless the answers fill the payload.
"""

from struct import Struct

from lora_post import Decoder, Example, NoReading, Reading, WrongFormat, WrongLength

FPORT = 2
KEEP_ALIVE = 1
LAYOUT = Struct(">BHBBH")
SHORT_LAYOUT = Struct(">BHBB")
NO_THERMISTOR = 0x0400
HOTTEST = 1650  # of T, 125 °C


def decode(payload: bytes, fport: int) -> list[Reading]:
    if fport != FPORT:
        raise WrongFormat(f"FPort {fport}, want {FPORT}")
    if payload and payload[0] != KEEP_ALIVE:
        payload = behind_answers(payload)
    external = NO_THERMISTOR
    if len(payload) == LAYOUT.size:
        _, temperature, humidity, battery, external = LAYOUT.unpack(payload)
    elif len(payload) == SHORT_LAYOUT.size:
        _, temperature, humidity, battery = SHORT_LAYOUT.unpack(payload)
    else:
        raise WrongLength(f"{len(payload)} bytes, want {LAYOUT.size} or {SHORT_LAYOUT.size}")

    readings = [
        Reading("temperature", (temperature - 400) / 10, "°C"),
        Reading("relative_humidity", round(humidity * 100 / 256, 1), "%"),
        Reading("battery_voltage", (1600 + 8 * battery) / 1000, "V"),
    ]
    if not external & NO_THERMISTOR:
        readings.append(Reading("external_temperature", (external & 0x03FF) / 10, "°C"))
    return readings


def behind_answers(payload: bytes) -> bytes:
    """Return the values at the end of an answer to commands. Raises NoReading for an answer without them."""
    for size in (LAYOUT.size, SHORT_LAYOUT.size):
        values = payload[-size:]
        if len(payload) > size and values[0] == KEEP_ALIVE and int.from_bytes(values[1:3], "big") <= HOTTEST:
            return values
    raise NoReading("an answer to a command")


DECODER = Decoder(
    name="mclimate-ht",
    vendor="MClimate",
    model="HT Sensor LoRaWAN",
    source="MClimate/docs: HT Sensor LoRaWAN Device Communication Protocol, Keep-alive",
    decode=decode,
    examples=[
        Example(  # the maker's; its table prints the battery as 1968 mV, its formula gives 2968
            "01 0288 80 AB 029C",
            fport=2,
            gives=[
                Reading("temperature", 24.8, "°C"),
                Reading("relative_humidity", 50.0, "%"),
                Reading("battery_voltage", 2.968, "V"),
                Reading("external_temperature", 66.8, "°C"),
            ],
        ),
        Example(  # published in TheThingsNetwork/lorawan-devices: vendor/mclimate/ht-sensor-codec.yaml
            "01 0288 80 AB",
            fport=2,
            gives=[
                Reading("temperature", 24.8, "°C"),
                Reading("relative_humidity", 50.0, "%"),
                Reading("battery_voltage", 2.968, "V"),
            ],
        ),
        Example(  # built, as all below: no thermistor, in frost
            "01 015E 40 AB 0400",
            fport=2,
            gives=[
                Reading("temperature", -5.0, "°C"),
                Reading("relative_humidity", 25.0, "%"),
                Reading("battery_voltage", 2.968, "V"),
            ],
        ),
        Example(  # the maker's, of two answers
            "04 10 80 01 0275 49 CD 0180",
            fport=2,
            gives=[
                Reading("temperature", 22.9, "°C"),
                Reading("relative_humidity", 28.5, "%"),
                Reading("battery_voltage", 3.24, "V"),
                Reading("external_temperature", 38.4, "°C"),
            ],
        ),
        Example(
            "12 09 01 0288 80 AB",
            fport=2,
            gives=[
                Reading("temperature", 24.8, "°C"),
                Reading("relative_humidity", 50.0, "%"),
                Reading("battery_voltage", 2.968, "V"),
            ],
        ),
        Example("12 09", fport=2, fails=NoReading),
        Example("12 01 1B 00 19 3C 1D 00 00", fport=2, fails=NoReading),
        Example("01 0288 80 AB 029C", fport=42, fails=WrongFormat),
        Example("01 0288 80 AB 02", fport=2, fails=WrongLength),
    ],
)
