"""AES-CMAC and the ciphers of LoRaWAN 1.0 and 1.1 sessions; bytes and ints, no frame layout.

Sources: LoRaWAN 1.0.3, sections 4.3.3 (encryption) and 4.4 (message integrity code); LoRaWAN 1.1, sections 4.3.1.6
(FOpts) and 4.4, with the errata on FOpts encryption; RFC 4493 (AES-CMAC).
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.cmac import CMAC

UPLINK: Final = 0
DOWNLINK: Final = 1
KEY_SIZE: Final = 16
MIC_SIZE: Final = 4

# B0 and A_i share one layout: tag, four zeros, direction, DevAddr, FCnt, zero, length or block number.
_pack_block: Final = Struct("<BIBIIBB").pack
# B1, of uplinks in 1.1: tag, ConfFCnt, TxDr, TxCh, zero, DevAddr, FCnt, zero, length.
_pack_b1: Final = Struct("<BHBBBIIBB").pack
_to_int: Final = int.from_bytes  # looking it up on `int` each time costs as much as the call
_TAG_MIC: Final = 0x49
_TAG_CIPHER: Final = 0x01
MAX_SET_UP: Final = 16_384
_FINGERPRINT_PERSON: Final = b"lora-post keys"


class SessionKeys:
    """NwkSKey and AppSKey of a LoRaWAN 1.0 session, 16 bytes each; immutable, equal by value.

    Setting up AES costs several times what a short message costs, so the set-up is done once, when it is
    first needed, as it takes 2 kB: a CMAC that is copied for every message, and ECB encryptors that never end,
    which ECB allows because each block stands alone. Beyond MAX_SET_UP sessions it begins anew.
    Raises ValueError when a key has another length; the text does not show the key.
    """

    __slots__ = ("_encrypt_app", "_encrypt_nwk", "_mac", "app_skey", "fingerprint", "nwk_skey")

    nwk_skey: Final[bytes]
    app_skey: Final[bytes]
    fingerprint: Final[bytes]
    """8 bytes that change with the keys and do not tell them; safe to store and to print."""

    def __init__(self, nwk_skey: bytes, app_skey: bytes) -> None:
        if len(nwk_skey) != KEY_SIZE or len(app_skey) != KEY_SIZE:
            name, key = ("app_skey", app_skey) if len(nwk_skey) == KEY_SIZE else ("nwk_skey", nwk_skey)
            raise ValueError(f"{name} has {len(key)} bytes, want {KEY_SIZE}")
        self.nwk_skey = bytes(nwk_skey)
        self.app_skey = bytes(app_skey)
        self.fingerprint = _fingerprint(self.nwk_skey + self.app_skey)
        self._mac: CMAC | None = None
        self._encrypt_nwk: CipherContext | None = None
        self._encrypt_app: CipherContext | None = None

    def __repr__(self) -> str:
        return f"SessionKeys(fingerprint={self.fingerprint.hex()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SessionKeys):
            return NotImplemented
        return compare_digest(self.nwk_skey + self.app_skey, other.nwk_skey + other.app_skey)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Return the keys in the order of the constructor's arguments."""
        return self.nwk_skey, self.app_skey

    def data_mic(self, dev_addr: int, fcnt: int, direction: int, message: bytes, conf_fcnt: int = 0) -> bytes:
        """Return the four MIC bytes of a data frame.

        dev_addr, fcnt: 32 bits each. direction: UPLINK or DOWNLINK.
        message: MHDR … FRMPayload as on air, at most 255 bytes. conf_fcnt: 0 but for downlinks of LoRaWAN 1.1.
        Source: LoRaWAN 1.0.3, section 4.4.
        """
        mac = (self._mac or self._set_up_mac()).copy()
        mac.update(_pack_block(_TAG_MIC, conf_fcnt, direction, dev_addr, fcnt, 0, len(message)) + message)
        return mac.finalize()[:MIC_SIZE]

    def downlink_mic(self, dev_addr: int, fcnt: int, message: bytes) -> bytes:
        """Return the four MIC bytes of a downlink."""
        return self.data_mic(dev_addr, fcnt, DOWNLINK, message)

    def crypt(self, dev_addr: int, fcnt: int, direction: int, fport: int, frm_payload: bytes) -> bytes:
        """Encrypt or decrypt FRMPayload, which is the same operation: XOR with the key stream.

        fport: 0 takes NwkSKey, 1 … 255 AppSKey. frm_payload: at most 255 blocks of 16 bytes.
        Source: LoRaWAN 1.0.3, section 4.3.3.
        """
        size = len(frm_payload)
        encrypt = (self._encrypt_app if fport else self._encrypt_nwk) or self._set_up_cipher(fport)
        if size <= 16:
            stream = encrypt.update(_pack_block(_TAG_CIPHER, 0, direction, dev_addr, fcnt, 0, 1))
        else:
            blocks = range(1, (size + 15) // 16 + 1)
            stream = encrypt.update(
                b"".join([_pack_block(_TAG_CIPHER, 0, direction, dev_addr, fcnt, 0, i) for i in blocks])
            )
        # One XOR of two large integers is several times faster than one of bytes each.
        return (_to_int(frm_payload) ^ _to_int(stream[:size])).to_bytes(size)

    def _set_up_mac(self) -> CMAC:
        if len(_set_up) >= MAX_SET_UP:
            for each in _set_up:
                each._mac = each._encrypt_nwk = each._encrypt_app = None
            _set_up.clear()
        _set_up.append(self)
        self._mac = mac = CMAC(AES(self.nwk_skey))
        return mac

    def _set_up_cipher(self, fport: int) -> CipherContext:
        encrypt = _ecb(self.app_skey if fport else self.nwk_skey)
        if fport:
            self._encrypt_app = encrypt
        else:
            self._encrypt_nwk = encrypt
        return encrypt


_set_up: Final[list[SessionKeys]] = []
"""Those whose CMAC is set up; whoever uses an encryptor has verified a MIC."""


class SessionKeys11:
    """The four keys of one LoRaWAN 1.1 session, 16 bytes each; never changes, equal by value.

    The MIC of an uplink has two halves: the first under SNwkSIntKey covers also how the frame was sent,
    the second under FNwkSIntKey does not. Raises ValueError when a key has another length.
    """

    __slots__ = ("_cipher", "_forwarding", "_serving", "_serving_down", "fingerprint", "secrets")

    secrets: Final[tuple[bytes, ...]]
    """The keys in the order of the constructor's arguments."""
    fingerprint: Final[bytes]
    """8 bytes that change with the keys and do not tell them; safe to store and to print."""

    def __init__(self, f_nwk_s_int_key: bytes, s_nwk_s_int_key: bytes, nwk_s_enc_key: bytes, app_s_key: bytes) -> None:
        self.secrets = (f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key, app_s_key)
        self._forwarding = SessionKeys(f_nwk_s_int_key, app_s_key)
        self._serving_down = SessionKeys(s_nwk_s_int_key, app_s_key)
        self._serving: CMAC | None = None
        self._cipher = SessionKeys(nwk_s_enc_key, app_s_key)
        self.fingerprint = _fingerprint(b"".join(self.secrets))

    def __repr__(self) -> str:
        return f"SessionKeys11(fingerprint={self.fingerprint.hex()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SessionKeys11):
            return NotImplemented
        return compare_digest(b"".join(self.secrets), b"".join(other.secrets))

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def forwarding_mic(self, dev_addr: int, fcnt: int, message: bytes) -> bytes:
        """Return the last two MIC bytes of an uplink, which do not depend on how it was sent.

        Source: LoRaWAN 1.1, section 4.4.1.
        """
        return self._forwarding.data_mic(dev_addr, fcnt, UPLINK, message)[: MIC_SIZE // 2]

    def serving_mic(self, dev_addr: int, fcnt: int, message: bytes, tx_dr: int, tx_ch: int, conf_fcnt: int) -> bytes:
        """Return the first two MIC bytes of an uplink.

        tx_dr: data rate index. tx_ch: index in the device's channel table. conf_fcnt: low 16 bits of the FCnt of the
        confirmed downlink that is acknowledged, 0 without ACK. Source: LoRaWAN 1.1, section 4.4.1.
        """
        if self._serving is None:
            self._serving = CMAC(AES(self.secrets[1]))
        mac = self._serving.copy()
        mac.update(_pack_b1(_TAG_MIC, conf_fcnt, tx_dr, tx_ch, 0, dev_addr, fcnt, 0, len(message)) + message)
        return mac.finalize()[: MIC_SIZE // 2]

    def downlink_mic(self, dev_addr: int, fcnt: int, message: bytes, conf_fcnt: int = 0) -> bytes:
        """Return the four MIC bytes of a downlink.

        conf_fcnt: low 16 bits of the FCnt of the confirmed uplink that is acknowledged, 0 without ACK.
        Source: LoRaWAN 1.1, section 4.4.1.
        """
        return self._serving_down.data_mic(dev_addr, fcnt, DOWNLINK, message, conf_fcnt)

    def rejoin_mic(self, message: bytes) -> bytes:
        """Return the four MIC bytes of a rejoin-request of type 0 or 2. message: everything before them.

        Source: LoRaWAN 1.1, section 6.2.4.
        """
        mac = CMAC(AES(self.secrets[1]))
        mac.update(message)
        return mac.finalize()[:MIC_SIZE]

    def crypt(self, dev_addr: int, fcnt: int, direction: int, fport: int, frm_payload: bytes) -> bytes:
        """Do what `SessionKeys.crypt` does; FPort 0 takes NwkSEncKey.

        Source: LoRaWAN 1.1, section 4.3.3.
        """
        return self._cipher.crypt(dev_addr, fcnt, direction, fport, frm_payload)

    def crypt_fopts(
        self, dev_addr: int, fcnt: int, fopts: bytes, direction: int = UPLINK, fport: int | None = None
    ) -> bytes:
        """Encrypt or decrypt FOpts, at most 15 bytes. fport: of a downlink; None and 0 have a counter of their own.

        Source: LoRaWAN 1.1, section 4.3.1.6, as changed by the errata on FOpts encryption.
        """
        counter = 2 if direction == DOWNLINK and fport else 1
        stream = _ecb(self.secrets[2]).update(_pack_block(_TAG_CIPHER, counter << 24, direction, dev_addr, fcnt, 0, 1))
        return bytes(one ^ other for one, other in zip(fopts, stream, strict=False))


AnySessionKeys: TypeAlias = SessionKeys | SessionKeys11


def _fingerprint(keys: bytes) -> bytes:
    return blake2b(keys, digest_size=8, person=_FINGERPRINT_PERSON).digest()


def _ecb(key: bytes) -> CipherContext:
    # ECB of distinct counter blocks is the key stream of counter mode, not ECB of data.
    return Cipher(AES(key), ECB()).encryptor()  # noqa: S305
