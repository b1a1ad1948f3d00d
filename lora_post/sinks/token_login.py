"""Log in at Waziup Cloud or a WaziGate: a password for a token (JWT).

Source: Waziup/wazicloud-api: src/Waziup/Auth.hs; Waziup/wazigate-edge: api/auth.go.
"""

from __future__ import annotations

import re

import msgspec

from lora_post.errors import OutcomeUnknown, Unavailable
from lora_post.net.http_client import ANONYMOUS, Answer, HttpClient
from lora_post.secret import Account, Secret

WRONG_PASSWORD_WAIT_S = 300.0

# RFC 7519, section 3; nothing else may get into a header.
_is_jwt = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII).fullmatch


def fetch_token(http: HttpClient, account: Account, server: str, table: str) -> Secret:
    """Log in and return the token. Raises Unavailable, with what to do about it.

    server: what it is called in messages. table: where the account is configured.
    """
    try:
        answer = _post(http, account)
    except OutcomeUnknown as error:  # no reading is in doubt over a login
        raise Unavailable(error.what, fix=error.fix) from error
    if answer.status in (400, 401, 403):
        raise Unavailable(
            f"{server} refuses user {account.username!r} or the password ({answer.text})",
            WRONG_PASSWORD_WAIT_S,
            fix=f"correct {table} username and password",
        )
    if answer.status in (404, 405):
        raise Unavailable(f"login: there is no {server} API at this address", fix=f"correct {table} url")
    if not 200 <= answer.status < 300:
        raise Unavailable(f"login: status {answer.status}: {answer.text}", answer.retry_after_s)
    token = token_in(answer.body)
    if token is None:
        raise Unavailable(f"the login gives no token (status {answer.status})", fix=f"is {table} url right?")
    return token


def token_in(body: bytes) -> Secret | None:
    """Return the token in an answer, bare or as a JSON string; None for anything else."""
    text = body.decode("ascii", "replace").strip().strip('"')
    return Secret(text) if _is_jwt(text) else None


def _post(http: HttpClient, account: Account) -> Answer:
    """POST /auth/token: 200 with the token. A password that comes back is taken out."""
    password = account.password.reveal()
    answer = http.call("POST", "/auth/token", {"username": account.username, "password": password}, ANONYMOUS)
    shown = answer.body.replace(password.encode(), b"(password)")
    return answer if answer.status == 200 else msgspec.structs.replace(answer, body=shown)
