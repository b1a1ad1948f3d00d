"""A table of `pytest.mark.parametrize` as one test: each of thousands of rows would cost milliseconds as a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import is_hypothesis_test


def one_test_a_table(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with each table as one, where its function takes nothing but the row.

    It stands where its first row stands. A row that has a mark, or is the only one that was chosen, stays a test.
    """
    tables: dict[object, list[pytest.Item]] = {}
    for item in items:
        tables.setdefault(_table(item) or item, []).append(item)
    return [rows[0] if len(rows) == 1 else _one_test(table, rows) for table, rows in tables.items()]


def try_rows(check: Callable[..., object], rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Try a check on all rows, each with its name. Raises what failed, each with the name of its row."""
    failed: list[BaseException] = []
    skipped: list[BaseException] = []
    for name, row in rows:
        try:
            check(**row)
        except pytest.skip.Exception as skip:
            skipped.append(skip)
        except (Exception, pytest.fail.Exception) as error:
            error.add_note(f"row: {name}")
            failed.append(error)
    if len(failed) > 1:
        raise BaseExceptionGroup(f"{len(failed)} rows", failed)
    for outcome in failed + skipped:
        raise outcome


def _table(item: pytest.Item) -> Any:
    """Return the function of a row that needs nothing else; None for other tests."""
    if (
        not isinstance(item, pytest.Function)
        or not hasattr(item, "callspec")
        or item.cls
        or is_hypothesis_test(item.obj)
        or set(item.fixturenames) != set(item.callspec.params)
        or any(mark.name != "parametrize" or mark.kwargs.get("indirect") for mark in item.iter_markers())
    ):
        return None
    return item.obj


def _one_test(table: Any, rows: list[Any]) -> pytest.Item:
    named = [(row.callspec.id, row.callspec.params) for row in rows]
    test: pytest.Item = pytest.Function.from_parent(
        rows[0].parent, name=rows[0].originalname, callobj=lambda: try_rows(table, named)
    )
    return test
