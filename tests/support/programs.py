"""Programs of other packages that tests start: a broker, a browser, curl, tshark, systemd's own check."""

from __future__ import annotations

import os
import shutil
from typing import Final

import pytest

# Debian's package of each; the same names are in .ci/debian-packages.
PACKAGES: Final = {
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "curl": "curl",
    "mosquitto": "mosquitto",
    "mosquitto_passwd": "mosquitto",
    "tshark": "tshark",
    "systemd-analyze": "systemd",
}
PLACES: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/opt/homebrew/sbin"
MISSING: Final = "missing Debian package "


def program(name: str) -> str:
    """Return the path of a program. Without it the test is skipped, or fails where CI is set."""
    found = shutil.which(name) or (shutil.which(name, path=PLACES) if name == "mosquitto" else None)
    if found is not None:
        return found
    reason = MISSING + PACKAGES[name]
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def advice(reasons: list[str]) -> str:
    """Return one line that names the packages which skipped tests want; "" when none was skipped for that."""
    wanted = [reason.partition(MISSING)[2] for reason in reasons if MISSING in reason]
    if not wanted:
        return ""
    packages = " ".join(sorted(set(wanted)))
    return f"{len(wanted)} tests were skipped. To run them: sudo apt-get install {packages}"
