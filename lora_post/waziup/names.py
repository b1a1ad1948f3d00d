"""Names that Waziup Cloud takes.

Orion, the store behind the cloud, keeps a device's own fields and its sensors in one map, refuses
some characters in ids and fewer in free text, and uses a few more as operators of its query
language. Every name that is safe passes unchanged; the others are written so that the original can
be read back:

* ids: a byte outside A-Z a-z 0-9 _ - . becomes `~` and two hex digits (of its UTF-8 form), the dots of `.`
  and `..` too, which are steps in a path; an id that is a device field's name gets a `~` behind it
  (`owner~`); an id longer than 128 characters is cut and ends in `~~` and 16 hex digits of its hash (the
  sensor's name then holds the text);
* text: the eight forbidden characters become their full-width twins, `(` becomes `（`.

Sources: Waziup/wazicloud-api: src/Waziup/Devices.hs; telefonicaid/fiware-orion 2.2.0:
src/lib/parse/forbiddenChars.cpp, src/lib/common/limits.h.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from lora_post.model import Value

RESERVED = frozenset(
    {
        *("id", "type", "name", "owner", "visibility", "gateway_id", "domain", "meta", "deployed", "location"),
        *("sensors", "actuators", "date_created", "date_modified", "dateCreated", "dateModified", "dateExpires"),
    }
)
MAX_ID = 128

_UNSAFE_ID = re.compile(rb"[^A-Za-z0-9_.-]")
_FORBIDDEN = "<>\"'=;()"
_TO_TEXT = str.maketrans({c: chr(ord(c) + 0xFEE0) for c in _FORBIDDEN})
_TO_KEY = str.maketrans({c: chr(ord(c) + 0xFEE0) for c in _FORBIDDEN + ".$"})


@lru_cache(maxsize=4096)
def to_id(name: str) -> str:
    """Return a sensor name as a Waziup sensor id."""
    escaped = _UNSAFE_ID.sub(lambda m: b"~%02x" % m[0][0], name.encode("utf-8", "surrogatepass")).decode()
    if len(escaped) > MAX_ID:
        digest = hashlib.blake2b(escaped.encode(), digest_size=8).hexdigest()
        return f"{escaped[: MAX_ID - 18]}~~{digest}"
    if not escaped or escaped in RESERVED:
        return escaped + "~"
    if escaped in (".", ".."):
        return escaped.replace(".", "~2e")
    return escaped


def to_text(text: str) -> str:
    """Return free text without the characters that Orion refuses."""
    return text.translate(_TO_TEXT)


def to_value(value: Value) -> Value:
    """Return a value whose texts and keys Orion and MongoDB take; numbers stay as they are."""
    if isinstance(value, str):
        return to_text(value)
    if isinstance(value, dict):
        return {key.translate(_TO_KEY): to_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_value(item) for item in value]
    return value
