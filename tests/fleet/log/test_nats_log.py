"""The log on real servers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.errors import FleetError, LogUnavailable
from lora_post.fleet.hub.link import Link
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.streams import LOG, LOG_VERSION, ensure_streams, refuse_newer_log
from tests.support.command import PATIENCE_S
from tests.support.fleet_frames import PREFIX, Heard, Worker, check
from tests.support.nats_servers import Nodes, nats_servers


@contextmanager
def linked(nodes: Nodes, name: str = "w1") -> Iterator[Link]:
    fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=nodes.replicas)
    with closing(Link(fleet, name)) as link:
        assert link.wait(PATIENCE_S)
        yield link


def update(link: Link, description: str | None) -> None:
    stream = link.client.jetstream()
    there = link.call(stream.stream_info(LOG)).config
    link.call(stream.update_stream(there.evolve(description=description)))


def make_streams(link: Link, replicas: int) -> None:
    for _ in range(60):  # a cluster that has just started has not chosen its leader
        try:
            return ensure_streams(link, replicas, may_make_log=True)
        except FleetError:
            Event().wait(0.5)
    raise AssertionError("no streams")


def test_one_server(tmp_path: Path) -> None:
    with nats_servers(tmp_path) as nodes, linked(nodes) as link:
        ensure_streams(link, 1, may_make_log=True)
        ensure_streams(link, 1, may_make_log=False)
        log = NatsLog(link)
        assert log.read(PREFIX, 0) == []
        assert log.append([(f"{PREFIX}a", b"1"), ("log.1.b", b"2"), (f"{PREFIX}c", b"3")]) == [1, 2, 3]
        assert [(each.position, each.subject, each.data) for each in log.read(PREFIX, 0)] == [
            (1, f"{PREFIX}a", b"1"),
            (3, f"{PREFIX}c", b"3"),
        ]
        assert log.read(PREFIX, 3) == log.tail(PREFIX, 3, 0.01) == []
        log.append([(f"{PREFIX}a", b"4")])
        log.trim(f"{PREFIX}a", 4)
        assert [each.position for each in log.read("log.", 0)] == [2, 3, 4]
        update(link, description=None)  # as lora-post made it before
        ensure_streams(link, 1, may_make_log=False)
        refuse_newer_log(link)
        update(link, description=f"lora-post log {LOG_VERSION + 1}")
        for look in (partial(ensure_streams, replicas=1, may_make_log=False), refuse_newer_log):
            with pytest.raises(FleetError, match="of a newer lora-post"):
                look(link)
        nodes.kill(0)
        with pytest.raises(LogUnavailable):
            log.read(PREFIX, 0)


@pytest.mark.long
def test_log_that_is_full_refuses(tmp_path: Path) -> None:
    with nats_servers(tmp_path) as nodes, linked(nodes) as link:
        ensure_streams(link, 1, may_make_log=True)
        stream = link.client.jetstream()
        config = link.call(stream.stream_info(LOG)).config
        config.max_bytes = 2000
        link.call(stream.update_stream(config))
        log = NatsLog(link)
        with pytest.raises(LogUnavailable, match="maximum bytes exceeded"):
            for _ in range(10):
                log.append([(f"{PREFIX}a", bytes(500))])
        assert len(log.read(PREFIX, 0)) in (2, 3)


@pytest.mark.long
def test_log_that_is_gone_is_not_begun_by_a_program(tmp_path: Path) -> None:
    lost = pytest.raises(FleetError, match="lost the log of all devices")
    with nats_servers(tmp_path) as nodes, linked(nodes) as link, lost:
        ensure_streams(link, 1, may_make_log=False)


@pytest.mark.long
def test_workers_race_while_nodes_are_killed(tmp_path: Path) -> None:
    sent: list[tuple[int, int, bytes]] = []
    frames = [Heard(device, fcnt) for fcnt in range(20) for device in range(3)]

    def work(link: Link, name: str) -> None:
        worker, waiting = Worker(NatsLog(link), name, sent), list(frames)
        while waiting:
            try:
                done = set(worker.work(waiting[:6]))
            except FleetError:
                Event().wait(0.2)
                continue
            waiting = [heard for heard in waiting if heard not in done]

    with nats_servers(tmp_path, 3) as nodes, linked(nodes, "w1") as first, linked(nodes, "w2") as second:
        make_streams(first, 3)
        threads = [Thread(target=work, args=(link, name)) for link, name in ((first, "a"), (second, "b"))]
        for thread in threads:
            thread.start()
        for index in (0, 1):
            Event().wait(0.5)
            nodes.kill(index)
            Event().wait(1)
            nodes.start(index)
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        check(everything(NatsLog(first)), frames, sent)


def everything(log: NatsLog) -> list[Logged]:
    """The whole log, once the hub has a leader."""
    entries: list[Logged] = []
    for _ in range(PATIENCE_S):
        try:
            while more := log.read(PREFIX, entries[-1].position if entries else 0):
                entries += more
            return entries
        except LogUnavailable:
            Event().wait(1)
    raise AssertionError("the log is not read")


def test_old_server_is_refused_in_a_plain_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(
                    b'INFO {"server_id":"x","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576}\r\n'
                )
                for line in lines:
                    if line.startswith(b"PING"):
                        connection.sendall(b"PONG\r\n")

        Thread(target=serve, daemon=True).start()
        link = Link(FleetConfig((f"nats://127.0.0.1:{port}",), frozenset({Role.WORKER})), "w1")
        with closing(link):
            assert not link.wait(PATIENCE_S)
            assert link.trouble is not None
            assert link.trouble.what == "the hub runs nats-server 2.9, which can lose and double entries"
            assert "2.12" in link.trouble.fix
            with pytest.raises(FleetError, match=r"2\.9"):
                NatsLog(link).append([("log.0.a", b"")])
