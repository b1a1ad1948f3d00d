"""Adeunis Field Test Device (FTD): position, temperature, battery, quality of downlinks.

One byte that tells what follows, then the fields in this order, big-endian; a frame carries all of
them, or the position alone and the rest in the next frame:

    SS  TT  AA AA AA AA OO OO OO OO QQ  UU  DD  BB BB  RR NN

    S  u8    bit 7 = T, bit 4 = A, O and Q, bit 3 = U, bit 2 = D, bit 1 = B, bit 0 = R and N follow;
             bit 6 = sent because it was moved, bit 5 = sent because of the button
    T  i8    temperature, °C
    A  BCD   latitude: degrees (2 digits), minutes (2), thousandths of minutes (3); last bit 1 = south
    O  BCD   longitude: degrees (3 digits), minutes (2), hundredths of minutes (2); last bit 1 = west
    Q  u8    bits 7-4 quality of the position (1 good, 2 average, 3 poor), bits 3-0 satellites
    U  u8    uplinks sent, modulo 256; the device's own count
    D  u8    downlinks received, likewise
    B  u16   battery, mV
    R  u8    RSSI of the last downlink, dBm with the sign left out
    N  i8    its SNR, dB

Without a position the flags may be all there is: a frame sent for its radio only. The FPort is not
told, so it is not checked.
"""

from lora_post import Decoder, Example, Implausible, NoReading, Reading, WrongFormat, WrongLength

# bit of the first byte: size of what follows
SIZES = {0x80: 1, 0x10: 9, 0x08: 1, 0x04: 1, 0x02: 2, 0x01: 2}


def decode(payload: bytes, fport: int) -> list[Reading]:
    if not payload:
        raise WrongLength("0 bytes, want 1 or more")
    flags = payload[0]
    size = 1 + sum(size for bit, size in SIZES.items() if flags & bit)
    if len(payload) != size:
        raise WrongLength(f"{len(payload)} bytes, want {size} with flags {flags:02x}")
    if size == 1:
        raise NoReading("nothing but the reason of sending")
    fields: dict[int, bytes] = {}
    offset = 1
    for bit, size in SIZES.items():
        if flags & bit:
            fields[bit] = payload[offset : offset + size]
            offset += size

    readings: list[Reading] = []
    if 0x80 in fields:
        readings.append(Reading("temperature", signed(fields[0x80]), "°C"))
    if 0x08 in fields:
        readings.append(Reading("uplink_count", fields[0x08][0]))
    if 0x04 in fields:
        readings.append(Reading("downlink_count", fields[0x04][0]))
    if 0x02 in fields:
        readings.append(Reading("battery_voltage", int.from_bytes(fields[0x02], "big") / 1000, "V"))
    if 0x01 in fields:
        readings.append(Reading("downlink_rssi", -fields[0x01][0], "dBm"))
        readings.append(Reading("downlink_snr", signed(fields[0x01][1:]), "dB"))
    if 0x10 in fields:
        readings += read_position(fields[0x10], readings)
    return readings


def signed(field: bytes) -> int:
    return int.from_bytes(field, "big", signed=True)


def read_position(field: bytes, before: list[Reading]) -> list[Reading]:
    """Return the readings of the position. before: what is known without it."""
    latitude, longitude = field[0:4].hex(), field[4:8].hex()
    if not (latitude[:7] + longitude[:7]).isdecimal():
        raise WrongFormat(f"position {latitude} {longitude}, want decimal digits", before)
    north = degrees(latitude[:2], latitude[2:4], latitude[4:7])
    east = degrees(longitude[:3], longitude[3:5], longitude[5:7])
    if north > 90 or east > 180 or int(latitude[2:4]) > 59 or int(longitude[3:5]) > 59:
        raise Implausible(f"position {latitude} {longitude}", before)
    position = {
        "latitude": -north if field[3] & 1 else north,
        "longitude": -east if field[7] & 1 else east,
    }
    return [
        Reading("gps", dict(position)),
        Reading("gps_quality", field[8] >> 4),
        Reading("satellites", field[8] & 15),
    ]


def degrees(whole: str, minutes: str, fraction: str) -> float:
    """Return degrees with 6 decimals, finer than the thousandth of a minute that is sent."""
    return round(int(whole) + float(f"{minutes}.{fraction}") / 60, 6)


DECODER = Decoder(
    name="adeunis-ftd",
    vendor="Adeunis",
    model="Field Test Device",
    source="Field Test Device LoRaWAN, user guide 1.0, section 4",
    decode=decode,
    examples=[
        Example(  # the user guide's example of frame 1
            "30 45159690 00553450 27",
            gives=[
                Reading("gps", {"latitude": 45.26615, "longitude": 5.890833}),
                Reading("gps_quality", 2),
                Reading("satellites", 7),
            ],
        ),
        Example(  # the user guide's example of frame 2
            "8F 1B 20 20 0FC9 52 07",
            gives=[
                Reading("temperature", 27, "°C"),
                Reading("uplink_count", 32),
                Reading("downlink_count", 32),
                Reading("battery_voltage", 4.041, "V"),
                Reading("downlink_rssi", -82, "dBm"),
                Reading("downlink_snr", 7, "dB"),
            ],
        ),
        Example(  # built from both, as all below: everything in one frame, in frost, south and west
            "BF F4 45159691 00553451 27 20 20 0FC9 52 F9",
            gives=[
                Reading("temperature", -12, "°C"),
                Reading("uplink_count", 32),
                Reading("downlink_count", 32),
                Reading("battery_voltage", 4.041, "V"),
                Reading("downlink_rssi", -82, "dBm"),
                Reading("downlink_snr", -7, "dB"),
                Reading("gps", {"latitude": -45.26615, "longitude": -5.890833}),
                Reading("gps_quality", 2),
                Reading("satellites", 7),
            ],
        ),
        Example("00", fails=NoReading),
        Example("20", fails=NoReading),
        Example(
            "92 1B 45759690 00553450 27 0FC9",
            gives=[Reading("temperature", 27, "°C"), Reading("battery_voltage", 4.041, "V")],
            fails=Implausible,
        ),
        Example("30 4515A690 00553450 27", fails=WrongFormat),
        Example("8F 1B 20 20 0FC9 52", fails=WrongLength),
    ],
)
