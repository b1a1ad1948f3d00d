"""JSON over HTTP to one server that is not trusted; no policy, no retry.

Bodies are read up to a bound; redirects are not followed, so the token goes to the configured server only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import quote

import msgspec
import requests
from msgspec import Struct
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.util.request import SKIP_HEADER

from lora_post.errors import OutcomeUnknown, SinkError, Unavailable
from lora_post.net.bounded_session import READ_TIMEOUT_S, BoundedSession, cause
from lora_post.net.traffic import Traffic
from lora_post.secret import Secret
from lora_post.text import one_line

CONNECT_TIMEOUT_S = 15.0
MAX_BODY = 1 << 20

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
        # Every header goes out with every value; an encoded answer is refused without this one too.
        self._session.headers.update({"User-Agent": "lora-post", "Accept-Encoding": SKIP_HEADER})

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
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None,
    ) -> Answer:
        """Make a request; whatever its status, the answer is returned.

        Raises `Unavailable` when nothing was sent, and `OutcomeUnknown` when the server may have acted and no
        complete answer came back.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        self._alive()
        began = time.monotonic_ns()
        try:
            # An `auth` callable also keeps requests from putting ~/.netrc in the token's place.
            with self._session.request(
                method,
                self._base + path,
                data=data,
                headers=headers,
                auth=auth or self._authorise,
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
                stream=True,
            ) as response:
                body_read, date = _read(response), response.headers.get("Date", "")
                if self._on_date and date and _is_of_an_api(response):
                    self._on_date(date, (time.monotonic_ns() - began) // 1000)
                return Answer(response.status_code, body_read, _retry_after(response), date)
        # What requests does not wrap: urllib3's own errors, and http.client's ValueError over a chunk of -5 bytes.
        except (requests.RequestException, HTTPError, ValueError) as error:
            if _nothing_was_sent(error):
                raise Unavailable(cause(error)) from error
            raise OutcomeUnknown(f"no complete answer to {method} {path.partition('?')[0]}: {cause(error)}") from error

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


def transient(doing: str, answer: Answer) -> SinkError:
    """Return the error for an answer that may be different next time."""
    message = f"{doing}: status {answer.status}: {answer.text}"
    if answer.status in (401, 429) or 300 <= answer.status < 400:
        return Unavailable(message, answer.retry_after_s)
    return OutcomeUnknown(message, answer.retry_after_s)


def anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the Authorization header out."""
    return request


def quote_part(part: str) -> str:
    """Return one step of a path, whatever is in it."""
    return quote(part, safe="")


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(1 << 14):
        body += chunk
        if len(body) > MAX_BODY:
            raise requests.exceptions.ChunkedEncodingError("the answer does not end")
    return bytes(body)


def _is_of_an_api(response: requests.Response) -> bool:
    """Return whether it comes from an API, and not from a network's page in the way."""
    return response.status_code // 100 in (2, 4) and "html" not in response.headers.get("Content-Type", "")


def _retry_after(response: requests.Response) -> float | None:
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
