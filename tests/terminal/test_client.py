"""Asking what is a status page, and what is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

import pytest

from lora_post.errors import ConfigError
from lora_post.secret import Secret
from lora_post.terminal.client import NoAnswer, StatusClient
from tests.support.status_page import TOKEN, page


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Says this to whoever connects, until the block ends."""

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(4096)
                peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is not a status page"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"v":1}', "is not a status page"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "lora-post has ended, or is being restarted"),
        (b"SSH-2.0-x\r\n", "BadStatusLine"),
    ],
)
def test_what_is_no_status_page_is_said_to_be_none(answer: bytes, says: str) -> None:
    with raw_server(answer) as url, closing(StatusClient(url, None)) as client, pytest.raises(NoAnswer) as error:
        client.fetch()
    assert says in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "ftp://x", "http://", "http://[::1", "http://x:port", "http://x/?token=y", "http://a@b"],
)
def test_address_that_is_none_is_a_clear_mistake(url: str) -> None:
    with pytest.raises(ConfigError, match=r"write http://127\.0\.0\.1:8080"):
        StatusClient(url, None)


def test_token_opens_the_page() -> None:
    with page(token=TOKEN) as url:
        with closing(StatusClient(url, Secret(TOKEN))) as client:
            assert client.fetch().state.gateway == "Farm"
        with closing(StatusClient(url, None)) as client, pytest.raises(NoAnswer, match="needs its token"):
            client.fetch()
