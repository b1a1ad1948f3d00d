"""Several destinations over one spool: the installed command, and what is left when one goes."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.errors import Problem
from lora_post.model import Reading
from lora_post.sandbox.server import running_sandbox
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from tests.support.build import NOON_US, report
from tests.support.command import Admin, counting_packet, run, write_site
from tests.support.in_process import lora_post
from tests.support.lanes import ready_lanes
from tests.support.ports import free_port

pytestmark = pytest.mark.usefixtures("believed_clock")

JSON_LINES = '[json_lines]\npath = "readings.jsonl"\n'


def lines(path: Path) -> list[tuple[str, str, object]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [(item["device"], item["sensor"], item["value"]) for item in found]


def site(folder: Path, url: str, extra: str = JSON_LINES) -> Path:
    path = write_site(folder, url)
    path.write_text(path.read_text() + extra)
    return path


def test_each_destination_gets_everything_once(tmp_path: Path) -> None:
    capture = b"".join(counting_packet(n) for n in range(30))
    with running_sandbox() as url:
        config = site(tmp_path, url)
        done = run("run", "-c", str(config), stdin=capture)
        assert done.returncode == 0, done.stderr.decode()
        assert b"delivered=120 (json_lines:60 waziup:60)" in done.stderr
        assert [row[0] for row in Admin(url).rows("counter-1", "analog_in_1")] == [n / 100 for n in range(10)]
    written = lines(tmp_path / "readings.jsonl")
    assert sorted(row[2] for row in written if row[:2] == ("counter-1", "analog_in_1")) == [  # type: ignore[type-var]
        n / 100 for n in range(10)
    ]
    assert len(set(written)) == len(written) == 60


def test_destination_that_is_down_costs_the_others_nothing(tmp_path: Path) -> None:
    config = site(tmp_path, f"http://127.0.0.1:{free_port()}/api/v2")
    capture = b"".join(counting_packet(n) for n in range(6))
    done = run("run", "-c", str(config), "--drain-timeout", "1", stdin=capture)
    assert done.returncode == 75
    assert b"waziup: 12 readings left in the spool; last error: " in done.stderr
    assert b"json_lines: " not in done.stderr
    assert len(lines(tmp_path / "readings.jsonl")) == 12
    status = run("spool", "-c", str(config)).stdout.decode()
    # A reading that waits for two destinations is one measurement: there is no sum of both.
    assert "\nqueued " not in status
    assert "waziup     12 queued, 0 parked, 0 refused" in status
    assert "json_lines 0 queued, 0 parked, 0 refused" in status
    assert "analog_in_1" in status


def test_readings_on_stdout_are_all_that_is_there(tmp_path: Path) -> None:
    config = site(tmp_path, "http://127.0.0.1:9/api/v2", '[json_lines]\npath = "-"\n')
    text = config.read_text()
    config.write_text(text.replace(text[text.index("[waziup]") : text.index("[spool]")], ""))
    done = run("run", "-c", str(config), stdin=counting_packet(0))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["sensor"] for line in done.stdout.splitlines()] == ["analog_in_1", "temperature_2"]


@pytest.fixture
def left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spool with readings for [waziup] and for [mqtt], which is not in the configuration."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "lora-post.toml"
    config.write_text('[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n' + JSON_LINES)
    with closing(SpoolFile(tmp_path / "spool.db")) as store, store.transaction() as db:
        reports = [report(Reading("t", n), time_us=NOON_US + n * 1_000_000) for n in range(3)]
        QueueWriter(store, ["json_lines", "mqtt"], 1 << 30).put(db, reports)
    return config


def test_readings_for_a_destination_that_left_are_reported_and_stay(left_over: Path) -> None:
    done = run("run", "-c", str(left_over))
    assert done.returncode == 0
    assert b"mqtt: 3 readings wait for a destination that is no longer in the configuration" in done.stderr
    assert b"lora-post spool drop --destination mqtt" in done.stderr
    assert len(lines(left_over.parent / "readings.jsonl")) == 3
    assert "mqtt       3 readings wait, and it is no longer in the configuration" in lora_post("spool").out
    assert "3 readings held for mqtt, which is not in the configuration" in lora_post("check", "--offline").out


def test_readings_for_a_destination_that_left_can_be_dropped(left_over: Path) -> None:
    assert lora_post("spool", "drop", "--destination", "mqtt").code == 2  # nobody to ask
    refused = lora_post("spool", "drop", "--destination", "json_lines", "--yes")
    assert (refused.code, "take it out first" in refused.err) == (2, True)
    assert "there is json_lines, mqtt" in lora_post("spool", "drop", "--destination", "mqt", "--yes").err
    assert lora_post("spool", "drop", "--all", "--destination", "mqtt").code == 2
    assert "3 readings deleted" in lora_post("spool", "drop", "--destination", "mqtt", "--yes").out
    with closing(SpoolFile(Path("spool.db"))) as store:
        assert Queue(store, "mqtt").counts().queued == 0
        assert Queue(store, "json_lines").counts().queued == 3


def test_parked_sensor_is_shown_with_its_destination(left_over: Path) -> None:
    with closing(SpoolFile(Path("spool.db"))) as store:
        reader = Queue(store, "json_lines")
        reader.park(ready_lanes(reader)[0], Problem("because"), NOON_US)
    out = lora_post("spool").out
    assert "pond-7/t: 3 readings held back for json_lines since" in out
    assert [line.split()[-1] for line in out.splitlines() if "3 waiting" in line] == ["json_lines", "mqtt"]


def test_run_without_any_destination_says_which_there_are(left_over: Path) -> None:
    left_over.write_text('[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n')
    done = run("run", "-c", str(left_over))
    assert done.returncode == 2
    assert b"nowhere to send to; add one of [waziup], " in done.stderr


def test_offline_check_leaves_every_destination_alone(left_over: Path) -> None:
    left_over.write_text(left_over.read_text() + '[wazigate]\n[mqtt]\nurl = "mqtt://127.0.0.1:9"\n')
    out = lora_post("check", "--offline").out
    assert [line.split()[0] for line in out.splitlines() if line.split()[1] in ("wazigate", "mqtt")] == ["skipped"] * 2


@pytest.mark.parametrize(
    ("path", "verdict"), [("readings.jsonl", "ok"), ("-", "ok"), ("no/such/folder", "FAIL"), (".", "FAIL")]
)
def test_check_tells_whether_the_file_can_be_written(left_over: Path, path: str, verdict: str) -> None:
    left_over.write_text(left_over.read_text().replace("readings.jsonl", path))
    (found,) = (line for line in lora_post("check", "--offline").out.splitlines() if " json_lines " in line[:24])
    assert found.split()[0] == verdict
