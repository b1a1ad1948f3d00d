"""Milesight's uplinks: a sequence of values, each behind a channel and a type byte.

    CC TT VV …  CC TT VV …

    C  u8  channel, T  u8  type: together they tell what the value is and how long; FF for the device itself
    V      the value, little-endian

What a damaged payload costs: see `tagged`. Values of channel FF say nothing about the field and are
skipped. Answers to downlinks (other types of FE and FF) have sizes that depend on the device type and
end the decoding. Stored values begin with the Unix time of their measurement (u32), and become readings of
that time. The FPort is a setting (85 unless changed), so it means nothing.

Sources: Milesight-IoT/SensorDecoders: the README.md of each device type; user guides, section "Device Payload".
"""

from __future__ import annotations

from msgspec.structs import replace

from lora_post.errors import DecodeError, NoReading, WrongFormat
from lora_post.model import Reading
from lora_post.payloads.tagged import Item, Items, number, read_values, skipped, together

TIME_SIZE = 4


def state(name: str) -> Item:
    """Return an item with one byte, 1 for true and 0 for false."""

    def read(value: bytes) -> list[Reading]:
        if value[0] > 1:
            raise WrongFormat(f"{name} {value[0]:02x}, want 0 or 1")
        return [Reading(name, value[0] == 1)]

    return Item(1, read)


def stored(*items: Item) -> Item:
    """Return the item of a stored measurement. items: what is behind its time."""
    values = together(*items)

    def read(value: bytes) -> list[Reading]:
        at_s = int.from_bytes(value[:TIME_SIZE], "little")
        try:
            return [replace(reading, at_s=at_s) for reading in values.read(value[TIME_SIZE:])]
        except DecodeError as error:
            kept = [replace(reading, at_s=at_s) for reading in error.kept]
            raise type(error)(error.what, kept, fix=error.fix) from None

    return Item(TIME_SIZE + values.size, read)


BATTERY = b"\x01\x75"
BATTERY_LEVEL = number("battery_level", "%", "B", most=100)
HISTORY = b"\x20\xce"

ANSWERS = (b"\xfe", b"\xff")
ABOUT_DEVICE: Items = {
    b"\xff\x01": skipped(1),  # protocol version
    b"\xff\x08": skipped(6),  # serial number
    b"\xff\x09": skipped(2),  # hardware version
    b"\xff\x0a": skipped(2),  # firmware version
    b"\xff\x0b": skipped(1),  # switched on
    b"\xff\x0f": skipped(1),  # LoRaWAN class
    b"\xff\x16": skipped(8),  # serial number
    b"\xff\x18": skipped(2),  # which sensors are on
    b"\xff\xfe": skipped(1),  # reset
    b"\xff\xff": skipped(2),  # version of the table of values
}


def read_items(payload: bytes, items: Items) -> list[Reading]:
    """Return all readings of a payload.

    items: what the device type sends, by channel and type. Raises as `read_values`, and NoReading for a payload
    about the device only.
    """
    offset = 0
    while (about := ABOUT_DEVICE.get(payload[offset : offset + 2])) is not None:
        offset += 2 + about.size
    if payload and offset == len(payload):
        raise NoReading("the payload is about the device, not about the field")
    tag = payload[offset : offset + 2]
    if len(tag) == 2 and tag[:1] in ANSWERS and tag not in items:
        raise NoReading(f"offset {offset}: {tag.hex(' ')} is about the device's settings")
    return read_values(payload, {**ABOUT_DEVICE, **items})
