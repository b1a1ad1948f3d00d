"""A table of `pytest.mark.parametrize` as one test: each of thousands of rows would cost milliseconds as a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest
from hypothesis import is_hypothesis_test

_folded: Final[dict[object, Any]] = {}
"""The rows of each table of which only the first one was made a test."""


def fold(metafunc: pytest.Metafunc) -> None:
    """Have only the first row of a table made a test, for `one_test_a_table`: to make thousands takes seconds.

    Where tests were chosen by name, that may be one of a row.
    """
    config, calls = metafunc.config, metafunc._calls
    is_chosen = config.option.keyword or any("[" in word for word in config.args)
    if len(calls) < 2 or is_chosen or any(call.marks for call in calls):
        return
    if _is_table(metafunc.definition, calls[0].params):
        _folded[metafunc.function] = calls[:]
        del calls[1:]


def one_test_a_table(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with each table as one, where its function takes nothing but the row.

    It stands where its first row stands. A row that has a mark, or is the only one that was chosen, stays a test.
    """
    tables: dict[object, list[pytest.Item]] = {}
    for item in items:
        tables.setdefault(_table(item) or item, []).append(item)
    return [
        rows[0] if len(rows) == 1 and table not in _folded else _one_test(table, rows) for table, rows in tables.items()
    ]


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
    if isinstance(item, pytest.Function) and hasattr(item, "callspec") and _is_table(item, item.callspec.params):
        return item.obj
    return None


def _is_table(function: pytest.Function, params: Iterable[str]) -> bool:
    return not (
        function.cls
        or is_hypothesis_test(function.obj)
        or set(function.fixturenames) != set(params)
        or any(mark.name != "parametrize" or mark.kwargs.get("indirect") for mark in function.iter_markers())
    )


def _one_test(table: Any, rows: list[Any]) -> pytest.Item:
    calls = _folded.get(table) or [row.callspec for row in rows]
    named = [(call.id, call.params) for call in calls]
    test: pytest.Item = pytest.Function.from_parent(
        rows[0].parent, name=rows[0].originalname, callobj=lambda: try_rows(table, named)
    )
    return test
