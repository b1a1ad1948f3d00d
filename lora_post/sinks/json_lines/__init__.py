"""Write readings as JSON lines into a file that is rotated by size, or to stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from lora_post.sinks.destination import Destination, NeededFile, SinkContext, Site
from lora_post.sinks.finding import Finding
from lora_post.sinks.sink import Sink
from lora_post.toml_table import TableReader

STDOUT = "-"


class JsonLinesTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[A file](destinations.md#json-lines) with one JSON object a reading.

    path: The file, or `"-"` for stdout.
    max_mb: At so many MiB, 1 or more, it becomes `….1` and a new one begins.
    keep: How many older files stay, 0 to 1000.
    """

    path: str
    max_mb: int = 16
    keep: int = 4


class JsonLinesConfig(Struct, frozen=True):
    """The checked table.

    path: None for stdout. max_bytes: of one file. keep: how many full files stay beside it.
    """

    path: Path | None
    max_bytes: int
    keep: int


def _read(reader: TableReader, table: JsonLinesTable) -> JsonLinesConfig:
    if not table.path:
        reader.refuse("[json_lines] path is empty", 'name a file, or "-" for stdout')
    if table.max_mb < 1:
        reader.refuse(f"[json_lines] max_mb is {table.max_mb}", "it must be at least 1")
    if not 0 <= table.keep <= 1000:
        reader.refuse(f"[json_lines] keep is {table.keep}", "it must be between 0 and 1000")
    path = None if table.path == STDOUT else reader.folder / table.path
    return JsonLinesConfig(path, table.max_mb << 20, table.keep)


def _open(config: JsonLinesConfig, context: SinkContext) -> Sink:
    from lora_post.sinks.json_lines.sink import JsonLinesFile, JsonLinesOutput

    if config.path is None:
        return JsonLinesOutput(sys.stdout.fileno())
    return JsonLinesFile(config.path, max_bytes=config.max_bytes, keep=config.keep)


def _check(config: JsonLinesConfig, site: Site) -> Iterator[Finding]:
    from lora_post.sinks.json_lines.check import check_json_lines

    yield check_json_lines(config.path)


def _files(config: JsonLinesConfig) -> list[NeededFile]:
    return [NeededFile("[json_lines] path", config.path, is_written=True)] if config.path else []


JSON_LINES = Destination(JsonLinesTable, _read, _open, _check, files=_files)
