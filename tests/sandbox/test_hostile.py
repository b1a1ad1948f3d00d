"""Requests at the same time, and requests that nobody should send: the sandbox goes on answering."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from lora_post.sandbox.faults import Fault, Faults
from lora_post.sandbox.server import running_sandbox
from lora_post.web.guard import MAX_CONNECTIONS
from tests.support.command import PATIENCE_S
from tests.support.sandbox_client import Api, sandbox_api

JSON = {"Content-Type": "application/json"}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    *("id", "name", "value", "timestamp", "sensors", "actuators", "meta", "calib", "location", "latitude", "longitude"),
    *("visibility", "owner", "deployed", "devices", "connected", "last_seen", "date_created", "username", "linear"),
]
BODIES = JSON_VALUES | st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=6)
WORDS = [
    *("devices", "gateways", "sensors", "actuators", "value", "values", "name", "owner", "meta", "calib", "users"),
    *("me", "auth", "token", "permissions", "fuzz-d", "fuzz-g", "t", "a", "sensors_data", "ontologies", "units"),
    *("heartbeat", "location", "visibility", "deployed", "value_type"),
]
SEGMENTS = st.sampled_from(WORDS) | st.text(max_size=6)
PARAMETERS = ["q", "limit", "offset", "sort", "date_from", "date_to", "calibrated", "full", "device_id"]
QUERIES = st.lists(st.tuples(st.sampled_from(PARAMETERS), st.text()))
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]
WRITABLE = [
    ("POST", "/devices"),
    ("POST", "/gateways"),
    ("POST", "/devices/keep-d/sensors"),
    ("POST", "/devices/keep-d/sensors/t/value"),
    ("PUT", "/devices/keep-d/sensors/t/calib"),
    ("POST", "/devices/keep-d/actuators"),
    ("PUT", "/devices/keep-d/actuators/a/value"),
    ("PUT", "/devices/keep-d/meta"),
    ("PUT", "/devices/keep-d/location"),
]
READABLE = ["/devices", "/gateways?full=true", "/sensors_data?device_id=keep-d&limit=0", "/devices/keep-d"]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with sandbox_api() as api:
        yield api


@pytest.fixture(scope="module")
def admin(api: Api) -> dict[str, str]:
    """The admin's header, with two devices to aim at: one may be deleted, `keep-d` never is."""
    for device in ("fuzz-d", "keep-d"):
        api.device("admin", id=device, actuators=[{"id": "a"}])
    api.gateway("admin", id="fuzz-g")
    return {"Authorization": f"Bearer {api.token('admin')}"}


def test_of_simultaneous_creations_one_wins(api: Api) -> None:
    device = f"d-{uuid.uuid4().hex}"

    def create(number: int) -> int:
        return requests.post(
            f"{api.base}/devices", json={"id": device, "name": str(number)}, timeout=PATIENCE_S
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [204] + [422] * 7


def test_simultaneous_batches_are_all_stored(api: Api) -> None:
    device = api.device(sensors=[{"id": f"s{number}"} for number in range(4)])

    def push(number: int) -> int:
        url = f"{api.base}/devices/{device}/sensors/s{number % 4}/values"
        return requests.post(url, json=[{"value": number}] * 10, timeout=PATIENCE_S).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(push, range(24))) == {204}
    for number in range(4):
        rows = api.rows(device, "?limit=0", sensor=f"s{number}")
        assert len(rows) == 60
        assert all(len({row["value"] for row in rows[start : start + 10]}) == 1 for start in range(0, 60, 10))


@given(st.sampled_from(METHODS), st.lists(SEGMENTS, max_size=6), QUERIES, BODIES)
def test_no_request_breaks_the_server(
    api: Api, admin: dict[str, str], method: str, path: list[str], query: list[tuple[str, str]], body: Any
) -> None:
    url = "".join("/" + quote(part, safe="", errors="replace") for part in path)
    parameters = "&".join(f"{name}={quote(text, errors='replace')}" for name, text in query)
    data = json.dumps(body)  # may hold NaN
    answer = api(method, f"{url}?{parameters}", data=data, headers=admin | JSON)
    assert 200 <= answer.status_code < 500, answer.text


@given(st.sampled_from(WRITABLE), BODIES)
def test_no_body_breaks_what_is_read_afterwards(
    api: Api, admin: dict[str, str], where: tuple[str, str], body: Any
) -> None:
    method, path = where
    with_id = {"id": "fuzz-x", **body} if isinstance(body, dict) else body
    for content in (body, with_id):
        answer = api(method, path, data=json.dumps(content), headers=admin | JSON)
        assert 200 <= answer.status_code < 500, answer.text
    for readable in READABLE:
        assert api("GET", readable, headers=admin).status_code == 200
    overview = api.base.removesuffix("/api/v2") + "/sandbox/overview.json"
    assert api.session.get(overview, timeout=PATIENCE_S).status_code == 200


@pytest.mark.parametrize("depth", [99, 101, 300, 480, 700, 900, 990, 5000])
@pytest.mark.parametrize("where", ["value", "meta", "devices"])
def test_deep_nesting_is_refused_and_breaks_nothing(api: Api, where: str, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    name = uuid.uuid4().hex
    targets = {
        "value": (f"/devices/{api.device()}/sensors/t/value", f'{{"value":{nested}}}'),
        "meta": ("/devices", f'{{"id":"{name}","meta":{nested}}}'),
        "devices": ("/gateways", f'{{"id":"{name}","devices":[{{"id":"x","meta":{nested}}}]}}'),
    }
    path, body = targets[where]
    answer = api("POST", path, data=body, headers=JSON)
    assert answer.status_code in ((400,) if depth > 99 else (200, 204, 400)), answer.text
    assert api("GET", "/devices").status_code == api("GET", "/gateways").status_code == 200


class NoFaults:
    def choose(self, request: str) -> Fault | None:
        return None


@pytest.mark.parametrize("faults", [None, NoFaults()])
def test_connections_that_say_nothing_are_not_too_many(faults: Faults | None) -> None:
    with running_sandbox(faults=faults) as url, ExitStack() as stack:
        parts = urlsplit(url)
        for _ in range(MAX_CONNECTIONS + 1):
            peer = stack.enter_context(socket.create_connection((parts.hostname, parts.port), PATIENCE_S))
        assert peer.recv(1) == b""  # the last one is refused at once
