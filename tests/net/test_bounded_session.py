"""The HTTP client against servers that do not keep to HTTP, or to any end."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import msgspec
import pytest

from lora_post.errors import OutcomeUnknown, SinkError
from lora_post.net.http_client import HttpClient
from lora_post.secret import Secret
from lora_post.sinks.waziup.client import Answer, WaziupClient
from tests.support.command import PATIENCE_S


@contextmanager
def raw_server(answer: Iterable[bytes]) -> Iterator[str]:
    """Sends these bytes, piece by piece, to every client that connects, and nothing after them."""

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.recv(1 << 16)
                for piece in answer:
                    client.sendall(piece)
                    if ended.wait(0 if len(piece) > 1 else 0.02):
                        return
                client.shutdown(socket.SHUT_WR)

    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def ask(url: str) -> Answer:
    with closing(WaziupClient(url)) as client:
        client._http.use_token(Secret("a.b.c"))
        return client.get_me()


MEGABYTE = b"x" * (1 << 20)
OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "status line": itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"O")),
    "head": itertools.chain([OK], itertools.cycle([b"X: y\r\n", b"z"])),
    "interim answers": itertools.cycle([b"HTTP/1.1 100 Continue\r\n\r\n", b"H", b"TTP/1.1 100 Continue\r\n\r\n"]),
    "body of known length": itertools.chain([OK + b"Content-Length: 100000\r\n\r\n"], itertools.repeat(b"x")),
    "body without length": itertools.chain([OK + b"\r\n"], itertools.repeat(b"x")),
    "chunk size": itertools.chain([OK + b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"0")),
    "redirect": itertools.chain([b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"], itertools.repeat(b"x")),
}


@pytest.mark.parametrize("where", ENDLESS)
def test_answer_that_drips_is_given_up_at_the_deadline(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.net.bounded_session.ANSWER_DEADLINE_S", 0.3)
    with raw_server(ENDLESS[where]) as url, pytest.raises(OutcomeUnknown, match="no complete answer to GET /users/me"):
        ask(url)


@pytest.mark.parametrize(
    "head",
    [
        OK,
        OK + b"\r\n",
        OK + b"X: ",
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    ],
)
def test_answer_that_floods_is_given_up_after_a_few_megabytes(head: bytes) -> None:
    sent: list[int] = []

    def flood() -> Iterator[bytes]:
        yield head
        while True:
            sent.append(1)
            yield MEGABYTE

    with raw_server(flood()) as url, pytest.raises(OutcomeUnknown):
        ask(url)
    assert len(sent) < 30


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"\0" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 000 x\r\n\r\n",
        b"HTTP/1.1 99999999999999999999 x\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\nabc",
        b"HTTP/1.1 999 \xff\xfe\r\n\r\n",
        OK + b"Content-Length: -5\r\n\r\nabc",
        OK + b"Content-Length: 5, 6\r\n\r\nabc",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        OK + b"Content-Encoding: gzip\r\n\r\nnot gzip",
        OK + b"Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip, gzip\r\n\r\nabc",
        OK + b"Content-Encoding: gzip\r\n\r\n" + 50 * gzip.compress(MEGABYTE),  # members, one behind the other
        OK + b"no colon at all\r\n: empty\r\n\xff: \xff\r\n\r\nabc",
        OK + b"X: y\r\n" * 200 + b"\r\nabc",
        OK + b"X: " + b"y" * 70_000 + b"\r\n\r\nabc",
        OK + b"Retry-After: \xb2\r\nDate: \xff\r\n\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        b"HTTP/1.1 307 Found\r\nLocation: javascript:alert(1)\r\n\r\n",
        OK + b"Set-Cookie: " + b"a=b; expires=" + b"0" * 10_000 + b"\r\n\r\n",
    ],
)
def test_answer_that_is_no_http_is_an_answer_or_an_unknown_outcome(answer: bytes) -> None:
    with raw_server([answer]) as url, contextlib.suppress(SinkError):
        assert isinstance(ask(url), Answer)


def test_head_and_body_of_a_request_leave_together() -> None:
    """One packet and one TLS record less for each request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                heard.append(client.recv(1 << 16))
                client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(WaziupClient(f"http://127.0.0.1:{listener.getsockname()[1]}")) as client:
            assert client.post_values("d", "s", [msgspec.Raw(b'{"value":1}')]).status == 204
        thread.join()
    assert heard[0].endswith(b'\r\n\r\n{"value":1}')


def test_cookies_are_not_kept() -> None:
    with (
        raw_server([OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"]) as url,
        closing(WaziupClient(url)) as client,
    ):
        client.get_me()
        assert not client._http._session.cookies


def test_what_of_a_request_has_not_left_when_it_is_given_up_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was slow to read must not get the rest of it minutes later."""
    monkeypatch.setattr("lora_post.net.http_client.READ_TIMEOUT_S", 0.3)
    monkeypatch.setattr("lora_post.net.bounded_session.READ_TIMEOUT_S", 0.3)
    body = "x" * 60_000
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(OutcomeUnknown):
            client.call("POST", "/", body)
        server, _ = listener.accept()
        got = 0
        with server, pytest.raises(ConnectionResetError):
            while data := server.recv(1 << 16):
                got += len(data)
        assert got < len(body)


def test_connection_that_is_closed_ends_the_wait_of_another_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        raised: list[SinkError] = []

        def wait() -> None:
            try:
                client.call("GET", "/")
            except SinkError as error:
                raised.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        server, _ = listener.accept()
        with server:
            server.recv(1 << 16)
            client.close()
            thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert isinstance(raised[0], OutcomeUnknown)
