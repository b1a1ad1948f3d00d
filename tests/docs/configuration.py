"""docs/configuration.md, made from the tables of the configuration."""

from __future__ import annotations

import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from typing import Literal, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from lora_post.config.device_tables import ActuatorTable, SensorTable
from lora_post.config.tables import LISTS, TABLES

PLAIN = {str: "text", int: "number", float: "number", bool: "true or false", type(None): ""}
SECRET_SUFFIXES = ("_file", "_env")
HEAD = """\
# Configuration reference

<!-- made by `python -m tests.docs --update` from the types of the configuration; a test fails when they differ -->

Begin with the commented [lora-post.example.toml](../lora-post.example.toml). `lora-post check` finds mistakes.

* The file is `lora-post.toml` in the current folder, else `/etc/lora-post/lora-post.toml`, or what `-c FILE` names.
  Relative paths start from its folder.
* In brackets: the default, or the type where it is not text. *needed*: the key must be there when its table is.
* **secret**: give one of `password`, `password_file` (a file with it) and `password_env` (a variable with it).
"""


def tables() -> Iterator[tuple[str, type[Struct]]]:
    """Every table with its heading."""
    for name, kind in TABLES.items():
        yield f"[{name}]", kind
    for name, kind in LISTS.items():
        yield f"[[{name}]]", kind
        if name == "device":
            yield "[[device.sensor]]", SensorTable
            yield "[[device.actuator]]", ActuatorTable


def page() -> str:
    """The whole page."""
    return HEAD + "".join(f"\n## `{heading}`\n\n{_section(kind)}" for heading, kind in tables())


def described(kind: type[Struct]) -> tuple[str, dict[str, str]]:
    """What a table is for, and what each of its keys is for, from the docstring of its class."""
    intro, _, keys = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
    entries = re.findall(r"^(\w+): (.+(?:\n(?!\w+: ).+)*)$", keys, re.MULTILINE)
    return " ".join(intro.split()), {key: " ".join(text.split()) for key, text in entries}


def undescribed(kind: type[Struct]) -> set[str]:
    """Keys that are not described, and descriptions of keys that there are not."""
    intro, entries = described(kind)
    return ({"(the table)"} if not intro else set()) | (set(entries) ^ {field.encode_name for field in keys_of(kind)})


def keys_of(kind: type[Struct]) -> list[FieldInfo]:
    """The keys of a table, a secret's other two ways left out."""
    names = {field.name for field in fields(kind)}
    return [field for field in fields(kind) if not _is_way_of_secret(field.name, names)]


def _is_way_of_secret(name: str, names: set[str]) -> bool:
    return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in SECRET_SUFFIXES)


def _section(kind: type[Struct]) -> str:
    intro, entries = described(kind)
    hints, names = get_type_hints(kind), {field.name for field in fields(kind)}
    rows = []
    for field in keys_of(kind):
        is_secret = f"{field.name}_file" in names
        words = "secret" if is_secret else type_words(hints[field.name])
        default = _default(field, words)
        shown = f" ({default})" if default != PLAIN[str] else ""
        rows.append(f"* `{field.encode_name}`{shown}: {entries.get(field.encode_name, '')}")
    return textwrap.fill(intro, 118, break_on_hyphens=False) + "\n\n" + "\n".join(rows) + "\n"


def type_words(hint: object) -> str:
    """A type as people say it."""
    if isinstance(hint, type) and hint in PLAIN:
        return PLAIN[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f'`"{part}"`' for part in parts)
    if origin in (types.UnionType, Union):
        # typing hands out one object for all unions that are equal: the order of a Literal inside is anybody's.
        parts = tuple(Literal[*sorted(get_args(part))] if get_origin(part) is Literal else part for part in parts)
        words = [type_words(part) for part in parts if (part, float) not in ((int, p) for p in parts)]
        return " or ".join(word for word in words if word)
    if origin is tuple:
        return f"[{', '.join(map(type_words, parts))}]"
    if origin is list:
        return "tables" if parts == (object,) else _plural(type_words(parts[0]))
    if origin is dict:
        return "table" if parts[1] is object else f"table of {_plural(type_words(parts[1]))}"
    raise TypeError(f"no words for {hint}")


def _plural(words: str) -> str:
    return f"list of {words}" if words.startswith("[") else f"{words}s"


def _default(field: FieldInfo, words: str) -> str:
    """The default, and the type where the default does not show it; without a default, the type."""
    if field.required:
        return "*needed*" if words == PLAIN[str] else f"*needed*, {words}"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if isinstance(value, bool):
        shown = f"`{str(value).lower()}`"
    elif isinstance(value, int | float):
        shown = f"`{value}`"
    else:
        shown = f'`"{value}"`' if value else ""
    if not shown:
        return words
    others = words.replace(shown, "").replace(PLAIN[type(value)], "").split(" or ")
    return " or ".join([shown, *(other for other in others if other)])
