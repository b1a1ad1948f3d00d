"""LowCostLoRaGw's light cipher. A and B were published with it, C and D built from its description."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.lowcost.lsc import LscKey

PUBLISHED = LscKey(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
VECTORS = [
    ("01160600", "/pORmjiC3rT8wsHFwpxsMC/ybWiljDHG", b"HELLO WORLD!!!!!!!!!"),
    ("01160668", "0h0nPtJ3XbNkIHXLBfrptwpjIRik", b"\x05\x06\x07\x08\\!#1#TC/22.50"),
    ("011407c8", "VEL9MyiWukDR31zXIqk80wDG1gA=", b"\\!TC/23.75/HU/61"),
    ("011407ff", "RIRAMxVvcQ3DIMbnAKQ=", b"\\!TC/-1.50"),
]
keys = st.binary(min_size=16, max_size=16).map(LscKey)
nonces = st.integers(0, 255)


@pytest.mark.parametrize(("header", "payload", "clear"), VECTORS, ids="ABCD")
def test_known_packet_is_opened(header: str, payload: str, clear: bytes) -> None:
    head, inner = bytes.fromhex(header), base64.b64decode(payload)
    assert PUBLISHED.crypt(inner[:-4], head[3]) == clear
    assert PUBLISHED.mic(head, inner[:-4], head[3]) == inner[-4:]


@given(keys, nonces, st.binary(max_size=250))
def test_encrypting_twice_gives_the_payload_back(key: LscKey, nonce: int, payload: bytes) -> None:
    sealed = key.crypt(payload, nonce)
    assert len(sealed) == len(payload)
    assert key.crypt(sealed, nonce) == payload


@given(keys, nonces, st.binary(max_size=100), st.integers(0, 99))
def test_start_of_a_message_does_not_depend_on_its_end(key: LscKey, nonce: int, payload: bytes, cut: int) -> None:
    assert key.crypt(payload, nonce)[:cut] == key.crypt(payload[:cut], nonce)


@given(keys, nonces, st.binary(max_size=250))
def test_every_packet_has_a_mic_of_four_bytes(key: LscKey, nonce: int, sealed: bytes) -> None:
    assert len(key.mic(bytes((1, 0x14, 6, nonce)), sealed, nonce)) == 4


def test_key_is_not_shown_and_is_equal_by_value() -> None:
    key = LscKey(bytes(range(16)))
    assert key == LscKey(bytes(range(16))) and hash(key) == hash(LscKey(bytes(range(16))))
    assert key != PUBLISHED and key != "key"
    assert bytes(range(16)).hex() not in repr(key)
    assert repr(key) != repr(PUBLISHED)


def test_key_of_another_length_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="lsc_key has 15 bytes, want 16"):
        LscKey(bytes(15))
