"""Read and write the body of a MAC command by the types of its fields.

A body is one little-endian number; its fields are listed from the lowest bit, as `Bits` gives their widths.

Source: LoRaWAN 1.0.4, section 5.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, ClassVar, Self, TypeAlias, get_args, get_type_hints

from msgspec import Struct


class Bits(Struct, frozen=True):
    """How a field lies in a body. width: its bits. unused: bits above it that nobody uses. unit: what 1 stands for."""

    width: int
    unused: int = 0
    unit: int = 1
    signed: bool = False


Flag: TypeAlias = Annotated[bool, Bits(1)]
U3: TypeAlias = Annotated[int, Bits(3)]
U4: TypeAlias = Annotated[int, Bits(4)]
U8: TypeAlias = Annotated[int, Bits(8)]
U16: TypeAlias = Annotated[int, Bits(16)]
U32: TypeAlias = Annotated[int, Bits(32)]
LowU3: TypeAlias = Annotated[int, Bits(3, unused=1)]
LowU4: TypeAlias = Annotated[int, Bits(4, unused=4)]
Hz: TypeAlias = Annotated[int, Bits(24, unit=100)]


class Body(Struct, frozen=True):
    """The body of one MAC command; a subclass has its fields."""

    cid: ClassVar[int]

    @classmethod
    def size(cls) -> int:
        """Return the number of bytes on air, without the CID."""
        return sum(bits.width + bits.unused for _, bits in layout(cls)) // 8

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Read a body of `size` bytes."""
        number, values = int.from_bytes(body, "little"), {}
        for name, bits in layout(cls):
            value = number & (1 << bits.width) - 1
            if bits.signed and value >> bits.width - 1:
                value -= 1 << bits.width
            values[name] = bool(value) if bits.width == 1 else value * bits.unit
            number >>= bits.width + bits.unused
        return cls(**values)

    def to_bytes(self) -> bytes:
        """Return the command as on air, CID included. Raises ValueError for a field that is out of range."""
        number = at = 0
        for name, bits in layout(type(self)):
            value, rest = divmod(int(getattr(self, name)), bits.unit)
            lowest = -(1 << bits.width - 1) if bits.signed else 0
            if rest or not lowest <= value < lowest + (1 << bits.width):
                raise ValueError(f"{type(self).__name__}: {name} is {getattr(self, name)}")
            number |= (value & (1 << bits.width) - 1) << at
            at += bits.width + bits.unused
        return bytes((self.cid,)) + number.to_bytes(at // 8, "little")


@cache
def layout(body: type[Body]) -> tuple[tuple[str, Bits], ...]:
    """Return the fields of a body from the lowest bit."""
    hints = get_type_hints(body, include_extras=True)
    return tuple((name, get_args(hints[name])[1]) for name in body.__struct_fields__)
