"""The CFList of a join-accept: which channels a device may use.

    frequencies  =  5 × frequency(3, in 100 Hz) | 00
    masks        =  6 × channel mask(2) | 00 00 00 | 01

Source: LoRaWAN 1.0.4, section 6.2.6; RP002-1.0.4, sections 2.4 to 2.14.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct

from lora_post.errors import FrameError

SIZE: Final = 16
_FREQUENCIES: Final = 0
_MASKS: Final = 1
_HZ: Final = 100
_MASKED: Final = 96


class Frequencies(Struct, frozen=True):
    """Channels beside those that all devices of the region have. hz: five at most; 0 for none."""

    hz: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """Return the CFList."""
        channels = b"".join((hz // _HZ).to_bytes(3, "little") for hz in self.hz)
        return channels.ljust(SIZE - 1, b"\0") + bytes((_FREQUENCIES,))


class Masks(Struct, frozen=True):
    """The channels of the region's plan that are used, and no others. numbers: rising, below 96."""

    numbers: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """Return the CFList."""
        mask = sum(1 << number for number in self.numbers).to_bytes(_MASKED // 8, "little")
        return mask.ljust(SIZE - 1, b"\0") + bytes((_MASKS,))


CFList: TypeAlias = Frequencies | Masks


def parse_cf_list(cf_list: bytes) -> CFList:
    """Read a CFList of 16 bytes. Raises FrameError when its type is not known."""
    kind = cf_list[-1]
    if kind == _FREQUENCIES:
        return Frequencies(tuple(int.from_bytes(cf_list[at : at + 3], "little") * _HZ for at in range(0, 15, 3)))
    if kind == _MASKS:
        mask = int.from_bytes(cf_list[: _MASKED // 8], "little")
        return Masks(tuple(number for number in range(_MASKED) if mask >> number & 1))
    raise FrameError(f"CFList of type {kind}, known are 0 and 1")
