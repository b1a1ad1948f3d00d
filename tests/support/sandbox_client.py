"""A client for tests of the sandbox, and a clock that tests move."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import requests

from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.server import running_sandbox
from tests.support.command import PATIENCE_S

PEOPLE = ("alice", "bob", "admin")


class ManualClock:
    """A clock that goes on only when told to."""

    def __init__(self) -> None:
        self.now_us = 1_767_323_045_250_000  # 2026-01-02T03:04:05.25Z

    def __call__(self) -> int:
        return self.now_us

    def advance(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)

    def second(self, shift: int = 0) -> str:
        """The second that the server writes now, as text."""
        return datetime.fromtimestamp(self.now_us // 1_000_000 + shift, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Api:
    """A client of one sandbox; `user` None sends no token."""

    def __init__(self, base: str, clock: ManualClock) -> None:
        self.base = base
        self.clock = clock
        self.tokens: dict[tuple[str, int], str] = {}
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, user: str | None = None, **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if user is not None:
            headers["Authorization"] = f"Bearer {self._kept_token(user)}"
        return self.session.request(method, self.base + path, headers=headers, timeout=PATIENCE_S, **options)

    def _kept_token(self, user: str) -> str:
        """One for each instant: it is as good as a new one."""
        key = user, self.clock.now_us
        return self.tokens.get(key) or self.tokens.setdefault(key, self.token(user))

    def token(self, user: str) -> str:
        return self.session.post(
            self.base + "/auth/token", json={"username": user, "password": f"{user}-pw"}, timeout=PATIENCE_S
        ).text

    def get(self, path: str, user: str | None = None) -> Any:
        answer = self("GET", path, user)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def device(self, user: str | None = "alice", **fields: Any) -> str:
        """A new device with a sensor `t`; gives its id."""
        body = {"id": f"d-{uuid.uuid4().hex[:12]}", "sensors": [{"id": "t"}]} | fields
        answer = self("POST", "/devices", user, json=body)
        assert answer.status_code == 204, answer.text
        return str(body["id"])

    def gateway(self, user: str | None = "alice", **fields: Any) -> str:
        body = {"id": f"g-{uuid.uuid4().hex[:12]}"} | fields
        assert self("POST", "/gateways", user, json=body).status_code == 200
        return str(body["id"])

    def push(
        self, device: str, value: Any, user: str | None = None, sensor: str = "t", **more: Any
    ) -> requests.Response:
        return self("POST", f"/devices/{device}/sensors/{sensor}/value", user, json={"value": value} | more)

    def sensor(self, device: str, sensor: str = "t", user: str | None = None) -> Any:
        return self.get(f"/devices/{device}/sensors/{sensor}", user)

    def rows(self, device: str, query: str = "", user: str | None = None, sensor: str = "t") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get(f"/devices/{device}/sensors/{sensor}/values{query}", user)
        return rows


@contextmanager
def sandbox_api(**settings: Any) -> Iterator[Api]:
    """A running sandbox and a client of it; every person's password is the name and `-pw`."""
    clock = ManualClock()
    known = Settings(users={name: f"{name}-pw" for name in PEOPLE}, **settings)
    with running_sandbox(known, clock=clock) as base:
        api = Api(base, clock)
        with api.session:
            yield api


def assert_error(answer: requests.Response, status: int, beginning: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert "Content-Type" not in answer.headers
    assert answer.text.startswith(beginning) if beginning else answer.text == ""
