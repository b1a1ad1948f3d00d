"""Ask the status page of a running lora-post over HTTP; its answers are bounded and not trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from lora_post.errors import ConfigError, LoraPostError
from lora_post.net.bounded_session import BoundedSession, Bounds, cause
from lora_post.net.traffic import Traffic
from lora_post.observed.page_model import Page, PageNews
from lora_post.secret import Secret
from lora_post.terminal.events import EventReader, EventTooLong
from lora_post.terminal.page import read_message

CONNECT_TIMEOUT_S: Final = 10.0
# The stream says something every 30 s.
SILENCE_S: Final = 120.0
WHOLE_TIMEOUT_S: Final = 30.0
MAX_WHOLE: Final = 16 << 20
BYTES_PER_S: Final = 2000
"""What the stream may send: it stays inside the machine, or in a tunnel where bytes are cheap."""
_CHUNK: Final = 1 << 14


class NoAnswer(LoraPostError):
    """The page does not answer at the moment; says why, and what to do."""


class StatusClient:
    """One status page. token: None where none is needed."""

    def __init__(self, url: str, token: Secret | None) -> None:
        """Take the address of the page. Raises ConfigError for a text that is not one."""
        self.url = _checked(url)
        self._token = token
        self._whole = self._session(Bounds(WHOLE_TIMEOUT_S, WHOLE_TIMEOUT_S, MAX_WHOLE))
        # A stream has no end; its reader bounds what comes at once.
        self._stream = self._session(Bounds(SILENCE_S, math.inf, math.inf))

    def _session(self, bounds: Bounds) -> BoundedSession:
        session = BoundedSession(Traffic(), bounds)
        # No proxy and no ~/.netrc: the page is on this machine or at the end of a tunnel.
        session.trust_env = False
        session.headers["User-Agent"] = "lora-post"
        if self._token is not None:
            session.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return session

    def close(self) -> None:
        self._whole.close()
        self._stream.close()

    def fetch(self) -> Page:
        """Return the whole page. Raises NoAnswer."""
        with self._asked(self._whole, "/status.json", WHOLE_TIMEOUT_S) as response:
            body = b"".join(response.iter_content(_CHUNK))
        page = read_message(body, Page)
        if page is None:
            raise NoAnswer(f"what answers at {self.url} is not a status page of lora-post", fix="correct the address")
        return page

    def follow(self, version: int) -> Iterator[PageNews]:
        """Yield what has changed since this version, as it happens. Raises NoAnswer when the stream ends."""
        reader = EventReader()
        path = f"/status/live?since={version}&rate={BYTES_PER_S}"
        with self._asked(self._stream, path, SILENCE_S) as response:
            for chunk in response.iter_content(_CHUNK):
                try:
                    events = reader.feed(chunk)
                except EventTooLong:
                    raise NoAnswer("it sends more at once than a status page does") from None
                for data in events:
                    if news := read_message(data, PageNews):
                        yield news
        raise NoAnswer("lora-post has ended, or is being restarted")

    @contextmanager
    def _asked(self, session: BoundedSession, path: str, silence_s: float) -> Iterator[requests.Response]:
        try:
            with session.get(
                self.url + path,
                timeout=(CONNECT_TIMEOUT_S, silence_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code != 200:
                    raise self._refusal(response.status_code)
                yield response
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise _no_answer(error) from error

    def _refusal(self, status: int) -> NoAnswer:
        if status == 403:
            return NoAnswer("the page needs its token", fix="name the configuration (-c) or a file (--token-file)")
        if status == 503:
            return NoAnswer("too many pages are open there", fix="close one")
        what = f"what answers at {self.url} is not a status page of lora-post (status {status})"
        return NoAnswer(what, fix="correct the address")


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username:
        # A token in the address would be shown with it.
        raise ConfigError("--url is not the address of a status page", fix="write http://127.0.0.1:8080")
    return url.rstrip("/")


def _no_answer(error: Exception) -> NoAnswer:
    reason = getattr(error.args[0] if error.args else None, "reason", None) or error
    if "refused" in str(reason):
        return NoAnswer("nothing listens there", fix="is `lora-post run` up, with --status or [status]?")
    if isinstance(error, requests.Timeout):
        return NoAnswer("it takes too long to answer")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return NoAnswer("lora-post has ended, or is being restarted")
    if "does not end" in str(error):
        return NoAnswer("its answer does not end")
    return NoAnswer(cause(error))
