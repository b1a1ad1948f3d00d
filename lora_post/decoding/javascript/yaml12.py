"""YAML as JavaScript programs read it: version 1.2, where `on` and `12:30` are texts and 010 is ten.

Source: YAML 1.2.2, section 10.3, Core Schema; js-yaml's default schema adds times and `<<`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any


def load_yaml(text: bytes | str) -> Any:
    """Return what a YAML or JSON text says: objects, lists, texts, numbers, booleans, datetimes.

    Raises ValueError, and RecursionError for a text that is nested too deeply.
    """
    import yaml  # type: ignore[import-untyped]  # only for examples

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a safe loader, with fewer types
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


@cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the library's own way

    whole, real = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    day = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    hour = r"(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?"
    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
        ("int", whole, [*"-+0123456789"]),
        ("float", rf"{real}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", [*"-+0123456789."]),
        ("timestamp", f"{day}(?:{hour})?", [*"0123456789"]),
        ("merge", "<<", ["<"]),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})\\Z"), first)

    def construct_int(loader: Any, node: Any) -> int:
        text = str(loader.construct_scalar(node))
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)

    Loader.add_constructor("tag:yaml.org,2002:int", construct_int)
    return Loader
