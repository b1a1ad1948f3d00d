"""docs/first-device.md, done as it says: a forwarder and a sensor join in, and the values are in the sandbox."""

from __future__ import annotations

import re
import shlex
import signal
import threading
from pathlib import Path
from subprocess import Popen

import pytest

from lora_post.lorawan.root_keys import RootKeys
from tests.docs.markdown import named
from tests.support.command import PATIENCE_S, run, started, wait_until
from tests.support.forwarder import Forwarder, JoiningDevice
from tests.support.paths import DOCS
from tests.support.ports import free_port
from tests.support.waziup import waziup

PAGE = DOCS / "first-device.md"
APP_KEY = bytes(range(16))
# Battery 3.031 V, 22.5 °C, 48.2 %, no external sensor: see decoders/dragino_lht65.py.
PAYLOAD = bytes.fromhex("cbd708ca01e2007fff7fff")


def told_by(process: Popen[bytes]) -> list[str]:
    """The log of a command, as it comes."""
    lines: list[str] = []
    log = process.stderr
    assert log is not None
    threading.Thread(target=lambda: lines.extend(line.decode() for line in log), daemon=True).start()
    return lines


def test_page_takes_a_sensor_from_its_box_to_waziup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with waziup() as server:
        text = named(PAGE, "configuration")
        for old, new in (
            ("udp://0.0.0.0:1700", f"udp://127.0.0.1:{port}"),
            ('username = "me"', f'username = "demo"\nurl = "{server.url}"'),
        ):
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "lora-post.toml").write_text(text + '[spool]\npath = "spool.db"\n')
        (tmp_path / "waziup.password").write_text("demo")
        (tmp_path / "waziup.password").chmod(0o600)
        add = shlex.split(next(line for line in named(PAGE, "add").splitlines() if "devices add" in line))
        assert add[:2] == ["sudo", "lora-post"]
        end = JoiningDevice(RootKeys(int(add[4], 16), int(add[6], 16), APP_KEY))
        with started("run", cwd=tmp_path) as process, Forwarder(port, "a84041fdfe27e5f0") as forwarder:
            log = told_by(process)
            forwarder.ask()
            monkeypatch.setenv("LORA_POST_APP_KEY", APP_KEY.hex())
            added = run(*add[2:], cwd=tmp_path)
            assert added.returncode == 0, added.stderr.decode()
            wait_until(lambda: any("1 device, 1 new" in line for line in log), "the device is not taken over")
            forwarder.push(end.request(), 1_000_000)
            end.hear(forwarder.pull_resp())
            forwarder.push(end.uplink(PAYLOAD), 20_000_000)
            for shown in named(PAGE, "log").splitlines():
                # Addresses, nonces and signals differ.
                pattern = re.sub(r"\b[0-9a-f]{4,}\b|(?<=rssi=)\S+", r"\\S+", re.escape(shown).replace("\\-", "-"))
                wait_until(lambda pattern=pattern: re.search(pattern, "".join(log)), f"not logged: {shown}")
            wait_until(lambda: len(server.days.pushes()) == 4, "no values on Waziup")
            assert server.values("cold-store", "temperature") == [22.5]
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    assert (tmp_path / "devices.toml").stat().st_mode & 0o007 == 0
