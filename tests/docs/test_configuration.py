"""The configuration reference is what the code reads."""

from __future__ import annotations

import pytest
from msgspec import Struct

from tests.docs.configuration import page, tables, undescribed
from tests.support.paths import DOCS


@pytest.mark.parametrize(("heading", "kind"), [*tables()])
def test_table_and_all_its_keys_are_described_beside_their_types(heading: str, kind: type[Struct]) -> None:
    assert undescribed(kind) == set(), f"{heading}: say in the docstring of {kind.__name__} what these are for"


def test_reference_shows_the_tables_as_they_are() -> None:
    text = (DOCS / "configuration.md").read_text("utf-8")
    assert text == page(), "run: python -m tests.docs --update"
