"""Read the text of a QR code on a device.

    LW:D0:JoinEUI:DevEUI:VendorID ProfileID[:Oowner token][:Sserial number][:Pproprietary][:Cchecksum]

It holds no key: AppKey may stand behind it, after a blank or a comma.
Source: LoRa Alliance TR005, LoRaWAN Device Identification QR Codes, section 3; its example, which the checksum below
(CRC-16/MODBUS of all before `:C`) fits.
"""

from __future__ import annotations

import re
from typing import Final

from lora_post.errors import ConfigError

_CODE: Final = re.compile(
    r"(LW:D0:([0-9A-F]{16}):([0-9A-F]{16}):[0-9A-F]{8}(?::[A-Z][^\s:,;]*)*?)(?::C([0-9A-F]{4}))?(?:[\s,;]+(\S.*))?",
    re.IGNORECASE,
)
PREFIX: Final = "LW:"


def is_qr_code(text: str) -> bool:
    """Tell whether a text is meant to be one."""
    return text.strip().upper().startswith(PREFIX)


def read_qr_code(text: str) -> dict[str, str]:
    """Return the fields of a code: dev_eui, join_eui, and app_key where it stands behind it.

    Raises ConfigError for another text.
    """
    found = _CODE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"the QR code is {text.strip()[:60]!r}", fix="it must be LW:D0:JoinEUI:DevEUI:profile (LoRa Alliance TR005)"
        )
    checked, join_eui, dev_eui, checksum, app_key = found.groups()
    if checksum and int(checksum, 16) != crc16(checked.upper().encode()):
        raise ConfigError(
            f"the checksum of the QR code {text.strip()[:60]!r} does not fit", fix="scan or type it again"
        )
    fields = {"dev_eui": dev_eui.lower(), "join_eui": join_eui.lower()}
    return fields | {"app_key": app_key} if app_key else fields


def crc16(data: bytes) -> int:
    """Return CRC-16/MODBUS."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
