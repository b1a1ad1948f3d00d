from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.faults import KINDS, Fault, RandomFaults, read_rates
from lora_post.sandbox.server import running_sandbox
from tests.support.command import PATIENCE_S, wait_until
from tests.support.in_process import lora_post

DEVICE = {"id": "pond-7", "visibility": "public"}


class Next:
    """The faults of the next requests, in order."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def choose(self, request: str) -> Fault | None:
        return self.faults.pop(0) if self.faults else None


@contextmanager
def sandbox() -> Iterator[tuple[str, Next]]:
    coming = Next()
    with running_sandbox(Settings(users={"demo": "demo"}), faults=coming) as url:
        yield url, coming


def fault(spec: str) -> Fault:
    ((found, _),) = read_rates(spec)
    return found


def has_device(url: str) -> bool:
    return requests.get(f"{url}/devices/pond-7", timeout=PATIENCE_S).status_code == 200


@pytest.mark.parametrize(
    ("spec", "is_done"),
    [
        ("drop", False),
        ("drop-after", True),
        ("garbage", True),
        ("truncated", True),
        ("late=0.01", True),
        ("stall=0.01", False),
        ("refuse=0.2", False),
    ],
)
def test_answer_does_not_come(spec: str, is_done: bool) -> None:
    with sandbox() as (url, coming):
        coming.faults.append(fault(spec))
        with pytest.raises(requests.RequestException):
            assert not requests.post(f"{url}/devices", json=DEVICE, timeout=PATIENCE_S).content
        wait_until(lambda: is_open(url), "the door stays shut")
        wait_until(lambda: has_device(url) is is_done, "it was done, or was not, against its word")


@pytest.mark.parametrize(
    ("spec", "status", "retry_after", "is_done"),
    [
        ("500", 500, None, False),
        ("500-after", 500, None, True),
        ("502", 502, None, False),
        ("502-after", 502, None, True),
        ("504-late=0.01", 504, None, True),
        ("503=7", 503, "7", False),
        ("429=30", 429, "30", False),
        ("401", 401, None, False),
        ("html", 200, None, False),
        ("delay=0.01", 204, None, True),
        ("slow=100000", 204, None, True),
    ],
)
def test_another_answer_comes(spec: str, status: int, retry_after: str | None, is_done: bool) -> None:
    with sandbox() as (url, coming):
        coming.faults.append(fault(spec))
        answer = requests.post(f"{url}/devices", json=DEVICE, timeout=PATIENCE_S)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
        wait_until(lambda: has_device(url) is is_done, "it was done, or was not, against its word")


def test_every_kind_of_fault_is_tried_here() -> None:
    tried = {
        test.args[1][index][0].partition("=")[0]
        for function in (test_answer_does_not_come, test_another_answer_comes)
        for test in function.pytestmark  # type: ignore[attr-defined]
        for index in range(len(test.args[1]))
    }
    assert tried | {"guest"} == {kind.name for kind in KINDS}


@pytest.mark.parametrize("spec", ["delay=0.3", "late=0.3"])
def test_server_goes_on_when_the_client_has_left(spec: str) -> None:
    with sandbox() as (url, coming):
        coming.faults.append(fault(spec))
        with pytest.raises(requests.RequestException):
            requests.post(f"{url}/devices", json=DEVICE, timeout=(PATIENCE_S, 0.1))
        wait_until(lambda: has_device(url), "it never did")


def test_token_that_is_not_believed_makes_a_guest() -> None:
    with sandbox() as (url, coming):
        login = {"username": "demo", "password": "demo"}
        token = requests.post(f"{url}/auth/token", json=login, timeout=PATIENCE_S).text
        coming.faults.append(fault("guest"))
        names = [
            requests.get(f"{url}/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S).json()[
                "username"
            ]
            for _ in range(2)
        ]
        assert names == ["guest", "demo"]


def test_no_connection_is_taken_while_the_door_is_shut() -> None:
    with sandbox() as (url, coming):
        coming.faults.append(fault("refuse=0.5"))
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/users/me", timeout=PATIENCE_S)
        assert not is_open(url)
        wait_until(lambda: is_open(url), "the door stays shut")


def is_open(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_S).close()
    except ConnectionRefusedError:
        return False
    return True


def test_same_seed_gives_the_same_faults() -> None:
    requests_ = ["POST /auth/token", *["POST /devices/a/sensors/t/values"] * 500]

    def kinds(seed: int) -> list[str]:
        faults = RandomFaults(read_rates("random"), seed)
        return [found.kind if (found := faults.choose(line)) else "" for line in requests_]

    assert kinds(1) == kinds(1) != kinds(2)
    assert set(kinds(1)) == {kind.name for kind in KINDS} | {""}


def test_share_of_faults_is_the_one_that_was_asked_for() -> None:
    faults = RandomFaults(read_rates("500@20,drop@10"), 1)
    for _ in range(10_000):
        faults.choose("GET /devices")
    assert 1800 < faults.counts["500"] < 2200
    assert 850 < faults.counts["drop"] < 1150


def test_login_is_never_told_that_the_password_is_wrong() -> None:
    faults = RandomFaults(read_rates("401@100"), 1)
    assert faults.choose("POST /auth/token") is None
    assert faults.choose("GET /devices") is not None


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("earthquake", "there is no fault 'earthquake'; there are random, drop, "),
        ("500@x", "'500@x' is not understood; write KIND, KIND=N"),
        ("", "'' is not understood"),
        ("drop=3", "drop takes no number"),
        ("slow=0", "at least 1 byte a second"),
        ("drop@60,500@60", "add up to 120; want at most 100"),
    ],
)
def test_mistake_in_the_faults_is_explained(spec: str, complaint: str) -> None:
    ran = lora_post("sandbox", "--faults", spec)
    assert ran.code == 2
    assert complaint in " ".join(ran.err.split())


def test_help_lists_every_kind_of_fault() -> None:
    text = lora_post("sandbox", "--help").out
    for kind in KINDS:
        assert kind.explains in " ".join(text.split())
