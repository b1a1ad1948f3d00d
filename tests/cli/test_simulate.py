"""Traffic that is made up goes through the real pipeline."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from lora_post.cli import cli
from lora_post.config import load_config
from lora_post.simulate.counters import AHEAD, MAX_FCNT, Counters
from lora_post.simulate.format_writers import WRITERS
from tests.support.command import COMMAND, PATIENCE_S, run, started
from tests.support.in_process import lora_post
from tests.support.ports import free_port


def traffic(*arguments: str) -> bytes:
    """What `lora-post simulate --fast` prints."""
    found = CliRunner().invoke(cli, ["simulate", "--fast", *arguments])
    assert found.exit_code == 0 and found.stderr == ""
    return found.stdout_bytes


def config(folder: Path, *arguments: str) -> Path:
    path = folder / "sim.toml"
    path.write_text(lora_post("simulate", "--config", *arguments).out)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_simulated_uplinks_are_all_accepted_and_look_real(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"sim.{name}"
    path.write_bytes(traffic("--format", name, "--count", "20", "--rate", "0.1"))
    ran = lora_post("replay", path, "-c", config(tmp_path, "--format", name), "--dry-run", "-q")
    uplinks = [json.loads(line) for line in ran.out.splitlines()]
    assert [uplink["refused"] for uplink in uplinks] == [None] * 20
    assert {uplink["device"] for uplink in uplinks} == {f"simulated-{n}" for n in range(4)}
    for uplink in uplinks:
        values = {reading["sensor"]: reading["value"] for reading in uplink["readings"]}
        assert 5 < values["temperature_1"] < 45
        assert 0 <= values["relative_humidity_2"] <= 100
        assert 3 < values["analog_in_3"] < 5


def test_simulate_goes_into_run_through_a_pipe(tmp_path: Path) -> None:
    """As the help shows it."""
    site = config(tmp_path, "--devices", "20")
    command = f"{COMMAND} simulate --devices 20 --rate 500 --count 40 | {COMMAND} run -q -c {site} --dry-run"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=PATIENCE_S, check=True)
    uplinks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [uplink["refused"] for uplink in uplinks] == [None] * 40


def test_counters_go_on_so_that_a_second_run_is_accepted(tmp_path: Path) -> None:
    site = config(tmp_path, "--devices", "4")
    site.write_text(
        site.read_text().partition("[waziup]")[0]
        + '[json_lines]\npath = "out.jsonl"\n[spool]'
        + site.read_text().partition("[spool]")[2]
    )
    simulate = ("simulate", "--devices", "4", "--rate", "500", "--count")
    for sent in ("10", "7"):
        done = run("run", "-c", str(site), stdin=run(*simulate, sent).stdout)
        assert done.returncode == 0
        assert f"uplinks={sent} " in done.stderr.decode() and "refused=" not in done.stderr.decode(), done.stderr
    assert b",0," in run(*simulate, "1", "--seed", "2").stdout


def test_counters_that_cannot_be_remembered_begin_at_0(tmp_path: Path) -> None:
    for text in ("", "x", "-5", str(MAX_FCNT + 1)):
        (tmp_path / "fcnt").write_text(text)
        assert Counters(tmp_path / "fcnt").next == 0
    counters = Counters(tmp_path / "fcnt" / "no folder")
    counters.use(7)
    counters.close()
    assert counters.next == 8


def test_run_that_is_killed_leaves_a_gap_and_no_repeat(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "fcnt")
    for fcnt in range(3):
        counters.use(fcnt)
    assert Counters(tmp_path / "fcnt").next == AHEAD
    counters.close()
    assert Counters(tmp_path / "fcnt").next == 3


def test_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    first, again, other = (traffic("--count", "5", "--seed", seed) for seed in ("7", "7", "8"))
    assert first == again != other


def test_datagrams_reach_a_packet_forwarders_server() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(PATIENCE_S)
        server.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{server.getsockname()[1]}"
        assert lora_post("simulate", "--fast", "--count", "3", "--to", url).code == 0
        datagrams = [server.recv(65536) for _ in range(3)]
    assert {datagram[0:1] + datagram[3:4] for datagram in datagrams} == {b"\x02\x00"}
    assert len({datagram[4:12] for datagram in datagrams}) == 1
    assert [len(json.loads(datagram[12:])["rxpk"]) for datagram in datagrams] == [1, 1, 1]


def test_configuration_for_datagrams_listens_where_they_go(tmp_path: Path) -> None:
    (item,) = load_config(config(tmp_path, "--to", "udp://127.0.0.1:1700")).inputs
    assert item.url == "udp://127.0.0.1:1700"


def test_other_machines_get_made_up_traffic_only_when_told() -> None:
    ran = lora_post("simulate", "--fast", "--count", "1", "--to", "udp://192.0.2.1:1700")
    assert ran.code == 2 and "--allow-remote" in ran.err


def test_simulation_ends_when_it_is_interrupted_and_when_nobody_reads() -> None:
    with started("simulate", "--rate", "1000") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(100)
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == b""
    with started("simulate", "--rate", "1") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"--- rxlora[1]")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_counter_and_duration_are_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.lowcost"
    path.write_bytes(traffic("--fcnt", "70000", "--duration", "3", "--rate", "2", "--devices", "1"))
    ran = lora_post("replay", path, "-c", config(tmp_path, "--devices", "1"), "--dry-run", "-q")
    assert [json.loads(line)["fcnt"] for line in ran.out.splitlines()] == list(range(70_000, 70_006))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--devices", "0"),
        ("--rate", "0"),
        ("--rate", "nan"),
        ("--format", "vhs"),
        ("--format", "reyax", "--devices", "300"),
        ("--to", "tcp://127.0.0.1"),
        ("--to", "udp://"),
        ("--to", "udp://127.0.0.1:99999"),
    ],
)
def test_bad_arguments_are_mistakes_of_the_user(arguments: tuple[str, ...]) -> None:
    assert lora_post("simulate", "--count", "1", *arguments).code == 2


def test_devices_that_join_tell_where_nobody_answers() -> None:
    done = run("simulate", "--join", "--to", f"udp://127.0.0.1:{free_port()}", "--duration", "0.1")
    assert done.returncode == 1
    assert b"no device joined; let `lora-post run` with these devices listen at udp://127.0.0.1" in done.stderr


def test_devices_that_join_need_to_know_where() -> None:
    done = run("simulate", "--join")
    assert done.returncode == 2 and b"say where with --to udp://HOST:PORT" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("region", ["EU868", "US915"])
def test_devices_that_join_are_answered_by_a_run_in_their_time(region: str, tmp_path: Path) -> None:
    """In real time: a device waits five seconds for its join-accept. By a clock of its own: `tests.answered`."""
    url = f"udp://127.0.0.1:{free_port()}"
    options = ("--join", "--devices", "3", "--region", region, "--to", url)
    done = run("simulate", *options, "--config")
    text = re.sub(r"\[waziup\]\n(.+\n)+", '[json_lines]\npath = "out.jsonl"\n', done.stdout.decode())
    (tmp_path / "sim.toml").write_text(text)
    (tmp_path / "sim.toml").chmod(0o600)
    with started("run", "-c", "sim.toml", cwd=tmp_path) as process:
        told = run("simulate", *options, "--rate", "5", "--count", "6", "--duration", "90").stderr.decode()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S)
    assert "devices=3 joined=3" in told and told.endswith("complaints=0\n"), told + log.decode()
    taken = log.count(b" uplink device=")  # a confirmed one that goes again is one; the newest may not have been sent
    assert taken > 0, log.decode()
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2 * taken, log.decode()
