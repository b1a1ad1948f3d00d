"""SQL of a table stands in one module: who changes the table finds there all that reads and writes it."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest

import lora_post
from lora_post.spool.schema import STEPS

PACKAGE = Path(lora_post.__file__).parent
OWNERS = {
    "accepted": "spool/accepted.py",
    "boot": "spool/boots.py",
    "downlink": "spool/downlinks.py",
    "frame": "spool/frames.py",
    "gap": "spool/gaps.py",
    "heard": "spool/heard.py",
    "joined": "spool/joins.py",
    "kept": "spool/thinning.py",
    "known": "spool/facts.py",
    "lane": "spool/lanes.py",
    "log_entry": "spool/log_places.py",
    "log_place": "spool/log_places.py",
    "reading": "spool/lanes.py",
    "refused": "spool/lanes.py",
    "session": "spool/sessions.py",
    "stranger": "spool/strangers.py",
    "tally": "spool/tallies.py",
    "told": "spool/told.py",
    "trend": "spool/trends.py",
    "undecoded": "spool/undecoded.py",
}
EXCEPT = {
    "spool/schema.py": "a released step makes the tables as they were then, whatever their modules do with them now",
    "spool/rescue.py": "copies what a damaged file of any version has, table by table, without knowing what it means",
}
PUT_IN = "{}"
"""A name of a table that is put into the text: it could be any."""

_NAME = r"[\w{}]+(?:\s+AS\s+\w+)?"
_USE = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE(?:\s+OR\s+\w+)?|TABLE)\s+({_NAME}(?:\s*,\s*{_NAME})*)")


def texts(code: str) -> Iterator[str]:
    """The strings of a module, but for docstrings; what is put into one is {}."""
    seen: set[int] = set()
    for node in ast.walk(ast.parse(code)):  # from the outside in
        if isinstance(node, ast.Expr):
            seen.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            seen.update(map(id, node.values))
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else PUT_IN for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in seen:
            yield node.value


def tables_in(code: str) -> set[str]:
    """The tables of the spool that the SQL of a module names."""
    if not _USE.search(re.sub(r"[\"'\s]+", " ", code)):  # nothing to parse it for
        return set()
    names = {name.split()[0] for text in texts(code) for match in _USE.findall(text) for name in match.split(",")}
    return {name for name in names if name in OWNERS or PUT_IN in name}


@pytest.mark.parametrize(
    ("code", "tables"),
    [
        pytest.param('db.execute("SELECT 1 FROM lane WHERE id = 1")', {"lane"}, id="plain"),
        pytest.param(
            'q = ("DELETE FROM reading WHERE lane"\n " IN (SELECT id FROM lane)")', {"reading", "lane"}, id="two"
        ),
        pytest.param('q = "SELECT 1 FROM lane AS a, heard"', {"lane", "heard"}, id="list"),
        pytest.param('q = "FROM lane AS new JOIN boot AS old USING (x)"', {"lane", "boot"}, id="join"),
        pytest.param('q = f"UPDATE kept SET {name} = 1"', {"kept"}, id="f-string"),
        pytest.param('q = f"SELECT 1 FROM {table}"', {PUT_IN}, id="table put in"),
        pytest.param('def f():\n    """Copies FROM lane."""', set(), id="docstring"),
        pytest.param('q = "SELECT lane FROM history"', set(), id="another table"),
    ],
)
def test_tables_are_found_in_code(code: str, tables: set[str]) -> None:
    assert tables_in(code) == tables


def test_every_table_has_an_owner() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in chain.from_iterable(STEPS):
            db.execute(statement)
        assert {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")} == set(OWNERS)


def test_sql_of_a_table_stands_in_its_module_only() -> None:
    found = {
        (table, module)
        for path in sorted(PACKAGE.rglob("*.py"))
        if (module := path.relative_to(PACKAGE).as_posix()) not in EXCEPT
        for table in tables_in(path.read_text())
    }
    assert found == set(OWNERS.items())
