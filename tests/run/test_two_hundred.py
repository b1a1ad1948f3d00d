"""The session with two hundred devices holds; parts of it are in test_reload.py and tests/cli/test_devices.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.two_hundred import session


@pytest.mark.long
def test_session_with_two_hundred_devices(tmp_path: Path) -> None:
    said: list[str] = []
    session(tmp_path, said.append)
    assert said[-1].endswith("frames of 200 devices: each value is on the server, once")
