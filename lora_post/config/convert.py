"""One table of the configuration → its Struct; what does not fit is said in words."""

from __future__ import annotations

import re
from typing import TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

T = TypeVar("T", bound=Struct)

WORDS = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table",
}


def convert_table(item: object, place: str, kind: type[T], mistakes: list[str]) -> T | None:
    """One table as its Struct; what is wrong with it is added to `mistakes`, None when nothing can be made of it."""
    if isinstance(item, dict):
        fields = [field.name for field in msgspec.structs.fields(kind)]
        unknown = [key for key in item if key not in fields]
        mistakes += [f"{place}: unknown key {key!r}{suggest(key, fields)}" for key in unknown]
        item = {key: value for key, value in item.items() if key in fields}
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        mistakes.append(f"{place} {_in_words(text, where.strip('`.'), kind)}")
        return None


def _in_words(text: str, key: str, kind: type[Struct]) -> str:
    """What the validator says, as what is there and what must be there."""
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"{key + ' ' if key else ''}{missing[1]} is missing"
    if wrong := re.fullmatch(r"Expected `(.+)`, got `(.+)`", text):
        words = [word for word in wrong[1].split(" | ") if word != "null"]
        wanted = " or ".join(WORDS.get(word, word) for word in words if (word, "float") != ("int", words[-1]))
        return f"{key or 'as a whole'} is {WORDS.get(wrong[2], wrong[2])}; it must be {wanted}"
    if wrong := re.fullmatch(r"Invalid enum value (.+)", text):
        allowed = [value for value in get_args(get_type_hints(kind).get(key)) if isinstance(value, str)]
        return f"{key} is {wrong[1]}; it must be {' or '.join(map(repr, allowed)) or 'another one'}"
    return f"{key}: {text}"


def suggest(key: str, known: list[str]) -> str:
    """The end of a message about a word that is unknown."""
    import difflib  # only for a mistake

    close = difflib.get_close_matches(key, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"
