"""What is taken for a token, and what a login that fails leaves behind."""

from __future__ import annotations

import pytest

from lora_post.errors import Unavailable
from lora_post.net.http_client import HttpClient
from lora_post.secret import Account, Secret
from lora_post.sinks.token_login import WRONG_PASSWORD_WAIT_S, fetch_token, token_in
from lora_post.sinks.waziup.client import read_claims
from tests.support.waziup import Fault, Waziup, waziup

GOOD = "a.eyJleHAiOiAxfQ.b"


@pytest.mark.parametrize("body", [GOOD, f'"{GOOD}"', f'"{GOOD}"\n'])
def test_token_comes_bare_or_as_a_json_string(body: str) -> None:
    assert token_in(body.encode()) == Secret(GOOD)


@pytest.mark.parametrize("body", ["", "..", "a.b", "a.é.b", f"{GOOD}\r\nX: y", f"{GOOD} c", "<html>"])
def test_text_that_is_no_token_gets_into_no_header(body: str) -> None:
    assert token_in(body.encode()) is None


@pytest.mark.parametrize("token", ["a", "a.e30.b", "a.eyJleHAiOiAibm93In0.b", "a." + "W1tb" * 10_000 + ".b", "a..b"])
def test_token_that_does_not_say_until_when_it_is_good_has_no_claims(token: str) -> None:
    assert read_claims(token) is None
    assert read_claims(GOOD) is not None


def fetch(server: Waziup, password: str = "demo") -> Secret:
    return fetch_token(HttpClient(server.url), Account("demo", Secret(password)), "Waziup", "[waziup]")


@pytest.mark.parametrize(
    ("status", "body", "what", "fix"),
    [
        (401, b"no", "Waziup refuses user 'demo' or the password (no)", "correct [waziup] username and password"),
        (404, b"", "login: there is no Waziup API at this address", "correct [waziup] url"),
        (503, b"busy", "login: status 503: busy", ""),
        (200, b"<html>", "the login gives no token (status 200)", "is [waziup] url right?"),
    ],
)
def test_login_that_fails_is_said_and_leaves_no_reading_in_doubt(status: int, body: bytes, what: str, fix: str) -> None:
    with waziup() as server:
        server.days.faults.append(Fault("^POST /auth/token$", status, body=body))
        with pytest.raises(Unavailable) as caught:
            fetch(server)
    assert (caught.value.what, caught.value.fix) == (what, fix)
    assert (caught.value.retry_after_s == WRONG_PASSWORD_WAIT_S) == (status == 401)


def test_login_without_an_answer_leaves_no_reading_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.net.http_client.READ_TIMEOUT_S", 0.2)
    with waziup() as server:
        server.days.hanging = "^POST /auth/token$"
        with pytest.raises(Unavailable):
            fetch(server)


@pytest.mark.parametrize("status", [400, 401, 500])
def test_password_that_comes_back_is_taken_out(status: int) -> None:
    with waziup() as server:
        server.days.faults.append(Fault("^POST /auth/token$", status, body=b'cannot read {"password":"open-sesame"}'))
        with pytest.raises(Unavailable, match="cannot read") as caught:
            fetch(server, "open-sesame")
    assert "sesame" not in str(caught.value)
