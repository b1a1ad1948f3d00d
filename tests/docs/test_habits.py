"""What a contributor is told to run is what the checks run; what tests share is where they look for it."""

from __future__ import annotations

import ast
import re
import tomllib

import lora_post
from tests.support.paths import ROOT


def tools(name: str) -> set[str]:
    """The tools of the virtual environment that a file calls, with the command of ruff."""
    return set(re.findall(r"\.venv/bin/((?:ruff )?[\w-]+)", (ROOT / name).read_text("utf-8")))


def test_hooks_before_a_commit_are_the_checks() -> None:
    assert tools(".pre-commit-config.yaml") == tools("scripts/check")


def test_every_way_to_the_checks_is_one() -> None:
    assert "scripts/check" in (ROOT / ".ci" / "run").read_text("utf-8")
    for path in (".github/workflows/checks.yml", "CONTRIBUTING.md", ".github/PULL_REQUEST_TEMPLATE.md"):
        assert "bash .ci/run" in (ROOT / path).read_text("utf-8"), path


def test_version_is_in_one_place_and_in_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" in project["dynamic"]
    assert f"\n## {lora_post.__version__} (" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_test_modules_are_not_imported() -> None:
    """What several tests use is in tests/support/."""
    imported = re.compile(r"^\s*(?:from|import) tests\b.*\btest_.*", re.MULTILINE)
    found = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "tests").rglob("*.py")
        if (lines := imported.findall(path.read_text("utf-8")))
    }
    assert found == {}


def test_what_takes_seconds_is_long() -> None:
    """Of what wants the browser or servers of NATS, one test each is quick."""
    quick = [
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"\bphone\b|\bnats_servers\b", text := path.read_text("utf-8"))
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if re.search(r"\bphone: |\bnats_servers\(", ast.unparse(node))
        if not any("mark.long" in ast.unparse(each) for each in node.decorator_list)
    ]
    assert sorted(quick) == ["test_one_server", "test_page_updates_and_takes_nothing_for_markup"]


def test_numbers_in_texts_have_their_noun_by_plural() -> None:
    """`skipped 1 bytes` is not English, and `rssi=None` says nothing: a log line leaves out what is not known."""
    package = ROOT / "lora_post"
    counted = re.compile(r"%d (?:more |kept )?(?:[a-z]*[a-rt-z]s|entries)\b")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.args[0].value}"
        for path in sorted(package.rglob("*.py"))
        if re.search(r"%d|rssi=|snr=", text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("debug", "info", "warning", "error")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and (counted.search(node.args[0].value) or re.search(r"(?:rssi|snr)=%s ", node.args[0].value))
    ]
    assert found == []
