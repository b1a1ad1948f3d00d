"""A `requests` session for a server that is not trusted: answers are bounded.

The read time-out of an HTTP library begins anew with every byte, so a server that sends one byte a
minute holds its client for days; here the head and the body of an answer share one deadline. Cookies
are not kept, and redirects not looked at: `requests` reads the whole body of one even when it is not
to follow it.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from socket import socket
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lora_post.net.traffic import Traffic

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_TIMEOUT_S = 60.0
# A batch of 100 makes the server open 100 broker connections; a whole answer gets this long.
ANSWER_DEADLINE_S = 120.0
MAX_ANSWER = 2 << 20  # head and body, as they come over the wire


class BoundedSession(requests.Session):
    """A session for one server, without cookies and redirects, whose answers end."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self._settings: Any = None
        self.headers.clear()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        pools = _pools(traffic)
        self.mount("http://", _Adapter(pools))
        self.mount("https://", _Adapter(pools))

    def merge_environment_settings(self, url: Any, *options: Any) -> Any:
        """Look proxies and certificates up in the environment once: it takes as long as a request."""
        if self._settings is None:
            self._settings = super().merge_environment_settings(url, *options)
        return self._settings

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Return a request with this session's headers, and without cookies."""
        prepared = requests.PreparedRequest()
        prepared.prepare_method(request.method)
        prepared.prepare_url(request.url or "", None)
        prepared.prepare_headers({**self.headers, **request.headers})
        prepared.prepare_body(request.data, None, request.json)
        prepared.prepare_auth(request.auth, request.url or "")
        return prepared

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _BoundedReader(io.RawIOBase):
    """The reading end of a socket, until the time or the bytes of one answer are used up."""

    def __init__(self, raw: io.RawIOBase, sock: socket, traffic: Traffic) -> None:
        self._raw = raw
        self._sock = sock
        self._traffic = traffic
        self._deadline = time.monotonic() + ANSWER_DEADLINE_S
        self._left = MAX_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0 or self._left <= 0:
            raise TimeoutError("the answer does not end")
        self._sock.settimeout(min(READ_TIMEOUT_S, left_s))
        size: int | None = self._raw.readinto(buffer)
        self._left -= size or 0
        return size

    def close(self) -> None:
        self._traffic.look_at(self._sock)
        self._raw.close()
        super().close()


class _InOnePiece:
    """Sends a request as one packet and one TLS record if it fits, not head and body apart."""

    _pieces: list[Any] | None = None

    def request(self, *what: Any, **options: Any) -> None:
        pieces: list[Any] = []
        self._pieces = pieces
        try:
            super().request(*what, **options)  # type: ignore[misc]
        finally:
            self._pieces = None
        self.send(b"".join(pieces))

    def send(self, data: Any) -> None:
        if self._pieces is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._pieces.append(data)


def _pools(traffic: Traffic) -> dict[str, type[HTTPConnectionPool]]:
    """Return the usual kinds of connections, but bounded by a `_BoundedReader`, and counted."""

    class Response(HTTPResponse):
        def __init__(self, sock: socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, traffic))

    class Connection(_InOnePiece, HTTPConnection):
        response_class = Response

        def close(self) -> None:
            if self.sock:
                traffic.look_at(self.sock)
            super().close()

    class SecureConnection(_InOnePiece, HTTPSConnection):
        response_class = Response

        def close(self) -> None:
            if self.sock:
                traffic.look_at(self.sock)
            super().close()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    def __init__(self, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        self._pools = pools
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager
