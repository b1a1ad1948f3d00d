"""A sandbox that keeps a file, and the command itself."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from lora_post.cli.sandbox import command
from lora_post.errors import SpoolError
from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.server import running_sandbox
from lora_post.sandbox.state import State
from tests.support.command import PATIENCE_S

START = "from lora_post.cli.sandbox import command; command()"


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The real command on a free port, and its API url; killed at the end if it still runs."""
    line = [sys.executable, "-W", "error", "-c", START, "--port", "0", *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "  kept " not in said and (text := process.stdout.readline()):
                said += text
            match = re.search(r"API +(\S+)", said)
            assert match is not None, said
            yield process, match[1]
        finally:
            process.kill()


def get(url: str, token: str | None = None) -> object:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = requests.get(url, headers=headers, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(url: str, body: object, token: str | None = None) -> str:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = requests.post(url, json=body, headers=headers, timeout=PATIENCE_S)
    assert answer.status_code in (200, 204), answer.text
    return answer.text


def test_a_restart_keeps_everything_tokens_included(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.db"

    def seen(api: str) -> list[object]:
        return [
            get(f"{api}/{path}", token)
            for path in ("users/me", "devices", "gateways", "devices/d/sensors/t/values", "sensors_data?device_id=d")
        ]

    with running_sandbox(file=file) as api:
        token = post(f"{api}/auth/token", {"username": "demo", "password": "demo"})
        post(f"{api}/gateways", {"id": "g", "visibility": "private"}, token)
        post(f"{api}/devices", {"id": "d", "visibility": "private", "sensors": [{"id": "t"}]}, token)
        post(
            f"{api}/devices/d/sensors/t/values",
            [{"value": n, "timestamp": "2026-01-02T03:04:05.5Z"} for n in range(3)],
            token,
        )
        before = seen(api)
    with running_sandbox(file=file) as api:
        assert seen(api) == before


def test_without_a_file_nothing_is_kept() -> None:
    with running_sandbox() as api:
        token = post(f"{api}/auth/token", {"username": "demo", "password": "demo"})
        post(f"{api}/devices", {"id": "d"}, token)
    with running_sandbox() as api:
        assert get(f"{api}/devices") == []
        assert get(f"{api}/users/me", token)["username"] == "guest"  # type: ignore[index]


def test_an_acknowledged_value_survives_a_kill(tmp_path: Path) -> None:
    file = str(tmp_path / "sandbox.db")
    with started("--file", file) as (process, api):
        post(f"{api}/devices", {"id": "d", "sensors": [{"id": "t"}]})
        post(f"{api}/devices/d/sensors/t/value", {"value": 7})
        process.kill()
    with started("--file", file) as (_, api):
        assert [row["value"] for row in get(f"{api}/devices/d/sensors/t/values")] == [7]  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_with_code_0_and_no_noise(number: signal.Signals) -> None:
    with started() as (process, api), requests.Session() as session:
        assert session.get(f"{api}/users/me", timeout=PATIENCE_S).status_code == 200  # the connection stays open
        process.send_signal(number)
        rest, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, rest) == (0, "")


def test_a_signal_right_after_the_start_is_not_lost() -> None:
    with started() as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_users_of_the_command_replace_the_default_ones() -> None:
    with started("--user", "ann:se:cret", "--token-lifetime", "5") as (_, api):
        post(f"{api}/auth/token", {"username": "ann", "password": "se:cret"})
        answer = requests.post(f"{api}/auth/token", json={"username": "demo", "password": "demo"}, timeout=PATIENCE_S)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--user", "ann"], 2, "want NAME:PASSWORD"),
        (["--user", ":x"], 2, "want NAME:PASSWORD"),
        (["--user", "guest:x"], 2, "everybody who does not log in"),
        (["--user", "o'neill:x"], 2, "may not contain"),
        (["--token-lifetime", "0"], 2, "--token-lifetime"),
        (["--host", "192.0.2.1"], 1, "Warning: 192.0.2.1 can be reached from other machines"),
        (["--host", "192.0.2.1"], 1, "cannot listen on 192.0.2.1 port 8008"),
    ],
)
def test_mistakes_end_in_one_clear_line(arguments: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert said in result.output


def test_a_taken_port_is_named() -> None:
    with running_sandbox() as api:
        port = api.removesuffix("/api/v2").rpartition(":")[2]
        result = CliRunner().invoke(command, ["--port", port])
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.output


def test_help_teaches() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    for word in ("[waziup]", "http://127.0.0.1:8008/api/v2", "demo", "admin", "Ctrl-C"):
        assert word in text


@pytest.mark.parametrize("kind", ["text", "other database", "newer"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "file"
    if kind == "text":
        file.write_text("a diary, much longer than the header of a database file" * 10)
    elif kind == "other database":
        with sqlite3.connect(file) as db:
            db.execute("CREATE TABLE t (x)")
        db.close()
    else:
        State(file).close()
        with sqlite3.connect(file) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    before = file.read_bytes()
    with pytest.raises(SpoolError, match="file"), running_sandbox(file=file):
        pytest.fail("it was opened")
    assert file.read_bytes() == before


def test_a_sandbox_listens_where_it_is_told() -> None:
    with running_sandbox(Settings(users={"ann": "x"}), host="::1") as api:
        assert api.startswith("http://[::1]:")
        assert get(f"{api}/devices") == []
