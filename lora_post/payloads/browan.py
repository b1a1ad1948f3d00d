"""Browan's Tabs: eight bytes on the FPort of the device type, little-endian.

    SS BB TT DD DD DD DD DD

    S  u8  status
    B  u8  battery, 2.5 V + 0.1 V a step, in bits 3-0; bits 7-4 unused
    T  u8  temperature, °C + 32, in bits 6-0
    D      what the device type measures

FPorts 204 and 222 tell settings and versions.

Source: Browan's reference manuals of the device types, section 4.1.
"""

from __future__ import annotations

from lora_post.errors import NoReading, WrongFormat, WrongLength
from lora_post.model import Reading

ABOUT_DEVICE = (204, 222)
SIZE = 8


def check(payload: bytes, fport: int, wanted: int) -> None:
    """Raise the DecodeError of a payload that is not the one on FPort `wanted`."""
    if fport in ABOUT_DEVICE:
        raise NoReading(f"FPort {fport} tells the device's settings")
    if len(payload) != SIZE:
        raise WrongLength(f"{len(payload)} bytes, want {SIZE}")
    if fport != wanted:
        raise WrongFormat(f"FPort {fport}, want {wanted}")


def battery_voltage(payload: bytes) -> Reading:
    """Return the reading of byte B."""
    return Reading("battery_voltage", (25 + (payload[1] & 0x0F)) / 10, "V")


def temperature(name: str, payload: bytes) -> Reading:
    """Return the reading of byte T."""
    return Reading(name, (payload[2] & 0x7F) - 32, "°C")


def read_events(state: str, payload: bytes) -> list[Reading]:
    """Return all readings of a device type that counts events.

        SS BB TT EE EE CC CC CC

        S  u8   bit 0: the state
        T  u8   temperature of the circuit board
        E  u16  minutes since the last event
        C  u24  events since the battery was put in

    state: how the reading of bit 0 is called.
    """
    return [
        Reading(state, payload[0] & 1 == 1),
        battery_voltage(payload),
        temperature("board_temperature", payload),
        Reading("since_event", int.from_bytes(payload[3:5], "little"), "min"),
        Reading("count", int.from_bytes(payload[5:8], "little")),
    ]
