"""The [json_lines] table → a file, or stdout, with one JSON object a reading."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from lora_post.config.tables import JsonLinesTable
from lora_post.toml_table import TableReader

STDOUT = "-"


class JsonLinesConfig(Struct, frozen=True):
    """path: None for stdout. max_bytes: of one file. keep: how many full files stay beside the one being written."""

    path: Path | None
    max_bytes: int
    keep: int


def read_json_lines(reader: TableReader) -> JsonLinesConfig | None:
    """The [json_lines] table, None when there is none."""
    table = reader.table("json_lines", JsonLinesTable)
    if table is None:
        return None
    if not table.path:
        reader.refuse("[json_lines] path is empty", 'name a file, or "-" for stdout')
    if table.max_mb < 1:
        reader.refuse(f"[json_lines] max_mb is {table.max_mb}", "it must be at least 1")
    if not 0 <= table.keep <= 1000:
        reader.refuse(f"[json_lines] keep is {table.keep}", "it must be between 0 and 1000")
    path = None if table.path == STDOUT else reader.folder / table.path
    return JsonLinesConfig(path, table.max_mb << 20, table.keep)
