"""What the tests of all parsers do: feed a stream, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from hypothesis import strategies as st

from lora_post.formats import FORMATS
from lora_post.model import Frame, Noise, NoiseReason
from tests.support.paths import FIXTURES

NOW_US = 1_772_366_400_000_000

LAB_1 = bytes.fromhex("40035cab0100000002c53faad42929afbcd834bc63")
"""A LoRaWAN uplink: DevAddr 01ab5c03, FCnt 0."""


def capture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def events_of(name: str, chunks: Iterable[bytes]) -> list[Frame | Noise]:
    """What a format's parser makes of a stream that arrives like this."""
    parser = FORMATS[name]("gw1", UTC)
    found = [event for chunk in chunks for event in parser.feed(chunk, NOW_US)]
    return found + parser.finish(NOW_US)


def frames_of(name: str, stream: bytes) -> list[Frame]:
    return [event for event in events_of(name, [stream]) if isinstance(event, Frame)]


def reasons_of(name: str, stream: bytes) -> list[str]:
    return [event.reason for event in events_of(name, [stream]) if isinstance(event, Noise)]


def assert_any_cut_gives_the_same(name: str, stream: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    whole = events_of(name, [stream])
    assert events_of(name, [chunk for chunk in chunks if chunk]) == whole
    assert events_of(name, cut(stream, 1)) == whole


def assert_events_are_sound(events: Iterable[Frame | Noise]) -> None:
    for event in events:
        if isinstance(event, Noise):
            assert event.detail.isprintable() and (event.size > 0 or event.reason is NoiseReason.UNKNOWN_FORMAT)
            assert len(event.detail) < 500
        else:
            assert len(event.phy_payload) <= 255
