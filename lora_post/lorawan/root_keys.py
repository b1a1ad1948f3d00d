"""The root keys of a device that joins (OTAA): MICs of joins, and session keys.

Sources: LoRaWAN 1.0.3, sections 6.2.4 and 6.2.5; LoRaWAN 1.1, sections 6.1.1.3, 6.1.1.4, 6.2.2 and 6.2.3.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.cmac import CMAC

from lora_post.lorawan.session_keys import KEY_SIZE, MIC_SIZE, AnySessionKeys, SessionKeys, SessionKeys11

_PERSON: Final = b"lora-post root"
JOIN_REQUEST_TYPE: Final = 0xFF
"""What a join-accept answers: this, or the type of a rejoin-request."""


class RootKeys:
    """DevEUI, JoinEUI and the root keys of one device; never changes, equal by value.

    app_key: AppKey, 16 bytes. nwk_key: NwkKey of a LoRaWAN 1.1 device, None for 1.0.
    Raises ValueError when a key has another length; the text does not show the key.
    """

    __slots__ = ("_app_key", "_nwk_key", "dev_eui", "fingerprint", "is_11", "join_eui")

    dev_eui: Final[int]
    join_eui: Final[int]
    is_11: Final[bool]
    fingerprint: Final[bytes]
    """8 bytes that change with keys and EUIs and do not tell the keys; safe to store and to print."""

    def __init__(self, dev_eui: int, join_eui: int, app_key: bytes, nwk_key: bytes | None = None) -> None:
        for name, key in (("app_key", app_key), ("nwk_key", nwk_key)):
            if key is not None and len(key) != KEY_SIZE:
                raise ValueError(f"{name} has {len(key)} bytes, want {KEY_SIZE}")
        self.dev_eui = dev_eui
        self.join_eui = join_eui
        self.is_11 = nwk_key is not None
        self._app_key = bytes(app_key)
        self._nwk_key = bytes(app_key if nwk_key is None else nwk_key)  # 1.0 has one key for both purposes
        euis = self._dev_eui_on_air + self._join_eui_on_air
        whole = euis + bytes((self.is_11,)) + self._nwk_key + self._app_key
        self.fingerprint = blake2b(whole, digest_size=8, person=_PERSON).digest()

    def __repr__(self) -> str:
        return f"RootKeys({self.dev_eui:016x}, fingerprint={self.fingerprint.hex()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RootKeys) and compare_digest(self.fingerprint, other.fingerprint)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Return AppKey and, for 1.1, NwkKey."""
        return (self._app_key, self._nwk_key) if self.is_11 else (self._app_key,)

    @property
    def _dev_eui_on_air(self) -> bytes:
        return self.dev_eui.to_bytes(8, "little")

    @property
    def _join_eui_on_air(self) -> bytes:
        return self.join_eui.to_bytes(8, "little")

    def request_mic(self, message: bytes) -> bytes:
        """Return the MIC of a join-request. message: everything before it, 19 bytes."""
        return _cmac(self._nwk_key, message)

    def open_accept(self, encrypted: bytes) -> bytes:
        """Decrypt what is behind the MHDR of a join-accept, 16 or 32 bytes; check its MIC after it.

        The network encrypts with AES's decryption, so that devices need only the other direction.
        """
        return _aes(self._nwk_key, encrypted)

    def seal_accept(self, clear: bytes) -> bytes:
        """Encrypt what `open_accept` decrypts, as the network does."""
        # A join-accept is one or two blocks under ECB by the specification.
        return Cipher(AES(self._nwk_key), ECB()).decryptor().update(clear)  # noqa: S305

    def sealed_accept(self, signed: bytes, dev_nonce: int, *, opt_neg: bool, answers: int = JOIN_REQUEST_TYPE) -> bytes:
        """Return the PHYPayload of a join-accept. signed: MHDR … CFList in clear; the rest as for `accept_mic`."""
        clear = signed[1:] + self.accept_mic(signed, dev_nonce, opt_neg=opt_neg, answers=answers)
        if answers == JOIN_REQUEST_TYPE:
            return signed[:1] + self.seal_accept(clear)
        js_enc_key = _aes(self._nwk_key, _padded(b"\x05" + self._dev_eui_on_air))
        return signed[:1] + Cipher(AES(js_enc_key), ECB()).decryptor().update(clear)  # noqa: S305 - as in `seal_accept`

    def open_rejoin_accept(self, encrypted: bytes) -> bytes:
        """Do what `open_accept` does, for the answer to a rejoin-request."""
        return _aes(_aes(self._nwk_key, _padded(b"\x05" + self._dev_eui_on_air)), encrypted)

    def accept_mic(self, message: bytes, dev_nonce: int, *, opt_neg: bool, answers: int = JOIN_REQUEST_TYPE) -> bytes:
        """Return the MIC of a join-accept, the answer to the join-request with this DevNonce.

        message: MHDR … CFList in clear. opt_neg: it says that the session is one of LoRaWAN 1.1. answers: the type of a
        rejoin-request; its counter is in the place of the DevNonce then.
        """
        if not opt_neg:
            return _cmac(self._nwk_key, message)
        js_int_key = _aes(self._nwk_key, _padded(b"\x06" + self._dev_eui_on_air))
        head = bytes((answers,)) + self._join_eui_on_air + dev_nonce.to_bytes(2, "little")
        return _cmac(js_int_key, head + message)

    def session_keys(self, join_nonce: int, net_id: int, dev_nonce: int, *, opt_neg: bool) -> AnySessionKeys:
        """Return the keys of the session that a join opens. join_nonce, net_id: 24 bits each."""
        nonce, asked = join_nonce.to_bytes(3, "little"), dev_nonce.to_bytes(2, "little")
        if opt_neg:
            rest = nonce + self._join_eui_on_air + asked
            forwarding, serving, encryption = (self._derived(self._nwk_key, number, rest) for number in (1, 3, 4))
            return SessionKeys11(forwarding, serving, encryption, self._derived(self._app_key, 2, rest))
        rest = nonce + net_id.to_bytes(3, "little") + asked
        return SessionKeys(self._derived(self._nwk_key, 1, rest), self._derived(self._nwk_key, 2, rest))

    @staticmethod
    def _derived(key: bytes, number: int, rest: bytes) -> bytes:
        return _aes(key, _padded(bytes((number,)) + rest))


def _padded(block: bytes) -> bytes:
    return block.ljust(KEY_SIZE, b"\0")


def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()[:MIC_SIZE]


def _aes(key: bytes, blocks: bytes) -> bytes:
    return Cipher(AES(key), ECB()).encryptor().update(blocks)  # noqa: S305 - as the specification lays down
