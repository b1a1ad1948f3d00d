"""Read the text of a QR code on a device.

    LW:D0:JoinEUI:DevEUI:VendorID ProfileID[:Oowner token][:Sserial number][:Pproprietary][:Cchecksum]

It holds no key: AppKey may stand behind it, after a blank or a comma.
Source: LoRa Alliance TR005, LoRaWAN Device Identification QR Codes, section 3.
"""

from __future__ import annotations

import re
from typing import Final

from lora_post.errors import ConfigError

_CODE: Final = re.compile(
    r"LW:D0:([0-9A-F]{16}):([0-9A-F]{16}):[0-9A-F]{8}(?::[A-Z][^\s:,;]*)*(?:[\s,;]+(\S.*))?", re.IGNORECASE
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
    join_eui, dev_eui, app_key = found.groups()
    fields = {"dev_eui": dev_eui.lower(), "join_eui": join_eui.lower()}
    return fields | {"app_key": app_key} if app_key else fields
