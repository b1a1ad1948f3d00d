"""What is sent and to whom, and what an answer means for the readings that were sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest

from lora_post.errors import OutcomeUnknown, SinkError, Unavailable
from lora_post.net.http_client import ANONYMOUS, Answer, HttpClient, transient
from lora_post.secret import Secret
from tests.support.ports import free_port
from tests.support.tls import certificate, tls_server


@contextmanager
def recorder(answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n") -> Iterator[tuple[str, list[list[str]]]]:
    """A server that answers each request like this; gives its address and the lines of the heads it got."""
    heads: list[list[str]] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                while data := client.recv(1 << 16):
                    heads.append(data.partition(b"\r\n\r\n")[0].decode().split("\r\n"))
                    client.sendall(answer)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_request_has_the_token_or_none_and_no_account_of_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with recorder() as (host, heads), closing(HttpClient(f"http://{host}/api/")) as client:
        client.call("GET", "/a?b=c:d")
        client.use_token(Secret("a.b.c"))
        client.call("POST", "/x%2Fy", {"value": 1})
        client.call("PUT", "/z", authorization=ANONYMOUS)
        client.call("DELETE", "/z", authorization="Basic eA==")
    usual = [f"Host: {host}", "User-Agent: lora-post"]
    body = ["Content-Type: application/json", "Content-Length: 11", "Authorization: Bearer a.b.c"]
    assert [(head[0], sorted(head[1:])) for head in heads] == [
        ("GET /api/a?b=c:d HTTP/1.1", usual),
        ("POST /api/x%2Fy HTTP/1.1", sorted(usual + body)),
        ("PUT /api/z HTTP/1.1", sorted([*usual, "Content-Length: 0"])),
        ("DELETE /api/z HTTP/1.1", sorted([*usual, "Authorization: Basic eA=="])),
    ]


def test_proxy_of_the_environment_gets_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder() as (proxy, heads), closing(HttpClient("http://far.example/api")) as client:
        monkeypatch.setenv("http_proxy", f"http://me:word@{proxy}")
        assert [client.call("GET", "/a").status, client.call("GET", "/b").status] == [204, 204]
    assert [head[0] for head in heads] == [
        "GET http://far.example/api/a HTTP/1.1",
        "GET http://far.example/api/b HTTP/1.1",
    ]
    assert all({"Host: far.example", "Proxy-Authorization: Basic bWU6d29yZA=="} <= set(head) for head in heads)


def test_redirect_is_an_answer_and_takes_no_token_anywhere() -> None:
    answer = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    with recorder(answer) as (host, heads), closing(HttpClient(f"http://{host}")) as client:
        client.use_token(Secret("a.b.c"))
        assert client.call("POST", "/x", 1) == Answer(307, b"", 7.0)
    assert len(heads) == 1


def test_what_cannot_have_left_is_not_in_doubt(tmp_path: Path) -> None:
    with tls_server(certificate(tmp_path)) as strange:
        for url, why in (
            (strange, "certificate verify failed"),
            (f"http://127.0.0.1:{free_port()}", "refused"),
            ("http://no-such-host.invalid", "resolve"),
            ("ftp://127.0.0.1", "No connection adapters"),
            ("127.0.0.1", "No scheme"),
        ):
            with closing(HttpClient(url)) as client, pytest.raises(Unavailable, match=why):
                client.call("GET", "/x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(301, Unavailable), (304, Unavailable), (401, Unavailable), (429, Unavailable)]
    + [(status, OutcomeUnknown) for status in (200, 404, 408, 418, 500, 503)],
)
def test_answer_that_may_change_leaves_a_doubt_unless_nothing_was_taken(status: int, kind: type[SinkError]) -> None:
    error = transient("sending d/s", Answer(status, b"busy", 7.0))
    assert type(error) is kind
    assert (str(error), error.retry_after_s) == (f"sending d/s: status {status}: busy", 7.0)
