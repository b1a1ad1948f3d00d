"""Whatever a broker sends, the command's memory stays bounded, and what comes behind it is taken."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.command import started, wait_until
from tests.support.raw_broker import Client, Serve, raw_broker

HUGE = 180_000_000
MOST_KB = 100_000
"""For the whole process, which has 60 MB after its start."""
SITE = """
[gateway]
id = "gw1"
[waziup]
url = "http://127.0.0.1:1/"
provision = "never"
[spool]
path = "spool.db"
[[input]]
url = "mqtt://127.0.0.1:{port}/up"
format = "chirpstack"
[[device]]
dev_eui = "02aabbccddeeff01"
decoder = "cayenne-lpp"
"""


def uplink(fcnt: int) -> bytes:
    event = {"time": datetime.now(UTC).isoformat(), "deviceInfo": {"devEui": "02aabbccddeeff01"}}
    return json.dumps(event | {"fCnt": fcnt, "fPort": 2, "data": "A2cBEA==", "rxInfo": []}).encode()


def queued(folder: Path) -> int:
    db = sqlite3.connect(f"file:{folder / 'spool.db'}?mode=ro", uri=True)
    try:
        return int(db.execute("SELECT count(*) FROM reading").fetchone()[0])
    finally:
        db.close()


def peak_kb(process: subprocess.Popen[bytes]) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1])


def whole(client: Client) -> None:
    client.welcome()
    client.begin(b"up", HUGE, 1)
    client.stream(HUGE)
    client.publish(b"up", uplink(1), 2)
    client.expect_ack(2)


def cut(client: Client) -> None:
    """The connection breaks off in the middle; a message that is not acknowledged comes again."""
    client.welcome()
    client.begin(b"up", HUGE, 1)
    client.stream(HUGE // 2)
    client.expect_ack(1)


def cut_at_once(client: Client) -> None:
    """Nothing but its head has come."""
    client.welcome()
    client.begin(b"up", HUGE, 1)


def not_utf_8(client: Client) -> None:
    client.welcome()
    client.publish(b"up\xff", uplink(1), 1)
    client.publish(b"up\xff", uplink(1), 2, flags=0x03)
    client.expect_ack(1)
    client.expect_ack(2)


def twice_as_asked(client: Client) -> None:
    """QoS 2: a client holds such messages until the broker releases them, which this one never does."""
    client.welcome()
    for mid in range(1, 400):
        client.publish(b"up", b"x" * 250_000, mid, flags=0x04)


def not_a_message(client: Client) -> None:
    client.welcome()
    client.peer.sendall(b"\x90\xff\xff\xff\x7f")
    client.stream(HUGE)


@pytest.mark.parametrize("first", [whole, cut, cut_at_once, not_utf_8, twice_as_asked, not_a_message])
def test_what_comes_behind_it_is_taken_and_memory_stays_bounded(first: Serve, tmp_path: Path) -> None:
    done = threading.Event()

    def last(client: Client) -> None:
        client.welcome()
        client.publish(b"up", uplink(2), 9)
        client.expect_ack(9)
        done.set()
        client.packet()  # until it goes

    with raw_broker(first, last) as port:
        config = tmp_path / "site.toml"
        config.write_text(SITE.format(port=port))
        with started("run", "-q", "-c", str(config)) as process:
            assert process.stderr is not None
            wait_until(lambda: done.is_set() or process.poll() is not None, "it is not taken")
            assert process.poll() is None
            assert queued(tmp_path) == (2 if first in (whole, not_utf_8) else 1)
            assert peak_kb(process) < MOST_KB
            process.terminate()
            said = process.stderr.read().decode()
    assert ("a message of 180000000 bytes" in said) == (first in (whole, cut, cut_at_once))
    assert "defect" not in said and "failed" not in said
