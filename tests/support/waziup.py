"""A real sandbox with bad days: answers replaced before or after the work is done, connections cut."""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from lora_post.sandbox import faults
from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.server import running_sandbox
from tests.support.command import PATIENCE_S


@dataclass
class Fault:
    """Answer the next `times` requests that match with `status`, after doing the work or instead of it.

    status 0: cut the connection. late_s: do the work so much later, whatever the answer; not later than latest_s.
    """

    request: str
    status: int
    times: int = 1
    work_first: bool = False
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b"trouble"
    late_s: float = 0.0
    latest_s: float = math.inf


@dataclass
class BadDays:
    """What goes wrong from now on, and every request seen."""

    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    hanging: str = ""  # requests that match get no answer for longer than the test waits

    def choose(self, request: str) -> faults.Fault | None:
        self.seen.append(request)
        if self.hanging and re.search(self.hanging, request):
            return faults.Fault("hanging", faults.Ending.CUT, stall_s=2.0)
        for fault in self.faults:
            if fault.times and re.search(fault.request, request):
                fault.times -= 1
                return faults.Fault(
                    "made up",
                    faults.Ending.MADE_UP if fault.status else faults.Ending.CUT,
                    carried_out=fault.work_first,
                    status=fault.status,
                    headers=tuple(fault.headers),
                    body=fault.body,
                    late_s=fault.late_s,
                    latest_s=fault.latest_s,
                )
        return None

    def pushes(self) -> list[str]:
        return [line for line in self.seen if re.search(r"^POST .*/values?$", line)]


@dataclass
class Waziup:
    """A running sandbox, seen through its own API by its administrator."""

    url: str
    days: BadDays

    def token(self, username: str, password: str) -> str:
        with _connection() as connection:
            return self._token(connection, username, password)

    def _token(self, connection: requests.Session, username: str, password: str) -> str:
        login = {"username": username, "password": password}
        answer = connection.post(f"{self.url}/auth/token", json=login, timeout=PATIENCE_S)
        assert answer.status_code == 200
        return answer.text

    def call(self, method: str, path: str, *, user: str = "admin", **options: Any) -> requests.Response:
        """Ask with a new token: how long one is good goes by the server's clock, which tests move."""
        with _connection() as connection:
            headers = {} if user == "guest" else {"Authorization": f"Bearer {self._token(connection, user, user)}"}
            return connection.request(method, self.url + path, headers=headers, timeout=PATIENCE_S, **options)

    def get(self, path: str) -> object:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def values(self, device: str, sensor: str) -> list[object]:
        return [row["value"] for row in self.rows(device, sensor)]

    def rows(self, device: str, sensor: str) -> list[dict[str, object]]:
        return self.get(f"/devices/{device}/sensors/{sensor}/values?limit=0")  # type: ignore[return-value]


def _connection() -> requests.Session:
    """A connection of its own, without a look at what the environment says of proxies, which takes longer."""
    session = requests.Session()
    session.trust_env = False
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE", True)
    return session


@contextmanager
def waziup(settings: Settings | None = None) -> Iterator[Waziup]:
    days = BadDays()
    with running_sandbox(settings, faults=days) as url:
        yield Waziup(url, days)


class CuttingProxy:
    """Passes TCP connections on and counts; can take answers away after the server has sent them."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self.answers_to_take = 0
        self.bytes = 0
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        # A client that gives up resets the connection.
        with contextlib.suppress(ConnectionError), client, socket.create_connection(self._target) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ends = {client: server, server: client}
            while True:
                ready, _, _ = select.select(list(ends), [], [])
                data = ready[0].recv(1 << 16)
                if not data:
                    return
                self.bytes += len(data)
                if ready[0] is server and self.answers_to_take:
                    self.answers_to_take -= 1
                    return
                ends[ready[0]].sendall(data)

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self._clients)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
