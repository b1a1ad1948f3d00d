"""`lora-post demo`: what a new user sees first."""

from __future__ import annotations

import re
import signal

from tests.support.command import PATIENCE_S, started
from tests.support.status_page import get


def test_kept_demo_shows_the_status_page_beside_the_sandbox() -> None:
    with started("demo", "--keep", "--port", "0") as process:
        assert process.stdout is not None
        said = b""
        while b"The sandbox:" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        page, sandbox = re.findall(r"http://\S+/(?=   \()", said.decode())
        shown = get(f"{page}status.json").json()
        assert {device["name"]: bool(device["last"]) for device in shown["devices"]} == {
            "Pond 7": True,
            "Weather mast": True,
            "Cold store": True,
            "Greenhouse": True,
        }
        assert shown["verdict"]["text"] == "Everything works"
        assert {item["check"] for item in shown["refused"]} >= {"mic", "replay", "unknown-device"}
        assert get(sandbox).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
