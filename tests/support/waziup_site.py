"""Fixtures of tests that have a server, and a lora-post that sends to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.moved_time import World
from tests.support.upload_site import IMPATIENT, USERS, Site
from tests.support.waziup import Waziup, waziup

__all__ = ["no_waiting", "server", "site", "world"]


@pytest.fixture
def server() -> Iterator[Waziup]:
    with waziup(USERS) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, server: Waziup) -> Iterator[Site]:
    here = Site(tmp_path, server.url)
    yield here
    here.close()


@pytest.fixture
def no_waiting(site: Site) -> None:
    site.policy = IMPATIENT


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    one = World(tmp_path, monkeypatch)
    yield one
    one.close()
