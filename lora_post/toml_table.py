"""Read the tables of the configuration file; collect the mistakes.

Secrets may stand in the file, in a file of their own (`password_file`), or in an environment
variable (`password_env`, for the password also LORA_POST_WAZIUP_PASSWORD).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from lora_post.errors import ConfigError, Problem
from lora_post.net.mqtt_url import PORT, MqttAddress, read_broker_url, without_password
from lora_post.secret import Account, Secret
from lora_post.text import bare_hex, bare_word, did_you_mean, one_line, plural
from lora_post.trust import writable_by_others
from lora_post.waziup.names import MAX_ID

_is_id = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.-]+").fullmatch

WORDS = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table",
}

# What others call a key, without capitals and marks.
_OTHER_NAMES: Final = {
    "appeui": "join_eui",
    "applicationeui": "join_eui",
    "deviceeui": "dev_eui",
    "deviceid": "id",
    "deviceaddress": "dev_addr",
    "networkkey": "nwk_key",
    "networksessionkey": "nwk_skey",
    "applicationkey": "app_key",
    "applicationsessionkey": "app_skey",
}
_DIGITS_OF: Final = {8: "a DevAddr", 16: "a DevEUI or JoinEUI", 32: "a key"}

MAX_LABEL: Final = 40
_is_short_word = re.compile(rf"[\w.-]{{1,{MAX_LABEL}}}", re.ASCII).fullmatch

T = TypeVar("T", bound=Struct)


class TableReader:
    """One document on its way to a configuration, with the mistakes and warnings found so far."""

    def __init__(
        self,
        document: Mapping[str, object],
        path: Path,
        environ: Mapping[str, str],
        places: Sequence[str] = (),
        text: str = "",
    ) -> None:
        """places: where the tables of its only list come from, when that is not this document.

        text: what was read, so that messages can name a line.
        """
        self.document = document
        self._text = text
        self.places = places
        self.path = path
        self.folder = path.parent
        self.environ = environ
        self.homes: Mapping[str, str] = {}
        """Tables by the keys that they have, `max_mb` -> `[spool]`, for keys that stand in another one."""
        self.mistakes: list[Problem] = []
        self.warnings: list[Problem] = []

    def refuse(self, what: str, fix: str = "") -> None:
        """Note a mistake: the configuration cannot be used."""
        self.mistakes.append(Problem(what, fix))

    def warn(self, what: str, fix: str = "") -> None:
        """Note what works and should be put right."""
        self.warnings.append(Problem(what, fix))

    def table(self, name: str, kind: type[T]) -> T | None:
        """Return [name]; None when it is missing or useless."""
        if name not in self.document:
            return None
        return convert_table(self.document[name], f"[{name}]", kind, self.mistakes, self.homes)

    def list(self, name: str, kind: type[T]) -> list[tuple[str, T]]:
        """Return every [[name]] with its place, for messages."""
        return [(place, table) for _, place, table in self.numbered(name, kind)]

    def items(self, name: str) -> Sequence[object]:
        """Return every [[name]] as it is written; empty when it is not a list."""
        items = self.document.get(name, [])
        return items if isinstance(items, list) else []

    def numbered(self, name: str, kind: type[T]) -> Iterator[tuple[int, str, T]]:
        """Yield every [[name]] that is one, with its number from 0 and its place, for messages."""
        items = self.items(name)
        if items is not self.document.get(name, items):
            self.refuse(f"[{name}] must be written [[{name}]], once for each {name}")
            return
        for number, (item, place) in enumerate(zip(items, self._places(name, items), strict=False)):
            table = convert_table(item, place, kind, self.mistakes, self.homes)
            if table is not None:
                yield number, place, table

    def _places(self, name: str, items: Sequence[object]) -> Sequence[str]:
        """Return how messages call the tables of a list: by number, id and line."""
        if self.places:
            return self.places
        lines = _header_lines(self._text, name)
        marks = [[_label(item)] for item in items]
        if len(lines) == len(items):
            marks = [[*mark, f"line {line}"] for mark, line in zip(marks, lines, strict=True)]
        called = (", ".join(filter(None, mark)) for mark in marks)
        return [f"[[{name}]] number {n}{f' ({mark})' if mark else ''}" for n, mark in enumerate(called, start=1)]

    def hex(self, place: str, key: str, text: str, size: int, *, secret: bool = False) -> bytes:
        """Read `size` bytes of hex as people write it; b"" for a mistake."""
        data = _from_digits(text, size) or _from_digits(digits := bare_hex(text), size)
        if data:
            return data
        like = _DIGITS_OF.get(len(digits), "") if re.fullmatch(r"[0-9a-f]+", digits) else ""
        found = f"has {plural(len(digits), 'character')}{f', as {like}' if like else ''}"
        if len(digits) == 2 * size:
            found = "has a character that is not a hex digit" if secret else f"is {text!r}"
        self.refuse(f"{place} {key} {found}", f"it must be {2 * size} hex digits")
        return b""

    def secret(self, place: str, key: str, table: Struct, default_env: str = "") -> Secret | None:
        """Return the value of `key`, `key_file` or `key_env`, whichever is given."""
        text, file, variable = getattr(table, key), getattr(table, f"{key}_file"), getattr(table, f"{key}_env")
        if text and not file and not variable:
            return Secret(text)
        if sum(map(bool, (text, file, variable))) > 1:
            self.refuse(f"{place}: give only one of {key}, {key}_file and {key}_env")
        if text:
            return Secret(text)
        if file:
            return self._secret_file(f"{place} {key}_file", self.folder / file)
        if variable and not self.environ.get(variable):
            self.refuse(
                f"{place} {key}_env: the environment variable {variable} is not set", f"set it, or use {key}_file"
            )
        value = self.environ.get(variable or default_env, "")
        return Secret(value) if value else None

    def account(self, place: str, username: str, table: Struct, default_env: str = "") -> Account | None:
        """Return a user with the `password` of a table; None for neither, and for one alone."""
        before = len(self.mistakes)
        password = self.secret(place, "password", table, default_env)
        if username and password:
            return Account(username, password)
        if (username or password) and len(self.mistakes) == before:
            given, missing = ("username", "password") if username else ("password", "username")
            self.refuse(f"{place} has a {given} and no {missing}", "give both, or neither")
        return None

    def _secret_file(self, place: str, path: Path) -> Secret | None:
        try:
            text = path.read_text("utf-8").strip()
        except FileNotFoundError:
            self.refuse(f"{place}: there is no {path}", "make it, with nothing but the secret in it (chmod 640)")
            return None
        except (OSError, UnicodeDecodeError) as error:
            self.refuse(f"{place}: {path} cannot be read: {getattr(error, 'strerror', None) or error}")
            return None
        if not text:
            self.refuse(f"{place}: {path} is empty", "write the secret into it")
        self.check_mode(path)
        return Secret(text) if text else None

    def broker_address(self, place: str, url: str) -> MqttAddress:
        """Read an mqtt:// URL; for a mistake, which is reported, the address is of no use."""
        try:
            return read_broker_url(place, url)
        except ConfigError as error:
            self.mistakes.append(error.problem)
            return MqttAddress("localhost", PORT, "", 1, False, "")

    def check_mode(self, path: Path) -> None:
        """Refuse a file with secrets that others may write to, and warn when everybody may read it."""
        fault = writable_by_others(path)
        if fault is not None:
            self.refuse(f"it holds secrets, and {fault.what}", fault.fix)
        elif path.stat().st_mode & stat.S_IROTH:
            self.warn(f"{path} holds secrets and everybody may read it", f"run: chmod 640 {path}")

    def check_id(self, place: str, text: str) -> None:
        """Note a mistake when this cannot be an id on Waziup. place: its table and key."""
        if not _is_id(text) or len(text) > MAX_ID:
            self.refuse(f"{place} is {text!r}", f"Waziup takes 1 to {MAX_ID} letters, digits, '_', '-' and '.'")


