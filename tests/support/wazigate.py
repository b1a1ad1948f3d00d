"""A small server that answers as a WaziGate's own API does, kept in memory.

Source: Waziup/wazigate-edge: api.go; api: auth, devices, sensors, sensor_values, values; edge: device, sensor, values.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NOT_FOUND = b"device or sensor/actuator not found\n"
TOKEN = "e30.e30.c2ln"


@dataclass
class Gate:
    """What it has, what it was asked, and what goes wrong from now on.

    values: (device, sensor) -> (second, value), by second as its ids are. actuators: device -> what is set there.
    trouble: (pattern of a request, status, whether the work is done first), each once.
    """

    url: str = ""
    password: str = ""
    token: str = TOKEN
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    actuators: dict[str, list[dict[str, Any]] | None] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    trouble: list[tuple[str, int, bool]] = field(default_factory=list)

    def answer(self, method: str, target: str, body: bytes, token: str) -> tuple[int, bytes]:
        parts = urlsplit(target)
        line = f"{method} {parts.path}"
        self.seen.append(line)
        for item in self.trouble:
            pattern, status, works_first = item
            if re.search(pattern, line):
                self.trouble.remove(item)
                if works_first:
                    self._route(method, parts.path, parse_qs(parts.query), body, token)
                return status, b"database error: gone\n"
        return self._route(method, parts.path, parse_qs(parts.query), body, token)

    def _route(self, method: str, path: str, query: dict[str, list[str]], body: bytes, token: str) -> tuple[int, bytes]:
        if (method, path) == ("POST", "/auth/token"):
            given = json.loads(body)
            good = (given.get("username"), given.get("password")) == ("admin", self.password)
            return (200, json.dumps(self.token).encode()) if good else (401, b"Invalid credentials\n")
        if (method, path) == ("GET", "/device/id"):
            return 200, b'"b827eb16d1a4d6ef"'
        if self.password and token != self.token:
            return 401, b"Unauthorized\n"
        steps = [unquote(step) for step in path.strip("/").split("/")]
        match method, steps:
            case "POST", ["devices"]:
                return self._post_device(json.loads(body))
            case "GET", ["devices", device, "sensors"]:
                found = self.devices.get(device)
                return (200, json.dumps(found["sensors"]).encode()) if found else (404, NOT_FOUND)
            case "GET", ["devices", device, "actuators"]:
                known = device in self.actuators
                return (200, json.dumps(self.actuators[device]).encode()) if known else (404, NOT_FOUND)
            case "POST", ["devices", device, "sensors"]:
                return self._post_sensor(device, json.loads(body))
            case "POST", ["devices", device, "sensors", sensor, "values"]:
                return self._post_values(device, sensor, body)
            case "GET", ["devices", device, "sensors", sensor, "values"]:
                return self._get_values(device, sensor, query)
        return 404, b"404 page not found\n"

    def _post_device(self, device: dict[str, Any]) -> tuple[int, bytes]:
        if device["id"] in self.devices:
            return 500, b"database error: E11000 duplicate key\n"
        self.devices[device["id"]] = {"sensors": None} | device
        return 200, json.dumps(device["id"]).encode()

    def _post_sensor(self, device: str, sensor: dict[str, Any]) -> tuple[int, bytes]:
        found = self.devices.get(device)
        if found is None:
            return 404, NOT_FOUND
        if any(each["id"] == sensor["id"] for each in found["sensors"] or ()):
            return 409, b"sensor already exists\n"
        found["sensors"] = [*(found["sensors"] or ()), sensor]
        return 200, json.dumps(sensor["id"]).encode()

    def _post_values(self, device: str, sensor: str, body: bytes) -> tuple[int, bytes]:
        try:
            given = json.loads(body, parse_int=float)  # its language knows only doubles
        except ValueError as error:
            return 400, f"bad request: {error}\n".encode()
        if not any(each["id"] == sensor for each in self.devices.get(device, {}).get("sensors") or ()):
            return 404, NOT_FOUND
        rows = self.values.setdefault((device, sensor), [])
        if all(isinstance(item, dict) and item.keys() <= {"value", "time"} for item in given):
            rows += [(int(datetime.fromisoformat(item["time"]).timestamp()), item["value"]) for item in given]
        else:  # the trap: stored whole, at the time of arrival
            rows += [(int(datetime.now(UTC).timestamp()), item) for item in given]
        rows.sort(key=lambda row: row[0])
        return 200, b""

    def _get_values(self, device: str, sensor: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        since, until = (datetime.fromisoformat(query[key][0]).timestamp() for key in ("from", "to"))
        rows = [row for row in self.values.get((device, sensor), ()) if since <= row[0] < until]
        found = [
            {"value": value, "time": datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
            for second, value in rows[: int(query["limit"][0])]
        ]
        return 200, json.dumps(found).encode()

    def row_values(self, device: str, sensor: str) -> list[Any]:
        return [value for _, value in self.values.get((device, sensor), ())]


@contextmanager
def wazigate(password: str = "") -> Iterator[Gate]:
    """A running one; with a password it wants a login as `admin`."""
    gate = Gate(password=password)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, answer = gate.answer(self.command, self.path, body, token)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        gate.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield gate
        finally:
            server.shutdown()
            thread.join()
