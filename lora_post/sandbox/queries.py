"""Query strings: reading parameters, and the `q` filter of GET /devices.

Sources: http-types 0.12 (parseQuery), http-api-data 0.4.1 (FromHttpApiData);
telefonicaid/fiware-orion 2.2.0: doc/manuals/orion-api.md, "Simple Query Language".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import unquote_plus

from msgspec import Struct

from lora_post.sandbox.entities import Attributes, Entity
from lora_post.sandbox.errors import bad_parameter, orion_refuses
from lora_post.sandbox.instants import Instant, parse_instant
from lora_post.sandbox.rules import Json

# None: the name stands without "=", which counts as absent.
Query: TypeAlias = Mapping[str, str | None]

_INT64 = range(-(2**63), 2**63)
_NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
_TERM = re.compile(r"(!?)([^=!:<>~',]+)(?:(==|!=|:)(.+))?", re.DOTALL)
_ITEM = re.compile(r"'([^']*)'|([^',]+)")
_LIST = re.compile(r"(?:'[^']*'|[^',]+)(?:,(?:'[^']*'|[^',]+))*")


def parse_query(raw: bytes) -> dict[str, str | None]:
    """Return the parameters; of a repeated one the first counts. `&` and a bare `;` both separate."""
    query: dict[str, str | None] = {}
    for part in raw.decode("latin-1").replace(";", "&").split("&"):
        name, equals, value = part.partition("=")
        query.setdefault(unquote_plus(name), unquote_plus(value) if equals else None)
    return query


def integer(query: Query, name: str) -> int | None:
    """Return a whole number of 64 bits, or None when absent. Raises ErrorAnswer."""
    text = query.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,40}", text) or int(text) not in _INT64:
        raise bad_parameter(name, f"could not parse: `{text}' (input does not start with a digit)")
    return int(text)


def boolean(query: Query, name: str) -> bool | None:
    """Return true or false in any case of letters, or None when absent. Raises ErrorAnswer."""
    text = query.get(name)
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise bad_parameter(name, f"could not parse: `{text}'")
    return text.lower() == "true"


def instant(query: Query, name: str) -> Instant | None:
    """Return a time with a zone, or None when absent. Raises ErrorAnswer. A `+` is a blank here, so `%2B`."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise bad_parameter(name, str(error)) from None


def ids(query: Query, name: str) -> list[str] | None:
    """Return ids between commas, or None when absent."""
    text = query.get(name)
    return None if text is None else text.split(",")


class Term(Struct, frozen=True):
    """One condition of a filter. wanted None: the attribute exists; several: one of them."""

    path: tuple[str, ...]
    wanted: tuple[Json, ...] | None
    negated: bool

    def holds(self, attributes: Attributes) -> bool:
        """Tell whether a device fits; an absent attribute fits only `!name`."""
        attribute = attributes.get(self.path[0])
        value = None if attribute is None else attribute.value
        for key in self.path[1:]:
            value = value.get(key) if isinstance(value, dict) else None
        if self.wanted is None:
            return (attribute is not None and (len(self.path) == 1 or value is not None)) != self.negated
        if attribute is None:
            return False
        return any(_equal(value, wanted) for wanted in self.wanted) != self.negated


def parse_filter(text: str) -> list[Term]:
    """Return the conditions of a `q`, all of which must hold.

    `name==value`, `name:value`, `name!=value`, lists of values between commas, `name`, `!name`; texts
    that look like a number, true, false or null are that unless quoted. Other operators of Orion's
    language are refused like wrong syntax. Raises ErrorAnswer.
    """
    return [_term(part) for part in _split(text)]


def matching(entities: list[Entity], terms: list[Term]) -> list[Entity]:
    """Return the devices that fit."""
    return [entity for entity in entities if all(term.holds(entity.attributes) for term in terms)]


def _split(text: str) -> list[str]:
    """Cut at each `;` outside quotes."""
    pieces = text.split("'")
    if len(pieces) % 2 == 0:
        raise orion_refuses("invalid query expression")
    terms = [""]
    for number, piece in enumerate(pieces):
        quoted = number % 2 == 1
        first, *others = [f"'{piece}'"] if quoted else piece.split(";")
        terms[-1] += first
        terms += others
    return terms


def _term(text: str) -> Term:
    match = _TERM.fullmatch(text)
    if match is None:
        raise orion_refuses("invalid query expression")
    negation, name, operator, value = match.groups()
    path = tuple(name.split("."))
    if operator is None:
        return Term(path, None, negated=bool(negation))
    if negation or not _LIST.fullmatch(value):
        raise orion_refuses("invalid query expression")
    wanted = tuple(quoted if bare is None else _literal(bare) for quoted, bare in _items(value))
    return Term(path, wanted, negated=operator == "!=")


def _items(text: str) -> list[tuple[str, str | None]]:
    return [(match[1], match[2]) for match in _ITEM.finditer(text)]


def _literal(text: str) -> Json:
    if ".." in text:
        raise orion_refuses("ranges are not supported by the sandbox")
    if _NUMBER.fullmatch(text):
        return float(text)
    return {"true": True, "false": False, "null": None}.get(text, text)


def _equal(value: Json, wanted: Json) -> bool:
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)
