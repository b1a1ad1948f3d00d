"""The installed command, fed through a real pipe, against a sandbox."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lora_post.sandbox.server import running_sandbox
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import (
    COMMAND,
    HURRIED,
    PATIENCE_S,
    Admin,
    counting_packet,
    dev_addr,
    keys,
    run,
    started,
    wait_until,
    write_site,
)
from tests.support.counting import assert_everything_arrived_once
from tests.support.ports import free_port


def test_capture_through_a_pipe_arrives_exactly_once(tmp_path: Path) -> None:
    capture = b"".join(counting_packet(n) for n in range(60))
    with running_sandbox() as url:
        done = run("run", "-c", str(write_site(tmp_path, url)), stdin=capture)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == b""
        assert_everything_arrived_once(Admin(url), 60)
        again = run("run", "-c", str(tmp_path / "site.toml"), stdin=capture)
        assert again.returncode == 0, again.stderr.decode()
        assert b"refused=60 (replay:60)" in again.stderr
        assert_everything_arrived_once(Admin(url), 60)


def test_capture_that_was_sent_already_is_counted_without_advice_that_would_double_it(tmp_path: Path) -> None:
    (tmp_path / "day.lowcost").write_bytes(b"".join(counting_packet(n) for n in range(12)))
    with running_sandbox() as url:
        site = str(write_site(tmp_path, url))
        assert run("replay", "-c", site, "day.lowcost", cwd=tmp_path).returncode == 0
        again = run("replay", "-c", site, "day.lowcost", cwd=tmp_path)
        assert again.returncode == 0
        said = again.stderr.decode()
        assert "left out, since these frames or newer ones were accepted before: counter-" in said
        assert "reset-counter" not in said and "restarts" not in said
        assert_everything_arrived_once(Admin(url), 12)


def test_capture_a_byte_at_a_time_with_the_server_down_at_the_start(tmp_path: Path) -> None:
    capture = b"\n garbage ^p1,2\n\xff\xfe" + b"".join(counting_packet(n) for n in range(9))
    port = free_port()
    site = write_site(tmp_path, f"http://127.0.0.1:{port}/api/v2")
    with started("run", "-c", str(site)) as process:
        assert process.stdin is not None
        for byte in capture:
            process.stdin.write(bytes((byte,)))
        process.stdin.close()
        assert process.stderr is not None
        while b"waiting to send" not in (line := process.stderr.readline()):
            assert line, "ended without trying to send"
        with running_sandbox(port=port) as url:
            assert process.wait(PATIENCE_S) == 0, process.stderr.read()
            assert_everything_arrived_once(Admin(url), 9)


def test_what_stays_queued_is_counted_and_goes_out_next_time(tmp_path: Path) -> None:
    port = free_port()
    site = write_site(tmp_path, f"http://127.0.0.1:{port}/api/v2")
    capture = b"".join(counting_packet(n) for n in range(30))
    done = run("run", "-c", str(site), "--drain-timeout", "0.5", stdin=capture)
    assert done.returncode == 75
    assert b"60 readings left in the spool" in done.stderr
    with running_sandbox(port=port) as url:
        assert run("run", "-c", str(site)).returncode == 0
        assert_everything_arrived_once(Admin(url), 30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_cleanly_and_loses_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with running_sandbox() as url:
        site = write_site(tmp_path, url)
        with started("run", "-c", str(site)) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(b"".join(counting_packet(n) for n in range(120)))
            while b"started" not in process.stderr.readline():
                pass
            process.send_signal(number)
            assert process.wait(PATIENCE_S) == 0, process.stderr.read()
        assert run("run", "-c", str(site)).returncode == 0
        assert_everything_arrived_once(Admin(url), 120)


def test_dry_run_prints_one_json_object_per_uplink_and_touches_nothing(tmp_path: Path) -> None:
    site = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    capture = counting_packet(0) + counting_packet(1)[:-6] + b"\n" + counting_packet(3) + counting_packet(0)
    done = run("run", "-c", str(site), "--dry-run", stdin=capture)
    assert done.returncode == 0, done.stderr.decode()
    first, second, replayed = map(json.loads, done.stdout.splitlines())
    assert first == {
        "time": "2026-09-21T14:13:20Z",
        "gateway": "gw1",
        "device": "counter-0",
        "address": "26010000",
        "kind": "lorawan",
        "fcnt": 0,
        "fport": 2,
        "rssi": -60.0,
        "snr": 7.0,
        "sf": 12,
        "bw_khz": 125.0,
        "freq_mhz": 868.1,
        "payload": "0102000002670000",
        "decoder": "cayenne-lpp",
        "readings": [
            {
                "sensor": "analog_in_1",
                "value": 0.0,
                "channel": 1,
                "quantity": "Other",
                "unit": None,
                "time": "2026-09-21T14:13:20Z",
            },
            {
                "sensor": "temperature_2",
                "value": 0.0,
                "channel": 2,
                "quantity": "Temperature",
                "unit": "°C",
                "time": "2026-09-21T14:13:20Z",
            },
        ],
        "warnings": [],
        "refused": None,
    }
    assert (second["fcnt"], second["refused"]) == (1, None)
    assert replayed["refused"]["check"] == "replay"
    assert b"damaged" in done.stderr
    assert not (tmp_path / "spool.db").exists()


def test_dry_run_ends_quietly_when_nobody_reads_it_any_more(tmp_path: Path) -> None:
    site = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    with started("run", "-q", "-c", str(site), "--dry-run") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(counting_packet(0))
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(counting_packet(1))
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr.read() == b""


def test_input_that_breaks_off_is_no_success(tmp_path: Path) -> None:
    site = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    with (tmp_path / "out").open("wb") as unreadable:
        command = [COMMAND, "run", "-c", str(site), "--dry-run"]
        done = subprocess.run(command, stdin=unreadable, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert b"has stopped over a defect" in done.stderr


def test_files_are_replayed_in_the_order_they_are_named(tmp_path: Path) -> None:
    with running_sandbox() as url:
        site = write_site(tmp_path, url)
        (tmp_path / "b.lowcost").write_bytes(b"".join(counting_packet(n) for n in range(30)))
        (tmp_path / "a.lowcost").write_bytes(b"".join(counting_packet(n) for n in range(30, 60)))
        done = run("replay", "-c", str(site), "b.lowcost", "a.lowcost", cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        assert_everything_arrived_once(Admin(url), 60)


@pytest.mark.parametrize(("kills", "total"), [(4, 500), pytest.param(12, 1500, marks=pytest.mark.long)])
def test_kill_at_any_moment_loses_nothing_that_was_accepted(kills: int, total: int, tmp_path: Path) -> None:
    """SIGKILL during ingest and upload, restart, go on with what was not accepted, again and again."""
    random.seed(20261122)
    packets = [counting_packet(n) for n in range(total)]
    with running_sandbox() as url:
        site = write_site(tmp_path, url)
        for _ in range(kills):
            with started("run", "-q", "-c", str(site)) as process:
                feeder = threading.Thread(target=_feed, args=(process, packets), daemon=True)
                feeder.start()
                time.sleep(random.uniform(0.05, 0.8))
                process.kill()
                feeder.join()
        # The radio program has long gone on: frames that no process took are lost by it. Feeding all
        # of them again shows that those accepted are not accepted twice.
        done = run("run", "-q", "-c", str(site), stdin=b"".join(packets), command=HURRIED)
        assert done.returncode == 0, done.stderr.decode()
        assert_everything_arrived_once(Admin(url), total)


def _feed(process: subprocess.Popen[bytes], packets: list[bytes]) -> None:
    assert process.stdin is not None
    try:
        for packet in packets:
            process.stdin.write(packet)
    except BrokenPipeError:
        pass


def test_demo_shows_what_arrived_and_what_was_turned_away() -> None:
    done = run("demo")
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    for said in ("Pond 7", "24.6  24.5  24.7", "31.5  32.25", "mic ", "replay ", "unknown-device ", "damaged "):
        assert said in text


def test_replay_that_is_interrupted_says_that_the_file_is_not_done(tmp_path: Path) -> None:
    site = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    os.mkfifo(tmp_path / "slow.lowcost")
    with started("replay", "-c", str(site), "slow.lowcost", cwd=tmp_path) as process:
        assert process.stderr is not None
        with (tmp_path / "slow.lowcost").open("wb") as capture:
            capture.write(counting_packet(0))
            capture.flush()
            while b"uplink device=counter-0" not in (line := process.stderr.readline()):
                assert line
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 75
        assert b"stopped before the end of slow.lowcost" in process.stderr.read()


def test_demo_on_a_port_that_is_taken_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = run("demo", "--keep", "--port", str(listener.getsockname()[1]))
    assert done.returncode == 2
    assert b"Address already in use; name another one with --port" in done.stderr
    assert b"Traceback" not in done.stderr


def test_demo_can_be_left_up_to_be_looked_at() -> None:
    with started("demo", "--keep", "--port", "0") as process:
        assert process.stdout is not None
        lines: list[bytes] = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, b"")))  # type: ignore[union-attr]
        reader.start()
        wait_until(lambda: any(b"Ctrl-C ends it" in line for line in lines), "the demo does not come up")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        reader.join()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "-c", "no-such.toml"], 2, "no-such.toml"),
        (["run"], 2, "no configuration"),
        (["nonsense"], 2, "No such command"),
        (["run", "--nonsense"], 2, "No such option"),
        (["--version"], 0, "0.1.0"),
    ],
)
def test_mistake_ends_in_one_clear_line(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in (done.stdout + done.stderr).decode()
    assert b"Traceback" not in done.stderr


def test_frames_without_a_time_get_the_time_of_their_arrival(tmp_path: Path) -> None:
    capture = b"".join(
        seal_lorawan(keys(0), dev_addr(0), n, 2, bytes((1, 2, 0, n))).hex().encode() + b"\n" for n in (1, 2)
    )
    with running_sandbox() as url:
        site = write_site(tmp_path, url)
        site.write_text(site.read_text() + '[[input]]\nurl = "stdin:"\nformat = "lines"\n')
        began = datetime.now(UTC)
        done = run("run", "-c", str(site), stdin=capture)
        ended = datetime.now(UTC)
        assert done.returncode == 0, done.stderr.decode()
        (one, first), (two, second) = Admin(url).rows("counter-0", "analog_in_1")
        assert (one, two) == (0.01, 0.02)
        assert began <= datetime.fromisoformat(str(first)) < datetime.fromisoformat(str(second)) <= ended
