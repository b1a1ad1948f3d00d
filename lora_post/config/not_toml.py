"""Say what a file is that is not TOML: another encoding, JSON, YAML, or TOML with a slip in a line."""

from __future__ import annotations

import json
import re
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection, Sequence
from typing import Final

from lora_post.errors import ConfigError, Problem

_EXAMPLE: Final = 'write `key = "value"` under a [table], see lora-post.example.toml'
_AT: Final = re.compile(r"\(at line (\d+), column \d+\)")
_TWICE: Final = re.compile(r"Cannot declare \((.*?),?\) twice \(at line (\d+)")
_TYPOGRAPHIC: Final = re.compile(
    "[\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u00b4\uff02]"
)
_YAML: Final = re.compile(r"\s*(?:- +)?[A-Za-z_][\w-]*:(?:\s.*)?|---\s*")
_PAIR: Final = re.compile(
    r"""\s*(?P<key>[A-Za-z0-9_.-]+)\s*=(?!=)\s*(?P<value>(?:"[^"]*"|'[^']*'|[^#"']|["'])*?)\s*(?:#.*)?"""
)
_KEY: Final = re.compile(r"\s*(?P<key>[A-Za-z0-9_.-]+)(?:\s+\S|=)")
_OPEN_TABLE: Final = re.compile(r"\s*\[{1,2}\s*(?P<name>[A-Za-z0-9_.-]+)\s*\]?\s*(?:#.*)?")
_SECRET: Final = re.compile("key|password|token")
MAX_SHOWN: Final = 40


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
    lines = text.split("\n")
    number = int(found[1]) if (found := _AT.search(str(error))) else _unclosed_line(lines)
    line = lines[number - 1] if number else ""
    if mark := _TYPOGRAPHIC.search(line):
        return Problem(f"line {number}: {mark[0]} is a quotation mark for print, not for TOML", 'write "')
    if _YAML.fullmatch(line.rstrip("\r")):
        return Problem(f"line {number} is YAML, not TOML", _EXAMPLE)
    if str(error).startswith("Cannot overwrite a value") and (pair := _PAIR.fullmatch(line)):
        return Problem(f"line {number}: {pair['key']} is there twice in its table", "remove one of the two")
    if line.strip() and _is_toml(line):
        return Problem(f"line {number} is right, and something above it is not closed", 'write its ], } or "')
    slip = _slip(line, lists)
    return slip.at(f"line {number}") if slip else Problem(f"not TOML: {error}")


def _is_toml(line: str) -> bool:
    try:
        tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _unclosed_line(lines: Sequence[str]) -> int:
    """Return the number of the first line with a text or a name of a table that does not end, 0 for none."""
    return next((number for number, line in enumerate(lines, start=1) if _ends_early(line.rstrip("\r"))), 0)


def _ends_early(line: str) -> bool:
    pair = _PAIR.fullmatch(line)
    return _is_unclosed(pair["value"]) if pair else _OPEN_TABLE.fullmatch(line) is not None and not _is_toml(line)


def _is_unclosed(value: str) -> bool:
    """Tell whether a value is a text whose second quotation mark is missing."""
    mark = value[:1]
    return mark in ("'", '"') and not value.startswith(mark * 3) and value.count(mark) == 1


def _slip(line: str, lists: Collection[str]) -> Problem | None:
    """Return what is usually wrong with a line like this."""
    if table := _OPEN_TABLE.fullmatch(line):
        name = table["name"]
        return Problem(
            "the table's name is not in brackets", f"write [[{name}]]" if name in lists else f"write [{name}]"
        )
    pair = _PAIR.fullmatch(line.rstrip("\r"))
    if pair is None:
        key = found["key"] if (found := _KEY.match(line)) else ""
        return Problem(f"there is no = behind {key}", f"write {key} = …") if key else None
    key, value = pair["key"], pair["value"]
    if not value:
        return Problem(f"{key} has no value", 'write one behind the =, a text in quotes ("…"), or remove the line')
    if value.lower() in ("true", "false"):
        return Problem(f"{key} is {value}", f"write {value.lower()}, in small letters")
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", value):
        return Problem(f"{key} has a decimal comma", f"write {value.replace(',', '.')}")
    if value[0] in "'\"":
        if _is_unclosed(value):
            return Problem("the quotation mark at the end of the text is missing", _quoted(key, value[1:]))
        is_odd = value[0] == '"' and "\\" in value
        return Problem(f"{key} has a \\ in double quotes", "write it twice, or put the text in ' '") if is_odd else None
    if value[0] == "{":
        return Problem(f"{key} is no table on one line", f'write {key} = {{ name = "…", other = 5 }}')
    if value[0] == "[":
        return Problem("the texts in it need quotes, and a comma between them", f'write {key} = ["…", "…"]')
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?( *,.*| +[0-9].*)", value):
        return Problem("several numbers are a list", f"write {key} = [{value.split()[0].rstrip(',')}, …]")
    return Problem("a text needs quotes", _quoted(key, value.rstrip("'\"")))


def _quoted(key: str, value: str) -> str:
    """Return how to write a text; a secret is not shown."""
    return f'write {key} = "{"…" if _SECRET.search(key) or len(value) > MAX_SHOWN or not value else value}"'


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
