"""docs/architecture.md shows the code as it is: its folders, its layers, its paths, its names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.architecture import PACKAGE, PAGE, first_line, refreshed, rungs, undefined
from tests.support.paths import ROOT

MAX_LINE = 90
FIELDS = {"phy_payload", "frm_payload"}
TEXT = PAGE.read_text("utf-8")
PARTS = [*sorted(init.parent for init in PACKAGE.rglob("__init__.py")), *sorted(PACKAGE.glob("[!_]*.py"))]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: str(part.relative_to(ROOT)))
def test_folder_says_in_one_line_what_it_is_for(part: Path) -> None:
    assert 0 < len(first_line(part)) <= MAX_LINE


def test_layers_and_paths_are_those_of_the_code() -> None:
    assert refreshed(TEXT) == TEXT, "run: python -m tests.docs --update"


def test_every_folder_and_module_has_its_layer() -> None:
    names = {part.stem for part in PARTS if part.parent == PACKAGE}
    assert names <= {name for rung in rungs() for name in rung}


def test_paths_on_the_page_exist() -> None:
    paths = set(re.findall(r"`((?:lora_post|tests|docs|decoders|fixtures)/[a-z0-9_/.-]*)`", TEXT))
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_names_on_the_page_exist() -> None:
    names = set(re.findall(r"`([A-Z][A-Za-z]*[a-z][A-Za-z]*|[A-Z]+_?[A-Z]+|[a-z]+_[a-z0-9_]+)`", TEXT))
    assert {"Frame", "Batch", "open_stream", "STEPS"} <= names
    assert undefined(names - FIELDS) == set()
