"""A `requests` session for a server that is not trusted: answers are bounded.

The head and the body of an answer share one budget. Encoded answers are refused, as none is asked for: one
kilobyte of `gzip, gzip` becomes a gigabyte. Cookies are not kept, and redirects not looked at: `requests`
reads the whole body of one even when it is not to follow it.

A connection that is given up is reset, also by the kernel after a kill: what of a request has not left this machine
by then never does. Otherwise the kernel goes on sending it for another 100 s (Linux: tcp_orphan_retries), and a
server gets it long after everybody has given it up.
"""

from __future__ import annotations

import io
import re
import socket as sockets
import struct
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from socket import socket
from typing import Any, Final
from weakref import WeakSet

import requests
from msgspec import Struct
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry, Timeout

from lora_post.net.bounded_reader import BoundedReader, Budget
from lora_post.net.traffic import Traffic
from lora_post.text import one_line

READ_TIMEOUT_S = 60.0
# A batch of 100 makes the server open 100 broker connections; a whole answer gets this long.
ANSWER_DEADLINE_S = 120.0
MAX_ANSWER = 2 << 20  # head and body, as they come over the wire
_ONCE: Final = Retry(0, read=False)
_RESET_AT_CLOSE: Final = (sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))


class Bounds(Struct, frozen=True):
    """What an answer may cost: seconds without a byte, seconds in all, bytes of head and body."""

    silence_s: float
    total_s: float
    max_bytes: float


class EncodedAnswer(HTTPException):
    """An answer in an encoding, as gzip, that was not asked for."""


class _Way(Struct, frozen=True):
    """The connections to a server, and what stands before each path: all of the address where a proxy wants it."""

    pool: HTTPConnectionPool
    prefix: str


class BoundedSession(requests.Session):
    """A session for one server, without cookies, redirects and encodings, whose answers end."""

    def __init__(self, traffic: Traffic, bounds: Bounds | None = None) -> None:
        """bounds None: the usual ones."""
        super().__init__()
        self._settings: Any = None
        self.headers.clear()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._open: WeakSet[socket] = WeakSet()
        self._ways: dict[str, _Way] = {}
        pools = _pools(traffic, bounds, self._open)
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

    def exchange(
        self, method: str, base: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: Timeout
    ) -> BaseHTTPResponse:
        """Make a request straight on the connections that this session has to a server; return the answer, unread.

        What `requests` does around it takes longer than the request: its URL, its checks, its objects. Proxies,
        certificates, bounds and bytes are the session's. base: of one server. path: quoted. headers: all of them,
        those of the session do not count. Raises what `requests` does.
        """
        way = self._ways.get(base) or self._find_way(base)
        try:
            return way.pool.urlopen(
                method,
                way.prefix + path,
                body,
                headers,
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError) as error:
            raise _as_requests_says(error) from error

    def _find_way(self, base: str) -> _Way:
        """Return the connections to a server, chosen as `requests` does. Raises what it does for a strange address."""
        request = requests.PreparedRequest()
        request.prepare_url(base, None)
        address = request.url or ""
        settings = self.merge_environment_settings(address, {}, True, None, None)
        proxies, verify, cert = settings["proxies"], settings["verify"], settings["cert"]
        adapter = self.get_adapter(address)
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 - as mounted
        pool = adapter.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        assert isinstance(pool, HTTPConnectionPool)  # noqa: S101 - of one of `_pools`
        adapter.cert_verify(pool, address, verify, cert)  # type: ignore[no-untyped-call]
        prefix = adapter.request_url(request, proxies).rstrip("/")
        way = self._ways[base] = _Way(pool, prefix)
        return way

    def close(self) -> None:
        """End the connections, also one that another thread waits at: it gets an error at once."""
        for each in list(self._open):
            with suppress(OSError):
                socket.shutdown(each, sockets.SHUT_RDWR)  # not TLS's, which would disturb the thread that reads
        self._ways.clear()
        super().close()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _CountedReader(BoundedReader):
    """A bounded reader whose bytes are added to the traffic."""

    def __init__(self, raw: io.RawIOBase, sock: socket, budget: Budget, traffic: Traffic) -> None:
        super().__init__(raw, sock, budget)
        self._traffic = traffic

    def close(self) -> None:
        self._traffic.look_at(self._sock)
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


def _as_requests_says(error: HTTPError | OSError) -> requests.RequestException:
    """Return the exception of `requests` for an error of urllib3, see requests.adapters.HTTPAdapter.send."""
    reason = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(reason, ConnectTimeoutError) and not isinstance(reason, NewConnectionError):
        return requests.exceptions.ConnectTimeout(error)
    if isinstance(reason, ProxyError):
        return requests.exceptions.ProxyError(error)
    if isinstance(reason, SSLError):
        return requests.exceptions.SSLError(error)
    if isinstance(reason, ReadTimeoutError):
        return requests.exceptions.ReadTimeout(error)
    if isinstance(error, (MaxRetryError, ProtocolError, ClosedPoolError, OSError)):
        return requests.exceptions.ConnectionError(error)
    return requests.RequestException(error)


def cause(error: BaseException) -> str:
    """Return the innermost reason in one line, without the names of the library's own objects."""
    wrapped = error.args[0] if error.args else None
    for inner in getattr(wrapped, "args", ()):
        if isinstance(inner, EncodedAnswer):
            return str(inner)
    reason = getattr(wrapped, "reason", None) or error
    return re.sub(r"^\S*(Connection|Pool)\S*\(.*?\): |\[Errno -?[0-9]+\] ", "", str(reason))


def _pools(traffic: Traffic, bounds: Bounds | None, opened: WeakSet[socket]) -> dict[str, type[HTTPConnectionPool]]:
    """Return the usual kinds of connections, but bounded by a `BoundedReader`, counted, and put into `opened`."""

    class Response(HTTPResponse):
        def __init__(self, sock: socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            limits = bounds or Bounds(READ_TIMEOUT_S, ANSWER_DEADLINE_S, MAX_ANSWER)
            budget = Budget(limits.silence_s, limits.total_s, limits.max_bytes)
            self.fp = io.BufferedReader(_CountedReader(self.fp.detach(), sock, budget, traffic))

        def begin(self) -> None:
            super().begin()
            encoding = ", ".join(self.headers.get_all("Content-Encoding", [])).strip()
            if encoding.lower() not in ("", "identity"):
                raise EncodedAnswer(f"the answer is encoded ({one_line(encoding, 40)}), which nobody asked for")

    class Connection(_InOnePiece, HTTPConnection):
        response_class = Response

        def connect(self) -> None:
            super().connect()
            opened.add(self.sock)

        def close(self) -> None:
            if self.sock:
                traffic.look_at(self.sock)
            super().close()

    class SecureConnection(_InOnePiece, HTTPSConnection):
        response_class = Response

        def connect(self) -> None:
            super().connect()
            opened.add(self.sock)

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
        super().init_poolmanager(*args, socket_options=_socket_options(), **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, socket_options=_socket_options(), **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _socket_options() -> list[tuple[int, int, int | bytes]]:
    return [*HTTPConnection.default_socket_options, _RESET_AT_CLOSE]
