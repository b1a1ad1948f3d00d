"""Every client of lora-post against answers that grow, never end, or are encoded."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache

import pytest

from lora_post.alerts.outbox import Digest
from lora_post.alerts.senders import Email, Webhook
from lora_post.config.alerts import EmailConfig, WebhookConfig
from lora_post.errors import LoraPostError, OutcomeUnknown, Unavailable
from lora_post.net.http_client import HttpClient
from lora_post.terminal.client import NoAnswer, StatusClient
from tests.support.alerts import RAISED, webhook
from tests.support.raw_server import raw_peer

MAX_GROWTH = 20 << 20
"""A few buffers of what an answer may have; no client needs more."""
OK = b"HTTP/1.1 200 OK\r\n"


def tell_webhook(port: int) -> None:
    Webhook(WebhookConfig(f"http://127.0.0.1:{port}/hook/5ec2e7", None)).send("Farm", Digest((RAISED,), (), ()))


def tell_by_mail(port: int) -> None:
    Email(EmailConfig("a@b", "a@b", "127.0.0.1", port, False, "", None)).send("Farm", Digest((RAISED,), (), ()))


def tell_by_encrypted_mail(port: int) -> None:
    Email(EmailConfig("a@b", "a@b", "127.0.0.1", port, True, "", None)).send("Farm", Digest((RAISED,), (), ()))


def call(port: int) -> None:
    with closing(HttpClient(f"http://127.0.0.1:{port}")) as client:
        client.call("GET", "/x")


def fetch(port: int) -> None:
    with closing(StatusClient(f"http://127.0.0.1:{port}", None)) as client:
        client.fetch()


def follow(port: int) -> None:
    with closing(StatusClient(f"http://127.0.0.1:{port}", None)) as client:
        for _ in client.follow(0):
            pass


HTTP_CLIENTS: dict[str, Callable[[int], None]] = {
    "webhook": tell_webhook,
    "destinations": call,
    "watch": fetch,
    "watch, its stream": follow,
}


@cache
def packed_zeroes() -> bytes:
    """A hundred megabytes of zeroes in less than a kilobyte."""
    return gzip.compress(gzip.compress(bytes(100 << 20)))


def growth(doing: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        doing()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("client", HTTP_CLIENTS)
@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "identity, gzip"])
def test_encoded_answer_is_refused_and_not_unpacked(client: str, encoding: str) -> None:
    body = packed_zeroes()

    def answer() -> Iterable[bytes]:
        return [OK + f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body]

    def ask() -> None:
        with raw_peer(answer, hears_first=True) as (port, _), pytest.raises(LoraPostError) as caught:
            HTTP_CLIENTS[client](port)
        assert f"the answer is encoded ({encoding}), which nobody asked for" in str(caught.value)
        assert "5ec2e7" not in str(caught.value)

    assert growth(ask) < MAX_GROWTH


@pytest.mark.parametrize("client", HTTP_CLIENTS)
@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        OK + b"Content-Length: 50\r\n\r\nabc",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_answer_that_breaks_the_rules_is_an_error_like_others(client: str, answer: bytes) -> None:
    with (
        raw_peer(lambda: [answer], hears_first=True) as (port, _),
        pytest.raises((OutcomeUnknown, Unavailable, NoAnswer)),
    ):
        HTTP_CLIENTS[client](port)


@pytest.mark.parametrize("client", HTTP_CLIENTS)
def test_flood_is_given_up(client: str) -> None:
    def answer() -> Iterable[bytes]:
        return itertools.chain([OK + b"\r\n"], itertools.repeat(b"x" * (1 << 20)))

    def ask() -> None:
        with raw_peer(answer, hears_first=True) as (port, sent), pytest.raises(LoraPostError):
            HTTP_CLIENTS[client](port)
        assert sent[0] < 64 << 20

    assert growth(ask) < 64 << 20


@pytest.mark.parametrize("status", [b"204 No Content", b"200 OK", b"201 Created"])
def test_webhook_took_the_digest_when_it_says_so(status: bytes) -> None:
    with raw_peer(lambda: [b"HTTP/1.1 " + status + b"\r\n\r\n"], hears_first=True) as (port, _):
        tell_webhook(port)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"304 Not Modified", b"404 Not Found", b"503 Busy"])
def test_webhook_took_nothing_when_it_says_anything_else(status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with (
        raw_peer(lambda: [head], hears_first=True) as (port, _),
        pytest.raises(Unavailable, match=f"the answer was {status[:3].decode()}"),
    ):
        tell_webhook(port)


GREETINGS: dict[str, Callable[[], Iterable[bytes]]] = {
    "lines": lambda: itertools.repeat(b"220-welcome\r\n" * 1000),
    "one line": lambda: itertools.repeat(b"2" * 100_000),
    "after the greeting": lambda: itertools.chain([b"220 hello\r\n"], itertools.repeat(b"250-SIZE 10\r\n" * 1000)),
}


@pytest.mark.parametrize("what", GREETINGS)
def test_mail_server_that_floods_is_given_up(what: str) -> None:
    def ask() -> None:
        with (
            raw_peer(GREETINGS[what], hears_first=False) as (port, sent),
            pytest.raises(Unavailable, match="e-mail by"),
        ):
            tell_by_mail(port)
        assert sent[0] < 32 << 20  # the buffers of both ends

    assert growth(ask) < MAX_GROWTH


@pytest.mark.parametrize("tell", [tell_by_mail, tell_by_encrypted_mail])
@pytest.mark.parametrize("drip", [b"2", b"\r\n220-\r\n"])
def test_mail_server_that_drips_is_given_up_at_the_deadline(
    tell: Callable[[int], None], drip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_post.alerts.smtp.CONVERSATION_S", 0.5)
    monkeypatch.setattr("lora_post.alerts.smtp.SILENCE_S", 0.4)
    drops = [drip[at : at + 1] for at in range(len(drip))]
    with (
        raw_peer(lambda: itertools.cycle(drops), hears_first=False) as (port, _),
        pytest.raises(Unavailable, match="e-mail by"),
    ):
        tell(port)


def test_account_in_the_address_of_a_webhook_is_used() -> None:
    with webhook() as (url, got):
        Webhook(WebhookConfig(url.replace("//", "//me:pw@"), None)).send("Farm", Digest((RAISED,), (), ()))
    [(_, authorization)] = got
    assert authorization == "Basic bWU6cHc="
