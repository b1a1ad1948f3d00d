from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_post.run.systemd import Notifier
from tests.support.command import PATIENCE_S, counting_packet, started, wait_until, write_site


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of systemd's notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(PATIENCE_S)
        yield found


def test_without_systemd_nothing_is_told() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "5000000"})
    notifier.tell("READY=1")
    assert notifier.watchdog_s == 0


def test_watchdog_of_another_process_is_not_ours(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "5000000"}
    assert Notifier(environ).watchdog_s == 5
    assert Notifier(environ | {"WATCHDOG_PID": str(os.getpid())}).watchdog_s == 5
    assert Notifier(environ | {"WATCHDOG_PID": "1"}).watchdog_s == 0


def test_abstract_socket_and_one_that_is_gone() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind("")  # the kernel chooses an abstract address
        found.settimeout(PATIENCE_S)
        name = "@" + found.getsockname()[1:].decode()
        Notifier({"NOTIFY_SOCKET": name}).tell("READY=1", "STATUS=x")
        assert found.recv(100) == b"READY=1\nSTATUS=x"
    Notifier({"NOTIFY_SOCKET": name}).tell("READY=1")


def test_service_says_that_it_is_ready_gets_on_and_stops(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    site = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    with started("run", "-c", str(site), "-q") as process:
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"WATCHDOG=1"
        assert process.stdin is not None
        process.stdin.write(counting_packet(0))
        process.terminate()
        said: list[bytes] = []

        def stopped() -> bool:
            said.append(manager.recv(100))
            return said[-1] == b"STOPPING=1"

        wait_until(stopped, "it does not say that it stops")
        assert process.wait(PATIENCE_S) == 0
    assert set(said) <= {b"WATCHDOG=1", b"STOPPING=1"}
