"""`install.sh` says what it would do, and names what is wrong; `tests.fresh_debian` runs it for real."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support.command import PATIENCE_S
from tests.support.paths import ROOT


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "install.sh"), *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "takes UDP from a packet forwarder"),
        (("--", "/opt/radio", "--raw"), "reads the radio program"),
        (("--uninstall",), "Kept: /etc/lora-post, /var/lib/lora-post"),
        (("--uninstall", "--purge"), "remove the configuration, the queued readings"),
    ],
)
def test_dry_run_says_what_would_be_done(arguments: tuple[str, ...], says: str) -> None:
    done = script("--dry-run", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout


@pytest.mark.parametrize("arguments", [("--frobnicate",), ("--username",), ("stray",)])
def test_mistakes_are_named_with_what_to_do(arguments: tuple[str, ...]) -> None:
    done = script("--dry-run", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "\nfix: " in done.stderr


def test_help_names_every_option() -> None:
    text = (ROOT / "install.sh").read_text("utf-8")
    cases = text.partition("case $1 in")[2].partition("esac")[0]
    options = set(re.findall(r"--[a-z-]+(?= *[|)])", cases)) - {"--help"}
    assert len(options) > 4
    said = script("--help").stdout
    assert [option for option in sorted(options) if option not in said] == []
