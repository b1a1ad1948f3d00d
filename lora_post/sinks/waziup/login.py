"""Who we are on a Waziup server: the login, renewed in time, and calls made as that user.

Source: Waziup/wazicloud-api: src/Waziup/Auth.hs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from lora_post.errors import OutcomeUnknown, SinkError, Unavailable
from lora_post.net.http_client import Answer
from lora_post.secret import Secret
from lora_post.sinks.waziup.client import WaziupClient, read_login

RENEW_BEFORE_S = 90.0
WRONG_PASSWORD_WAIT_S = 300.0


class Account(Struct, frozen=True):
    """Credentials."""

    username: str
    password: Secret


class Identity:
    """The user as whom a client speaks; account None: nobody in particular.

    owner: the name under which the server knows us, "" before the first login.
    """

    def __init__(self, client: WaziupClient, account: Account | None) -> None:
        self._client = client
        self.account = account
        self.owner = ""
        self._renew_at = 0.0

    def renew(self) -> None:
        """Renew the token before it runs out: an expired one is not refused but makes us `guest`."""
        if self.account is None or time.monotonic() < self._renew_at:
            return
        asked_at = time.monotonic()
        answer = self._client.fetch_token(self.account.username, self.account.password)
        if answer.status in (400, 401):
            raise Unavailable(
                f"Waziup refuses user {self.account.username!r} or the password ({answer.text})",
                WRONG_PASSWORD_WAIT_S,
                fix="correct [waziup] username and password",
            )
        if not 200 <= answer.status < 300:
            raise transient("login", answer)
        login = read_login(answer)
        if login is None:
            raise Unavailable("login: the server answers with no token", fix="is [waziup] url the API's address?")
        self._client.use_token(login.token)
        claims = login.claims
        self.owner = claims.preferred_username or self.account.username
        # Only the lifetime counts: this machine's clock may be wrong.
        lifetime = max(claims.exp - claims.iat, 0.0) if claims.iat else 600.0
        self._renew_at = asked_at + lifetime - min(RENEW_BEFORE_S, lifetime / 3)

    def as_us(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        """Make a call, once more with a fresh token when it is refused: an old one may have made us `guest`."""
        answer = call(*arguments)
        if answer.status in (401, 403) and self.account is not None:
            self._renew_at = 0.0
            self.renew()
            answer = call(*arguments)
        return answer


def transient(doing: str, answer: Answer) -> SinkError:
    """The error for an answer that may be different next time."""
    if answer.status == 404 and not answer.body:
        return Unavailable(f"{doing}: there is no Waziup API at this address", fix="correct [waziup] url")
    message = f"{doing}: status {answer.status}: {answer.text}"
    if answer.status in (429, 401, 301, 302, 303, 307, 308):
        return Unavailable(message, answer.retry_after_s)
    return OutcomeUnknown(message, answer.retry_after_s)