def convert_table(
    item: object, place: str, kind: type[T], mistakes: list[Problem], homes: Mapping[str, str] | None = None
) -> T | None:
    """Return one table as its Struct, None when that cannot be; add what is wrong to `mistakes`.

    homes: other tables by the keys that they have.
    """
    if isinstance(item, dict):
        fields = kind.__struct_encode_fields__
        unknown = [key for key in item if key not in fields]
        if unknown:
            mistakes += [Problem(f"{place}: unknown key {key!r}", _meant(key, fields, homes or {})) for key in unknown]
            item = {key: value for key, value in item.items() if key in fields}
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        fault = _in_words(text, where.strip("`."), kind)
        mistakes.append(Problem(f"{place} {fault.what}", fault.fix))
        return None


def _from_digits(text: str, size: int) -> bytes:
    """Return so many bytes of hex digits, b"" for any other text."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return b""
    return data if len(text) == 2 * len(data) == 2 * size else b""  # blanks are passed over


def _label(item: object) -> str:
    """Return by what a person knows a table: its id, else its address."""
    if not isinstance(item, dict):
        return ""
    first = ""
    for key in ("id", "name", "dev_addr", "dev_eui", "dev_eui_prefix", "url"):
        named = item.get(key)
        if named and isinstance(named, str):
            first = named
            break
    if not first and "address" in item:
        first = f"address {item['address']}"
    return first if _is_short_word(first) else one_line(without_password(first), MAX_LABEL)


def _header_lines(text: str, name: str) -> list[int]:
    """Return the numbers of the lines [[name]]."""
    found, line, end = [], 1, 0
    for header in re.finditer(rf"^[ \t]*\[\[[ \t]*{re.escape(name)}[ \t]*\]\]", text, re.MULTILINE):
        line += text.count("\n", end, header.start())
        end = header.start()
        found.append(line)
    return found


def _meant(key: str, fields: Sequence[str], homes: Mapping[str, str]) -> str:
    """Return what may have been meant by a key that a table does not have."""
    other = _OTHER_NAMES.get(bare_word(key))
    if other in fields:
        return f"it is called {other} here"
    if key in homes and bare_word(key) not in map(bare_word, fields):
        return f"it belongs to {homes[key]}: a key is of the last table above it"
    return did_you_mean(key, fields)


def _in_words(text: str, key: str, kind: type[Struct]) -> Problem:
    """Say in words what the validator says: what is there, and what must be there."""
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return Problem(f"{key + ' ' if key else ''}{missing[1]} is missing")
    if wrong := re.fullmatch(r"Expected `(.+)`, got `(.+)`", text):
        words = [word for word in wrong[1].split(" | ") if word != "null"]
        wanted = " or ".join(WORDS.get(word, word) for word in words if (word, "float") != ("int", words[-1]))
        return Problem(f"{key or 'as a whole'} is {WORDS.get(wrong[2], wrong[2])}", f"it must be {wanted}")
    if wrong := re.fullmatch(r"Invalid enum value (.+)", text):
        allowed = [value for value in get_args(get_type_hints(kind).get(key)) if isinstance(value, str)]
        return Problem(f"{key} is {wrong[1]}", f"it must be {' or '.join(map(repr, allowed)) or 'another one'}")
    return Problem(f"{key}: {text}")
