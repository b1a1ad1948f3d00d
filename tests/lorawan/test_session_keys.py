"""Session keys, MIC and payload cipher."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from lora_post.lorawan.session_keys import DOWNLINK, UPLINK, SessionKeys
from tests.support.lorawan_vectors import LORA_PACKET, VECTORS, Vector

NWK_SKEY, APP_SKEY = bytes(range(16)), bytes(range(240, 256))
KEYS = SessionKeys(NWK_SKEY, APP_SKEY)
dev_addrs = st.integers(0, 0xFFFF_FFFF)
fcnts = st.integers(0, 0xFFFF_FFFF)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_known_frame_has_its_mic(vector: Vector) -> None:
    direction = UPLINK if vector.uplink else DOWNLINK
    assert vector.keys.data_mic(vector.dev_addr, vector.fcnt, direction, vector.phy[:-4]) == vector.mic


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.fport is not None], ids=lambda v: v.name)
def test_known_frame_decrypts_to_its_clear_text(vector: Vector) -> None:
    direction = UPLINK if vector.uplink else DOWNLINK
    assert (
        vector.keys.crypt(vector.dev_addr, vector.fcnt, direction, vector.fport or 0, vector.frm_payload)
        == vector.clear
    )


def test_the_key_stream_is_the_published_one() -> None:
    stream = LORA_PACKET.crypt(0x49BE7DF1, 2, UPLINK, 1, bytes(16))
    assert stream.hex() == "e1260b024bb2816d42b7593702fed706"


def test_upper_half_of_the_counter_enters_the_mic() -> None:
    message = bytes.fromhex("40035cab01000000026a3ee10d")
    assert KEYS.data_mic(0x01AB5C03, 65536, UPLINK, message).hex() == "7e90c0f3"
    assert KEYS.data_mic(0x01AB5C03, 0, UPLINK, message).hex() == "8df48761"


@given(dev_addrs, fcnts, st.sampled_from([UPLINK, DOWNLINK]), st.integers(0, 255), st.binary(max_size=255))
def test_encrypting_twice_gives_the_payload_back(addr: int, fcnt: int, way: int, fport: int, payload: bytes) -> None:
    sealed = KEYS.crypt(addr, fcnt, way, fport, payload)
    assert len(sealed) == len(payload)
    assert KEYS.crypt(addr, fcnt, way, fport, sealed) == payload


@given(dev_addrs, fcnts, st.binary(max_size=255))
def test_the_key_stream_is_aes_of_counted_blocks(addr: int, fcnt: int, payload: bytes) -> None:
    head = b"\x01\0\0\0\0\0" + addr.to_bytes(4, "little") + fcnt.to_bytes(4, "little") + b"\0"
    encryptor = Cipher(AES(APP_SKEY), ECB()).encryptor()
    stream = b"".join(encryptor.update(head + bytes((i,))) for i in range(1, 17))
    wanted = bytes(a ^ b for a, b in zip(payload, stream, strict=False))
    assert KEYS.crypt(addr, fcnt, UPLINK, 2, payload) == wanted


@given(dev_addrs, fcnts, st.binary(min_size=1, max_size=255), st.data())
def test_any_flipped_bit_changes_the_mic(addr: int, fcnt: int, message: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(message) * 8 - 1))
    flipped = bytearray(message)
    flipped[bit // 8] ^= 1 << bit % 8
    assert KEYS.data_mic(addr, fcnt, UPLINK, message) != KEYS.data_mic(addr, fcnt, UPLINK, bytes(flipped))


def test_one_message_does_not_touch_the_next() -> None:
    first = KEYS.data_mic(1, 1, UPLINK, b"first")
    KEYS.crypt(1, 1, UPLINK, 1, bytes(40))
    KEYS.data_mic(2, 2, DOWNLINK, b"second")
    assert KEYS.data_mic(1, 1, UPLINK, b"first") == first


def test_repr_and_error_hide_the_keys() -> None:
    text = repr(KEYS)
    assert NWK_SKEY.hex() not in text and APP_SKEY.hex() not in text and repr(NWK_SKEY) not in text
    with pytest.raises(ValueError, match="app_skey has 3 bytes, want 16") as caught:
        SessionKeys(NWK_SKEY, b"\xaa\xbb\xcc")
    assert "aa" not in str(caught.value)


def test_keys_of_wrong_length_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="nwk_skey has 32 bytes, want 16"):
        SessionKeys(bytes(32), APP_SKEY)


def test_keys_are_equal_by_value() -> None:
    same, swapped = SessionKeys(NWK_SKEY, APP_SKEY), SessionKeys(APP_SKEY, NWK_SKEY)
    assert same == KEYS and hash(same) == hash(KEYS)
    assert swapped != KEYS
    assert KEYS != NWK_SKEY


def test_fingerprint_tells_keys_apart_and_does_not_change_between_versions() -> None:
    assert KEYS.fingerprint == blake2b(NWK_SKEY + APP_SKEY, digest_size=8, person=b"lora-post keys").digest()
    others = [SessionKeys(APP_SKEY, NWK_SKEY), SessionKeys(NWK_SKEY, NWK_SKEY), SessionKeys(APP_SKEY, APP_SKEY)]
    assert len({KEYS.fingerprint, *(keys.fingerprint for keys in others)}) == 4


def test_keys_can_be_a_field_of_a_frozen_struct() -> None:
    class Holder(Struct, frozen=True):
        keys: SessionKeys

    holders = {Holder(KEYS), Holder(SessionKeys(NWK_SKEY, APP_SKEY))}
    assert len(holders) == 1
    assert NWK_SKEY.hex() not in repr(holders)
