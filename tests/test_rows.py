"""A table is one test that tries every row and names each that fails."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.rows import one_test_a_table, try_rows


@pytest.mark.parametrize("number", [1, 2, 3])
def test_of_a_table(number: int) -> None:
    assert number


@pytest.mark.parametrize("number", [1, 2])
def test_of_a_table_with_a_fixture(number: int, tmp_path: Path) -> None:
    assert tmp_path / str(number)


@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.long), 3])
def test_of_a_table_with_a_mark(number: int) -> None:
    assert number


def names(items: Iterable[pytest.Item]) -> list[str]:
    return [item.name for item in items if item.name.startswith("test_of_a_table")]


def found(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """The tests of this module as pytest finds them."""
    return [item for item in request.node.parent.collect() if isinstance(item, pytest.Item)]


@pytest.fixture
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[pytest.Item]:
    """The same where some were chosen by name."""
    monkeypatch.setattr(request.config.option, "keyword", "2")
    monkeypatch.setattr("tests.support.rows._folded", {})
    return found(request)


def test_table_is_one_test_where_its_rows_need_nothing_else(rows: list[pytest.Item]) -> None:
    assert names(one_test_a_table(rows)) == [
        "test_of_a_table",
        "test_of_a_table_with_a_fixture[1]",
        "test_of_a_table_with_a_fixture[2]",
        "test_of_a_table_with_a_mark",
        "test_of_a_table_with_a_mark[2]",
    ]


def test_row_of_a_table_is_not_made_a_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request.config.option, "keyword", "")
    folded: dict[object, list[object]] = {}
    monkeypatch.setattr("tests.support.rows._folded", folded)
    tests = found(request)
    assert names(tests).count("test_of_a_table[1]") == 1 and "test_of_a_table[2]" not in names(tests)
    (table,) = (each for each in one_test_a_table(tests) if each.name == "test_of_a_table")
    assert [len(calls) for calls in folded.values()] == [3]
    assert isinstance(table, pytest.Function)
    table.obj()


def test_order_of_the_rows_does_not_matter(rows: list[pytest.Item]) -> None:
    assert sorted(names(one_test_a_table(rows[::-1]))) == names(one_test_a_table(rows))


def test_row_that_was_chosen_stays_a_test(rows: list[pytest.Item]) -> None:
    assert names(one_test_a_table(rows[1:2])) == ["test_of_a_table[2]"]


def test_every_row_is_tried_and_each_failure_has_its_name() -> None:
    tried = []

    def check(number: int) -> None:
        tried.append(number)
        assert number % 2 == 0

    with pytest.RaisesGroup(AssertionError, AssertionError) as caught:
        try_rows(check, [(f"row {number}", {"number": number}) for number in range(5)])
    assert tried == [0, 1, 2, 3, 4]
    assert [error.__notes__ for error in caught.value.exceptions] == [["row: row 1"], ["row: row 3"]]
    with pytest.raises(AssertionError) as alone:
        try_rows(check, [("good", {"number": 2}), ("bad", {"number": 7})])
    assert alone.value.__notes__ == ["row: bad"]


def test_failure_counts_for_more_than_a_skipped_row() -> None:
    def check(number: int) -> None:
        if number == 0:
            pytest.skip("missing Debian package tshark")
        if number == 2:
            pytest.fail("no")

    with pytest.raises(pytest.skip.Exception, match="tshark"):
        try_rows(check, [("0", {"number": 0}), ("1", {"number": 1})])
    with pytest.raises(pytest.fail.Exception, match="no"):
        try_rows(check, [("0", {"number": 0}), ("2", {"number": 2})])
