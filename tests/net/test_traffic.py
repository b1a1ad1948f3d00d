"""Counting what connections cost."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lora_post.net import http_client
from lora_post.net.traffic import SEGMENT_HEADERS, Traffic
from lora_post.sinks.waziup.client import WaziupClient
from tests.support.waziup import CuttingProxy, waziup


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            yield client, server


def exchange(sender: socket.socket, receiver: socket.socket, size: int) -> None:
    sender.sendall(bytes(size))
    while size:
        size -= len(receiver.recv(size))


def test_bytes_of_both_directions_and_their_packets_are_counted_once(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    traffic = Traffic()
    exchange(client, server, 10_000)
    exchange(server, client, 5000)  # acknowledges the others
    traffic.look_at(client)
    assert 15_000 + 2 * SEGMENT_HEADERS < traffic.bytes < 17_000
    before = traffic.bytes
    traffic.look_at(client)
    assert traffic.bytes == before
    exchange(server, client, 1000)
    traffic.look_at(client)
    assert before + 1000 < traffic.bytes < before + 1500


def test_connection_that_is_closed_already_counts_as_it_was(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    traffic = Traffic()
    exchange(client, server, 1000)
    exchange(server, client, 1)
    traffic.look_at(client)
    before = traffic.bytes
    client.close()
    traffic.look_at(client)
    assert traffic.bytes == before > 1000


def test_client_counts_at_least_what_goes_over_the_socket() -> None:
    with waziup() as server:
        meter = CuttingProxy(server.url)
        client = WaziupClient(meter.url)
        for _ in range(10):
            client.get_me()
        client.close()
        meter.close()
        assert meter.bytes <= client._http.traffic.bytes < meter.bytes + 100 * SEGMENT_HEADERS


def test_answers_that_end_with_their_connection_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(http_client._HEADERS, "Connection", "close")
    with waziup() as server:
        meter = CuttingProxy(server.url)
        client = WaziupClient(meter.url)
        for _ in range(5):
            client.get_me()
        client.close()
        meter.close()
        assert meter.connections == 5
        assert meter.bytes <= client._http.traffic.bytes
