"""LoRaTap captures as pcapng files, which is how Wireshark saves by default; read only.

    type(4) | length(4) | … | length(4)                                every block, length a multiple of 4
    0A0D0D0A: byte-order magic 1A2B3C4D(4) | …                         a section begins, and counts interfaces anew
    1: link type(2) | reserved(2) | snaplen(4) | options               an interface; option 9: its time resolution
    6: interface(4) | time high(4) | time low(4) | captured(4) | original(4) | packet | …      a packet

All numbers are in the section's byte order. Other blocks are passed over. After damage the next packet block is
searched for by its type and by its two lengths, which must agree.

Source: IETF, draft-ietf-opsawg-pcapng, sections 3 and 4.
"""

from __future__ import annotations

from datetime import tzinfo
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from lora_post.formats.line_reader import show
from lora_post.formats.loratap import read_loratap
from lora_post.model import Frame, Noise, NoiseReason
from lora_post.times import WallUs

MAGIC: Final = b"\x0a\x0d\x0d\x0a"

MAX_BLOCK: Final = 4096
"""Packets of LoRa and descriptions of interfaces are shorter; longer blocks are passed over without being held."""

MAX_SKIPPED: Final = 1 << 20
"""A length above it is damage."""

MAX_TIME_US: Final = (1 << 32) * 1_000_000 - 1
"""Up to the year 2106, as in pcap."""

_LORATAP: Final = 270
_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6
# Names, a journal's entry, secrets, custom: what may be long.
_LONG_TYPES: Final = frozenset((4, 9, 10, 0xBAD, 0x4000_0BAD))
_ORDER_MAGIC: Final = b"\x1a\x2b\x3c\x4d"
_MAX_INTERFACES: Final = 64
_MIN_SIZE: Final = 12
_PACKET_SIZE: Final = 32
_TSRESOL: Final = 9
_MICRO: Final = 1_000_000


class _Order(Struct, frozen=True, gc=False):
    """How numbers are laid out in a section."""

    word: Layout
    start: Layout
    interface: Layout
    option: Layout
    packet: Layout


def _order(mark: str) -> _Order:
    return _Order(
        Layout(mark + "I"), Layout(mark + "II"), Layout(mark + "HHI"), Layout(mark + "HH"), Layout(mark + "5I")
    )


_BIG: Final = _order(">")
_LITTLE: Final = _order("<")


class PcapngParser:
    """Reads one file; holds at most one block, 4 kB. zone: plays no part, captures have UTC."""

    def __init__(self, gateway: str, zone: tzinfo) -> None:
        self._gateway = gateway
        self._reset()

    def _reset(self) -> None:
        self._held = b""
        self._order = _LITTLE
        self._interfaces: list[int | None] = []  # ticks a second of each; None for one that is not LoRaTap's
        self._skip = 0  # bytes of a long block that are still to come
        self._lost = 0  # bytes given up since the last good block
        self._lost_start = b""

    def feed(self, data: bytes, now_us: WallUs) -> list[Frame | Noise]:
        """Take bytes and return what they complete; packets have times of their own."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._held += data
        return self._parse()

    def finish(self, now_us: WallUs) -> list[Frame | Noise]:
        """End the input: what has begun is cut short; return packets that stand inside it."""
        events: list[Frame | Noise] = []
        while self._held:
            if not self._lost:
                self._lost_start = self._held[:_MIN_SIZE]
            self._lost += 1
            self._held = self._held[1:]
            events += self._parse()
        if self._lost:
            events.append(Noise(NoiseReason.TRUNCATED, self._lost, show(self._lost_start)))
        self._reset()
        return events

    def _parse(self) -> list[Frame | Noise]:
        """Take from the held bytes all blocks that are complete."""
        events: list[Frame | Noise] = []
        held, at = self._held, 0
        while len(held) - at >= _MIN_SIZE:
            order = self._order
            if held.startswith(MAGIC, at):
                order = _BIG if held.startswith(_ORDER_MAGIC, at + 8) else _LITTLE
            kind, size = order.start.unpack_from(held, at)
            if size % 4 or not _MIN_SIZE <= size <= MAX_SKIPPED or (self._lost and not self._is_sought(kind, size)):
                at = self._lose(held, at)
                continue
            if size > MAX_BLOCK:
                if kind not in _LONG_TYPES:
                    at = self._lose(held, at)
                    continue
                self._tell_lost(events)
                self._skip = max(at + size - len(held), 0)
                at = min(at + size, len(held))
                continue
            if len(held) - at < size:
                break
            if order.word.unpack_from(held, at + size - 4)[0] != size:
                at = self._lose(held, at)
                continue
            self._order = order
            self._tell_lost(events)
            self._take(kind, held[at + 8 : at + size - 4], events)
            at += size
        self._held = held[at:]
        return events

    def _is_sought(self, kind: int, size: int) -> bool:
        return size <= MAX_BLOCK and (kind == _SECTION or (kind == _PACKET and size >= _PACKET_SIZE))

    def _lose(self, held: bytes, at: int) -> int:
        """Return the next place where a block may begin: none begins here."""
        if not self._lost:
            self._lost_start = held[at : at + _MIN_SIZE]
        packet = held.find(self._order.word.pack(_PACKET), at + 1)
        section = held.find(MAGIC, at + 1)
        places = [place for place in (packet, section) if place >= 0]
        found = min(places) if places else max(at + 1, len(held) - 3)
        self._lost += found - at
        return found

    def _tell_lost(self, events: list[Frame | Noise]) -> None:
        if self._lost:
            events.append(Noise(NoiseReason.DAMAGED, self._lost, show(self._lost_start)))
            self._lost = 0

    def _take(self, kind: int, body: bytes, events: list[Frame | Noise]) -> None:
        if kind == _SECTION:
            self._interfaces.clear()
        elif kind == _INTERFACE and len(body) >= 8 and len(self._interfaces) < _MAX_INTERFACES:
            link_type = self._order.interface.unpack_from(body)[0]
            self._interfaces.append(_ticks(body, self._order) if link_type == _LORATAP else None)
            if link_type != _LORATAP:
                detail = f"link type {link_type}, want {_LORATAP} (LoRaTap)"
                events.append(Noise(NoiseReason.BAD_HEADER, len(body), detail))
        elif kind == _PACKET and len(body) >= 20:
            interface, high, low, size, full_size = self._order.packet.unpack_from(body)
            ticks = self._interfaces[interface] if interface < len(self._interfaces) else None
            packet = body[20 : 20 + size]
            if ticks is None:
                if interface >= len(self._interfaces):
                    events.append(Noise(NoiseReason.BAD_RECORD, len(body), f"interface {interface} is unknown"))
            elif len(packet) < size or size < full_size:
                events.append(Noise(NoiseReason.TRUNCATED, len(body), show(packet)))
            else:
                time_us = ((high << 32) + low) * _MICRO // ticks
                events.append(read_loratap(packet, self._gateway, WallUs(min(time_us, MAX_TIME_US))))


def _ticks(body: bytes, order: _Order) -> int:
    """Return an interface's ticks a second: a power of ten, of two if the highest bit is set."""
    at = 8
    while at + 4 <= len(body):
        code, size = order.option.unpack_from(body, at)
        if code == _TSRESOL and size == 1 and at + 4 < len(body):
            power = body[at + 4]
            return 1 << (power & 0x7F) if power & 0x80 else 10 ** min(power, 19)
        if code == 0:
            break
        at += 4 + (size + 3) // 4 * 4
    return _MICRO
