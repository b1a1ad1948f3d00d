"""Read devices from CSV with a header line: The Things Stack's, ChirpStack tools', and one's own.

Source: The Things Stack, CSV File Reference: semicolons, quotes as usual, unknown columns are allowed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from lora_post.errors import ConfigError, Problem
from lora_post.migrate.qr_code import read_qr_code
from lora_post.migrate.records import DISABLED, QR, DeviceList, Record, field_named, record_of
from lora_post.text import plural

_DELIMITERS: Final = ";,\t|"
_YES: Final = ("1", "true", "yes")
_WHO: Final = {"dev_eui", "dev_addr", "address", QR}


def is_csv(text: str) -> bool:
    """Tell whether the first line is a header with a column that names devices."""
    header = _header(text)
    return any(_WHO & set(map(field_named, header.split(mark))) for mark in _DELIMITERS)


def read_csv(text: str) -> DeviceList:
    """Return the devices of a text that `is_csv`."""
    delimiter = max(_DELIMITERS, key=_header(text).count)
    rows = _rows(text, delimiter)
    _, header = next(rows)
    names = [field_named(column) for column in header]
    notes = [f"column {column!r} is not used" for column, name in zip(header, names, strict=True) if not name]
    records: list[Record] = []
    mistakes: list[Problem] = []
    for line, row in rows:
        where = f"line {line}"
        if len(row) != len(names):
            mistakes.append(Problem(f"{where} has {plural(len(row), 'field')}", f"the header line has {len(names)}"))
            continue
        fields = {name: value for name, value in zip(names, row, strict=True) if name and value.strip()}
        try:
            if QR in fields:
                fields = read_qr_code(fields.pop(QR)) | fields
        except ConfigError as error:
            mistakes.append(error.problem.at(where))
            continue
        is_disabled = fields.pop(DISABLED, "").strip().lower() in _YES
        record = record_of(where, fields.items())
        if is_disabled:
            notes.append(f"{record.place} is disabled there and left out")
        else:
            records.append(record)
    return DeviceList(tuple(records), tuple(mistakes), tuple(notes))


def _header(text: str) -> str:
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return next(lines, "")


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the number of their last line; empty ones and comments are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ConfigError(f"line {reader.line_num}: {error}") from error
        if any(cell.strip() for cell in row) and not row[0].startswith("#"):
            yield reader.line_num, row
