"""Print for people and programs: tables and colours on a terminal, plain lines elsewhere.

Every text passes `printable`, since names, payloads and reasons may come from radio or a server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lora_post.errors import ConfigError
from lora_post.text import escaped_json, printable

# A column of plain text is not made wider than this for the sake of one long cell.
MAX_PAD = 40
# The last column of a table on a terminal is folded, but not into less than this.
MIN_LAST = 30


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print rows under headers; without a terminal only the rows, two blanks between columns.

    On a terminal the last column may go on in further lines; without room for that the whole row does, indented. Names
    and other words of the columns before stay whole.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal and _needed([headers, *cells]) <= console.width:
        console.print(_rich_table(headers, cells, printable(title)))
        return
    if title:
        click.echo(printable(title))
    if not console.is_terminal:
        for line in aligned(cells):
            click.echo(line)
        return
    for line in _folded(headers, console.width):
        say(line, dim=True)
    for line in (line for row in cells for line in _folded(row, console.width)):
        click.echo(line)


def _needed(rows: Sequence[Sequence[str]]) -> int:
    """Return how wide a terminal must be for a table, with two blanks between columns."""
    *before, last = (max(map(cell_len, column)) for column in zip(*rows, strict=True))
    return sum(width + 2 for width in before) + min(last, MIN_LAST)


def _folded(row: Sequence[str], width: int) -> list[str]:
    text = "  ".join(filter(None, row))
    return wrap(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _rich_table(headers: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=Text(title, style="bold") if title else None)
    table.title_justify = "left"
    table.show_header = any(headers)
    for number, header in enumerate(headers, 1):
        table.add_column(Text(header, style="dim"), no_wrap=number < len(headers), overflow="fold")
    for row in cells:
        table.add_row(*[Text(cell) for cell in row])
    return table


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines in which columns begin below one another."""
    widths = [
        max((len(cell) for cell in column if len(cell) <= MAX_PAD), default=0) for column in zip(*rows, strict=True)
    ]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def say(text: str, **style: bool | str) -> None:
    """Print one line on stdout. style: as in click.style, on a terminal only."""
    click.echo(click.style(printable(text), **style))  # type: ignore[arg-type]


def complain(text: str) -> None:
    """Print one line on stderr."""
    click.echo(f"Error: {printable(text)}", err=True)


def print_json(found: object) -> None:
    """Print an object as JSON, on one line."""
    click.echo(escaped_json(msgspec.json.encode(found)))


def confirm(question: str, otherwise: str, *, yes: bool) -> None:
    """Ask before what cannot be undone, unless --yes was given. Aborts on a no.

    otherwise: what would happen, for the refusal where there is no terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{otherwise}, and there is no terminal to ask on; add --yes")
    click.confirm(question, abort=True)


def write_new(path: Path, text: str, *, mode: int) -> None:
    """Write a file that is not there yet, with these rights. Raises ConfigError."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} is there already", fix="choose another name, or move it away first") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
