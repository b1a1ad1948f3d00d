"""Say what a file is that is not TOML: another encoding, JSON, YAML, quotation marks for print."""

from __future__ import annotations

import json
import re
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection
from typing import Final

from lora_post.errors import ConfigError, Problem

_EXAMPLE: Final = 'write `key = "value"` under a [table], see lora-post.example.toml'
_AT: Final = re.compile(r"\(at line (\d+), column \d+\)")
_TWICE: Final = re.compile(r"Cannot declare \((.*?),?\) twice \(at line (\d+)")
_TYPOGRAPHIC: Final = re.compile(
    "[\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u00b4\uff02]"
)
_YAML: Final = re.compile(r"\s*(?:- +)?[A-Za-z_][\w-]*:(?:\s.*)?|---\s*")


def toml_text(data: bytes) -> str:
    """Return the text of a file; a byte order mark before UTF-8 does no harm. Raises ConfigError."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise ConfigError("it is UTF-16, which some editors call Unicode", fix="save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"line {line}: byte {data[error.start]:02x} is not UTF-8", fix="save it as UTF-8") from None


def not_toml(text: str, error: tomllib.TOMLDecodeError, lists: Collection[str]) -> Problem:
    """Return the complaint of the TOML library in words of the file. lists: tables that are written [[…]]."""
    if twice := _TWICE.match(str(error)):
        name = ".".join(re.findall(r"'([^']*)'", twice[1]))
        if name in lists:
            return Problem(f"line {twice[2]}: [{name}] must be written [[{name}]], once for each {name}")
        return Problem(f"line {twice[2]}: [{name}] is there twice", "put its keys into one")
    if text.lstrip().startswith(("{", "[{")) and _is_json(text):
        return Problem("it is JSON, not TOML", _EXAMPLE)
    number = int(found[1]) if (found := _AT.search(str(error))) else 0
    line = text.split("\n")[number - 1] if number else ""
    if mark := _TYPOGRAPHIC.search(line):
        return Problem(f"line {number}: {mark[0]} is a quotation mark for print, not for TOML", 'write "')
    if _YAML.fullmatch(line.rstrip("\r")):
        return Problem(f"line {number} is YAML, not TOML", _EXAMPLE)
    return Problem(f"not TOML: {error}")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
