"""[[input]] tables → where frames come from."""

from __future__ import annotations

from msgspec import Struct

from lora_post.config_reader import TableReader
from lora_post.config_tables import InputTable


class InputConfig(Struct, frozen=True):
    """Where bytes come from, and what they are."""

    url: str
    format: str


def read_inputs(reader: TableReader) -> tuple[InputConfig, ...]:
    """The inputs of a document; stdin when it names none."""
    tables = [table for _, table in reader.list("input", InputTable)] or [InputTable()]
    return tuple(InputConfig(table.url, table.format) for table in tables)
