"""JSON over HTTP to one server that is not trusted; no policy, no retry.

Bodies are read up to a bound; redirects are not followed, so the token goes to the configured server only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Final, TypeAlias
from urllib.parse import quote

import msgspec
import requests
from msgspec import Struct
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout
from urllib3.util.request import SKIP_HEADER

from lora_post.errors import OutcomeUnknown, SinkError, Unavailable
from lora_post.net.bounded_session import READ_TIMEOUT_S, BoundedSession, cause
from lora_post.net.traffic import Traffic
from lora_post.secret import Secret
from lora_post.text import one_line

CONNECT_TIMEOUT_S = 15.0
MAX_BODY = 1 << 20
ANONYMOUS: Final = ""
"""In place of an Authorization header."""
_HEADERS: Final = {"User-Agent": "lora-post", "Accept-Encoding": SKIP_HEADER}
"""Every header goes out with every value; an encoded answer is refused without the second one too."""
_TIMEOUT: Final = Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)

_BEFORE_SENDING = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


OnDate: TypeAlias = Callable[[str, int], None]
"""(the Date header, µs since the request was begun)"""


class Answer(Struct, frozen=True):
    """What the server said.

    retry_after_s: from its Retry-After header, when that is a number. date: its Date header.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None
    date: str = ""

    @property
    def text(self) -> str:
        """Return the body as one short printable line."""
        return one_line(self.body[:300].decode("utf-8", "replace"), 300) or "(empty)"


class HttpClient:
    """One kept-open connection to one server."""

    def __init__(
        self,
        base_url: str,
        on_date: OnDate | None = None,
        traffic: Traffic | None = None,
        alive: Callable[[], object] = lambda: None,
    ) -> None:
        """base_url: what every path is put behind. on_date: told the Date of each answer of the API.

        traffic: where the bytes are added up; None: in one of its own. alive: called before each request.
        """
        self._alive = alive
        self._on_date = on_date
        self._base = base_url.rstrip("/")
        self._token: Secret | None = None
        self.traffic = traffic or Traffic()
        self._session = BoundedSession(self.traffic)

    def use_token(self, token: Secret | None) -> None:
        """Send this token with every following call; None: anonymous."""
        self._token = token

    def close(self) -> None:
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        authorization: str | None = None,
    ) -> Answer:
        """Make a request; whatever its status, the answer is returned.

        authorization: the header to send in place of the token, see ANONYMOUS.
        Raises `Unavailable` when nothing was sent, and `OutcomeUnknown` when the server may have acted and no
        complete answer came back.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = dict(_HEADERS) if data is None else _HEADERS | {"Content-Type": "application/json"}
        if authorization is None and self._token is not None:
            authorization = f"Bearer {self._token.reveal()}"
        if authorization:
            headers["Authorization"] = authorization
        self._alive()
        began = time.monotonic_ns()
        try:
            with closing(self._session.exchange(method, self._base, path, headers, data, _TIMEOUT)) as response:
                body_read, date = _read(response), response.headers.get("Date", "")
                response.release_conn()
                if self._on_date and date and _is_of_an_api(response):
                    self._on_date(date, (time.monotonic_ns() - began) // 1000)
                return Answer(response.status, body_read, _retry_after(response), date)
        # What requests does not wrap: urllib3's own errors, and http.client's ValueError over a chunk of -5 bytes.
        except (requests.RequestException, HTTPError, ValueError) as error:
            if _nothing_was_sent(error):
                raise Unavailable(cause(error)) from error
            raise OutcomeUnknown(f"no complete answer to {method} {path.partition('?')[0]}: {cause(error)}") from error


def transient(doing: str, answer: Answer) -> SinkError:
    """Return the error for an answer that may be different next time."""
    message = f"{doing}: status {answer.status}: {answer.text}"
    if answer.status in (401, 429) or 300 <= answer.status < 400:
        return Unavailable(message, answer.retry_after_s)
    return OutcomeUnknown(message, answer.retry_after_s)


def quote_part(part: str) -> str:
    """Return one step of a path, whatever is in it."""
    return quote(part, safe="")


def _read(response: BaseHTTPResponse) -> bytes:
    if response.length_remaining == 0:
        return b""
    body = bytearray()
    try:
        for chunk in response.stream(1 << 14):
            body += chunk
            if len(body) > MAX_BODY:
                raise requests.exceptions.ChunkedEncodingError("the answer does not end")
    except (HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
    return bytes(body)


def _is_of_an_api(response: BaseHTTPResponse) -> bool:
    """Return whether it comes from an API, and not from a network's page in the way."""
    return response.status // 100 in (2, 4) and "html" not in response.headers.get("Content-Type", "")


def _retry_after(response: BaseHTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _nothing_was_sent(error: Exception) -> bool:
    """Return whether nothing can have been sent; in doubt, the server may have acted."""
    if isinstance(error, _BEFORE_SENDING):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(reason)
    return isinstance(reason, NewConnectionError)
