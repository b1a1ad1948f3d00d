"""The page when many want much of it: nobody's readings wait for that, and it comes back."""

from __future__ import annotations

import errno
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from lora_post.sandbox.server import running_sandbox
from lora_post.status.app import MAX_STREAMS
from lora_post.web.guard import MAX_CONNECTIONS, MAX_HEAD
from tests.support.command import (
    COMMAND,
    PATIENCE_S,
    counting_packet,
    started,
    wait_until,
    write_site,
)
from tests.support.ports import free_port
from tests.support.status_page import get, page

IDLE = 1100


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many sockets that have begun to connect, and say nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 500)), hard))
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in opened:
            each.setblocking(False)
            assert each.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
        yield opened
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def talk(url: str, said: bytes) -> socket.socket:
    """A connection on which this has been said."""
    parts = urlsplit(url)
    peer = socket.create_connection((parts.hostname, parts.port), PATIENCE_S)
    with suppress(OSError):
        peer.sendall(said)
    return peer


def heard(peer: socket.socket) -> bytes:
    """Everything that comes until the other end closes; a closed one is never silent for PATIENCE_S."""
    got = b""
    with suppress(ConnectionError):
        while piece := peer.recv(1 << 16):
            got += piece
    return got


@pytest.mark.parametrize(("descriptors", "of_the_page"), [(256, 32), pytest.param(64, 8, marks=pytest.mark.long)])
def test_readings_are_uploaded_while_1100_idle_connections_want_the_descriptors(
    descriptors: int, of_the_page: int, tmp_path: Path
) -> None:
    api, port = free_port(), free_port()
    site = write_site(tmp_path, f"http://127.0.0.1:{api}/api/v2")
    limited = ("sh", "-c", f'ulimit -n {descriptors} && exec "$0" "$@"', COMMAND)
    with started("run", "-c", str(site), "--status", f"127.0.0.1:{port}", "-q", command=limited) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        wait_until(lambda: is_up(f"http://127.0.0.1:{port}"), "the page is not up")
        of_others = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        with connections(port, IDLE):
            most = 0
            for _ in range(20):
                most = max(most, len(list(Path(f"/proc/{process.pid}/fd").iterdir())))
                time.sleep(0.02)
            with running_sandbox(port=api):
                for number in range(6):
                    process.stdin.write(counting_packet(number))
                process.stdin.close()
                said = process.stderr.read().decode()
                assert process.wait(PATIENCE_S) == 0, said  # everything has been delivered
    assert said.count(f"refusing HTTP connections: there are {of_the_page},") == 1
    assert "Too many open files" not in said
    assert len(said) < 5000
    assert most < of_others + 3 * of_the_page  # also while they are refused


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_request_that_does_not_get_on_is_closed(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with page() as url, ExitStack() as stack:
        with monkeypatch.context() as hasty:
            hasty.setattr("lora_post.web.guard.HEAD_S", 0.3)
            crowd = [stack.enter_context(talk(url, begun)) for _ in range(MAX_CONNECTIONS + 40)]
            assert {heard(each) for each in crowd} == {b""}
        assert get(url + "/healthz").status_code == 200


def test_second_request_of_a_connection_must_get_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with page() as url, talk(url, whole) as peer:
        assert peer.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        monkeypatch.setattr("lora_post.web.guard.HEAD_S", 0.3)
        peer.sendall(whole[:20])
        assert b"HTTP/" not in heard(peer)


def test_head_without_end_is_refused() -> None:
    with page() as url, talk(url, b"GET / HTTP/1.1\r\nX: " + b"y" * (MAX_HEAD + 1)) as peer:
        assert heard(peer)[:13] in (b"HTTP/1.1 400 ", b"")  # b"": what was still to be read broke the connection


@pytest.mark.parametrize(
    "head",
    [
        b"POST /status.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /status/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_body_is_refused_before_it_comes(head: bytes) -> None:
    with page() as url, ExitStack() as stack:
        for peer in [stack.enter_context(talk(url, head)) for _ in range(MAX_CONNECTIONS // 2)]:
            assert heard(peer).startswith(b"HTTP/1.1 413 ")


def test_client_that_takes_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.web.guard.STUCK_S", 0.3)
    ask = b"GET /status/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with page() as url, socket.socket() as peer:
        parts = urlsplit(url)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(PATIENCE_S)
        peer.connect((parts.hostname, parts.port))
        with pytest.raises(ConnectionError):
            while True:
                peer.sendall(ask)


def test_of_streams_that_are_asked_for_at_once_sixteen_are_served() -> None:
    ask = b"GET /status/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    count = MAX_CONNECTIONS - 4
    with page() as url:
        with ExitStack() as stack:
            peers = [stack.enter_context(talk(url, b"")) for _ in range(count)]
            begin = threading.Barrier(count)

            def speak(peer: socket.socket) -> None:
                begin.wait(PATIENCE_S)
                peer.sendall(ask)

            threads = [threading.Thread(target=speak, args=(peer,)) for peer in peers]
            for thread in threads:
                thread.start()
            statuses = [peer.recv(12)[9:] for peer in peers]
            for thread in threads:
                thread.join()
        assert (statuses.count(b"200"), statuses.count(b"503")) == (MAX_STREAMS, count - MAX_STREAMS)
        wait_until(lambda: is_served(url), "no seat was given back")


def is_up(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return get(f"{url}/healthz").status_code == 200
    return False


def is_served(url: str) -> bool:
    with talk(url, b"GET /status/live HTTP/1.1\r\nHost: localhost\r\n\r\n") as peer, suppress(ConnectionError):
        return peer.recv(12).endswith(b" 200")
    return False
