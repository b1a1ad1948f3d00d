"""LSC, LowCostLoRaGw's lightweight stream cipher: bytes in, bytes out, no packet layout.

It keeps the curious out, but not an attacker: the key stream depends on the key and one byte of sequence number
only, so it comes again after 256 packets, and the MIC has 150 423 values.

Source: CongducPham/LowCostLoRaGw: gw_full_latest/decrypt_LSC.py, gw_full_latest/README-LSC.md.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from itertools import cycle
from typing import Final

KEY_SIZE: Final = 16
MIC_SIZE: Final = 4

_BLOCK: Final = 16
_SEED: Final = 123
_MODULI: Final = (7, 13, 29, 57)
_PERSON: Final = b"lora-post lsc"


class LscKey:
    """One device's key with what is derived from it once; never changes, equal by value.

    Raises ValueError when the key has another length than 16 bytes; the text does not show the key.
    """

    __slots__ = ("_boxes", "_first_round", "_order", "fingerprint", "key")

    key: Final[bytes]
    fingerprint: Final[bytes]
    """8 bytes that change with the key and do not tell it; safe to store and to print."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"lsc_key has {len(key)} bytes, want {KEY_SIZE}")
        self.key = bytes(key)
        self.fingerprint = blake2b(self.key, digest_size=8, person=_PERSON).digest()
        word, words = _SEED, b""
        while len(words) < KEY_SIZE:
            word = _xorshift(word)
            words += word.to_bytes(4, "little")
        dynamic = bytes(one ^ other for one, other in zip(words, self.key, strict=True))
        quarters = [dynamic[at : at + 4] for at in range(0, KEY_SIZE, 4)]
        self._first_round = _key_stream(_substitution(quarters[0]), _BLOCK)
        self._order = _permutation(quarters[1])
        self._boxes = (bytes(_substitution(quarters[2])), bytes(_substitution(quarters[3])))

    def __repr__(self) -> str:
        return f"LscKey(fingerprint={self.fingerprint.hex()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LscKey) and compare_digest(self.key, other.key)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def crypt(self, data: bytes, nonce: int) -> bytes:
        """Encrypt or decrypt, which is the same operation.

        nonce: 0 … 255, the packet's sequence number.
        """
        first, second = self._boxes
        rounds = bytearray(self._first_round)
        word = nonce.to_bytes(4, "little")
        mask = [(second if i & 1 else first)[rounds[i] ^ word[i & 3]] for i in range(_BLOCK)]
        clear = bytearray()
        for start in range(0, len(data), _BLOCK):
            for i in range(_BLOCK):
                if i & 3 == 0:
                    nonce = _xorshift(nonce)
                    word = nonce.to_bytes(4, "little")
                mask[i] = (first if i & 1 else second)[mask[i] ^ rounds[i] ^ word[i & 3]]
            clear += bytes(one ^ other for one, other in zip(data[start : start + _BLOCK], mask, strict=False))
            for i in range(_BLOCK):  # in place: later places see the new bytes of earlier ones
                rounds[i] = (first if i & 1 else second)[rounds[self._order[i]]]
        return bytes(clear)

    def mic(self, header: bytes, ciphertext: bytes, nonce: int) -> bytes:
        """Return the four MIC bytes of a packet. header: its four bytes as on air."""
        total = sum(self.crypt(header + ciphertext, (nonce + 1) & 0xFF))
        return bytes(_xorshift(total % modulus) & 0xFF for modulus in _MODULI)


def _xorshift(word: int) -> int:
    """Return the next state of a 32-bit xorshift generator; 0 stays 0."""
    word ^= word << 13 & 0xFFFF_FFFF
    word ^= word >> 17
    return word ^ (word << 5 & 0xFFFF_FFFF)


def _substitution(key: bytes) -> list[int]:
    """Return a permutation of 0 … 255, by RC4's key schedule."""
    box = list(range(256))
    j = 0
    for i, byte in zip(range(256), cycle(key), strict=False):
        j = (j + box[i] + byte) & 0xFF
        box[i], box[j] = box[j], box[i]
    return box


def _permutation(key: bytes) -> list[int]:
    """Return a permutation of 0 … 15."""
    box = list(range(_BLOCK))
    j = 1
    for i, byte in zip(range(_BLOCK), cycle(key), strict=False):
        j = (j + box[i] + box[j] + byte) % _BLOCK
        box[i], box[j] = box[j], box[i]
    return box


def _key_stream(box: list[int], size: int) -> bytes:
    """Return RC4's key stream, but that i runs modulo 255; changes the box."""
    stream = bytearray()
    i = j = 0
    for _ in range(size):
        i = (i + 1) % 255
        j = (j + box[i]) & 0xFF
        box[i], box[j] = box[j], box[i]
        stream.append(box[(box[i] + box[j]) & 0xFF])
    return bytes(stream)
