"""Codecs as makers publish them, each with the payloads that are published beside it.

Payloads are taken from, whichever is there: The Things Stack's `NAME-codec.yaml`, ChirpStack's
`test_decode_NAME.json`, `NAME.examples.json`, the README.md and the `NAME-codec.json` of Milesight's folders, and
calls of `.decode("…")` inside the codec, as Decentlab writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from lora_post.decoding.javascript.yaml12 import load_yaml

_ENTRY: Final = re.compile(
    r"\bfunction\s+(?:decodeUplink|Decode|Decoder)\b|\b(?:decodeUplink|Decode|Decoder)\s*=|decentlab_decoder"
)
_CALL: Final = re.compile(r"\.decode\(\"([0-9a-fA-F]{6,})\"\)")
_PAYLOAD_LINE: Final = re.compile(r"^\s*//\s*(?:bytes:?)?\s*([0-9a-fA-F]{2}[0-9a-fA-F\s]*)$")
_BLOCK: Final = re.compile(r"```json\n(.*?)```", re.DOTALL | re.IGNORECASE)
_NOT_CODECS: Final = {"node_modules", "website", "lib", "bin", "interface", "deploy"}
_NO_DATA: Final = object()


@dataclass(frozen=True)
class Vector:
    """One payload. data: what is published that its codec makes of it, if `is_known`. is_refused: an error is."""

    payload: bytes
    fport: int
    data: object = None
    is_known: bool = False
    is_refused: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    received: str = ""


@dataclass
class Published:
    """One codec file. units: the maker's own, by the name of the value."""

    path: Path
    vectors: list[Vector] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)


def find_published(folder: Path) -> list[Published]:
    """Return the codecs of a collection, in the order of their paths."""
    found = {path: Published(path) for path in _files(folder, "*.js") if _ENTRY.search(_text(path))}
    for path in _files(folder, "*-codec.yaml"):
        uplink = (load_yaml(_text(path)) or {}).get("uplinkDecoder") or {}
        codec = path.parent / str(uplink.get("fileName"))
        if codec.is_file():
            found.setdefault(codec, Published(codec)).vectors += _cases(uplink.get("examples"))
    for codec, published in found.items():
        published.vectors += _vectors_beside(codec)
        published.units |= _units_beside(codec)
        published.vectors = list({(v.payload, v.fport, repr(v.data)): v for v in published.vectors}.values())
    return [found[path] for path in sorted(found)]


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    for path in folder.rglob(pattern):
        parts = path.relative_to(folder).parts
        if not any(part in _NOT_CODECS or part.startswith(".") for part in parts):
            yield path


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _json(text: str) -> Any:
    """Return what a file says that should be JSON; makers also write 0x02, and commas too many."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return load_yaml(text)
    except ValueError:
        return None


def _vectors_beside(codec: Path) -> Iterator[Vector]:
    stem = codec.stem
    for path in (codec.with_name(f"test_decode_{stem}.json"), codec.with_name(f"{stem}.examples.json")):
        if path.is_file():
            yield from _cases(_json(_text(path)))
    text = _text(codec)
    fport = 85 if "milesight" in text.lower() else 1
    for digits in _CALL.findall(text):
        yield Vector(bytes.fromhex(digits), fport)
    readme, table = codec.with_name("README.md"), _codec_json(codec)
    shown: set[bytes] = set()
    if table is not None and readme.is_file():
        for vector in _shown_in(_text(readme), fport):
            shown.add(vector.payload)
            yield vector
    given = re.sub(r"\s", "", str(table.get("bytes") or "")) if table else ""
    if given and len(given) % 2 == 0 and bytes.fromhex(given) not in shown:
        yield Vector(bytes.fromhex(given), fport)


def _codec_json(codec: Path) -> dict[str, Any] | None:
    """Return Milesight's table of a codec's values, the one beside it."""
    path = codec.with_name(re.sub(r"-decoder$", "", codec.stem) + "-codec.json")
    if not path.is_file():
        return None
    table = _json(_text(path))
    return table if isinstance(table, dict) else None


def _units_beside(codec: Path) -> dict[str, str]:
    table = _codec_json(codec) or {}
    return {str(row["id"]): str(row["unit"]) for row in table.get("object", ()) if row.get("unit") and row.get("id")}


def _shown_in(text: str, fport: int) -> Iterator[Vector]:
    """Yield the examples of a README: a payload as a comment, and the object that it becomes below it."""
    for block in _BLOCK.findall(text):
        payload, lines = b"", list[str]()
        for line in [*block.splitlines(), "// 00"]:
            start = _PAYLOAD_LINE.match(line)
            digits = re.sub(r"\s", "", start[1]) if start else ""
            if not digits or len(digits) % 2:
                lines.append(line)
                continue
            if payload and "".join(lines).strip():
                data = _tolerant_json("\n".join(lines))
                yield Vector(payload, fport, data, is_known=data is not _NO_DATA)
            payload, lines = bytes.fromhex(digits), []


def _tolerant_json(text: str) -> object:
    plain = re.sub(r",(\s*[}\]])", r"\1", re.sub(r"(?m)//.*$", "", text))
    try:
        return json.loads(plain)
    except ValueError:
        return _NO_DATA


def _cases(cases: object) -> Iterator[Vector]:
    """Yield the cases of the device repository (`output`), or of ChirpStack (`expected`)."""
    for case in cases if isinstance(cases, list) else ():
        given, output = case.get("input") or {}, case.get("output") or case.get("expected") or {}
        payload = given.get("bytes", [])
        if isinstance(payload, list) and all(isinstance(byte, int) for byte in payload):
            octets = bytes(byte & 0xFF for byte in payload)
        elif isinstance(payload, str) and re.fullmatch(r"(?:[0-9a-fA-F]{2})*", payload):
            octets = bytes.fromhex(payload)
        else:
            continue
        yield Vector(
            octets,
            int(given.get("fPort", 1)),
            _plain(output.get("data")),
            is_known="data" in output and not output.get("errors"),
            is_refused=bool(output.get("errors")),
            variables={name: str(value) for name, value in (given.get("variables") or {}).items()},
            received=str(_plain(given.get("recvTime") or "")),
        )


def _plain(data: object) -> object:
    """Return what YAML made of a file as JSON would have it."""
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(item) for item in data]
    return data.isoformat() if isinstance(data, date | datetime) else data
