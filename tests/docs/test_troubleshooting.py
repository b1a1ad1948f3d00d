"""Whatever lora-post complains of has an entry in docs/troubleshooting.md, under the name that it has in the code."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest

import lora_post.cli
from lora_post import errors
from lora_post.alerts import rules
from lora_post.cli import LazyGroup
from lora_post.model import NoiseReason
from lora_post.observed.device_trouble import KINDS
from tests.docs.troubles import PAGE, ROW, log_lines, refreshed
from tests.support.error_tree import below

TEXT = PAGE.read_text("utf-8")


def section(heading: str) -> str:
    """What stands under a heading of the second level."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading}"
    return found[1]


def entries(heading: str) -> list[str]:
    """The first cells of the table under a heading that are names."""
    return re.findall(r"^\| `([\w-]+)` \| ", section(heading), re.MULTILINE)


def rows(heading: str) -> list[str]:
    """The first cells of the table under a heading."""
    return re.findall(r"^\| `?([\w-]+)`? \|", section(heading), re.MULTILINE)[1:]


REFUSALS = [kind.check for kind in (errors.FrameError, *below(errors.UnlockError))]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Refused frames", REFUSALS),
        ("Skipped bytes", [str(reason) for reason in NoiseReason]),
        ("Payloads", [kind.__name__ for kind in below(errors.DecodeError)]),
        ("Destinations", [kind.__name__ for kind in below(errors.SinkError)]),
        ("Spool", ["SpoolError", *(kind.__name__ for kind in below(errors.SpoolError))]),
        ("Configuration", ["ConfigError"]),
    ],
)
def test_every_reason_of_trouble_has_one_entry_and_no_other_has(heading: str, names: list[str]) -> None:
    assert sorted(entries(heading)) == sorted(names)


def test_sections_are_all_kinds_of_errors() -> None:
    kinds = {kind.__name__ for kind in errors.LoraPostError.__subclasses__() if kind.__module__ == errors.__name__}
    assert kinds == {"FrameError", "UnlockError", "DecodeError", "SinkError", "SpoolError", "ConfigError"}


def test_every_alert_has_a_row() -> None:
    keys = set(re.findall(r'(?:Condition\(\s*f?|key = f)"([a-z-]+)[":]', inspect.getsource(rules)))
    assert len(keys) > 5
    assert sorted(rows("Alerts")) == sorted({*keys, *KINDS})


def test_every_exit_code_has_a_row() -> None:
    names = ["lora_post.cli", *(each.name for each in pkgutil.walk_packages(lora_post.cli.__path__, "lora_post.cli."))]
    modules = [importlib.import_module(name) for name in names]
    codes = {value for module in modules for name, value in vars(module).items() if name.startswith("EXIT_")}
    assert len(LazyGroup.modules) < len(modules)
    assert [int(code) for code in rows("Exit codes")] == sorted({0} | codes)


def test_log_lines_of_the_page_are_those_of_the_program() -> None:
    lines = log_lines()
    assert sorted(ROW.findall(TEXT)) == sorted(lines)
    assert all(lines.values())
    assert refreshed(TEXT, lines) == TEXT, "run: python -m tests.docs --update"
