"""A test that wants a program which is not there is skipped with its package's name, and fails where CI is set."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import PATIENCE_S
from tests.support.paths import ROOT
from tests.support.programs import PACKAGES, advice


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Tests that start a program, with nothing in PATH; one as where CI is set."""
    folder = tmp_path_factory.mktemp("programs")
    file = folder / "test_it.py"
    file.write_text(
        "from tests.support.programs import program\n"
        "def test_browser():\n    program('chromium')\n"
        "def test_capture():\n    program('tshark')\n"
        "def test_curl(monkeypatch):\n    monkeypatch.setenv('CI', 'true')\n    program('curl')\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    return subprocess.run(
        [*words, "-p", "tests.conftest", str(file)],
        cwd=ROOT,
        env={"PATH": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_skipped_tests_name_the_packages_in_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert sorted(done.stdout.split()[0]) == ["F", "s", "s"]
    assert "2 tests were skipped. To run them: sudo apt-get install chromium tshark" in done.stdout


def test_missing_programs_fail_where_ci_is_set(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1
    assert "missing Debian package curl" in done.stdout


@pytest.mark.long
def test_in_a_bare_environment_all_tests_are_found_and_those_with_a_browser_skipped(tmp_path: Path) -> None:
    """As on a fresh machine: nothing but this Python and what Debian always has."""
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("git", "sh", "bash", "env", "systemctl"):
        if found := shutil.which(name):
            (bare / name).symlink_to(found)
    (bare / "python3").symlink_to(sys.executable)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for more, says in (
        (["--collect-only"], "tests/status/test_form.py: "),
        (["tests/status/test_form.py", "-m", "long or not long"], "install chromium"),
    ):
        done = subprocess.run(
            [*words, *more],
            cwd=ROOT,
            env={"PATH": str(bare), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        assert says in done.stdout


def test_the_packages_are_those_that_the_test_command_installs() -> None:
    assert sorted(set(PACKAGES.values())) == sorted((ROOT / ".ci/debian-packages").read_text().split())


@pytest.mark.parametrize("reasons", [[], ["the other side is slow"]])
def test_other_skips_say_nothing_of_packages(reasons: list[str]) -> None:
    assert advice(reasons) == ""
