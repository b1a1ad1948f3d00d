"""docs/add-a-destination.md: its example, added to a copy of the program as the page says, gets real readings."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import blocks
from tests.support.command import DEVICES, PATIENCE_S, counting_packet, write_site
from tests.support.paths import DOCS, ROOT

PAGE = DOCS / "add-a-destination.md"
PYTHON, LINE, TABLE = (block.text for block in blocks("python", "text") if block.page == PAGE)

pytestmark = pytest.mark.usefixtures("believed_clock")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with the page's file and line."""
    folder = tmp_path_factory.mktemp("program")
    for name in ("lora_post", "decoders"):
        shutil.copytree(ROOT / name, folder / name)
    (name,) = re.findall(r"^`(lora_post/sinks/\w+\.py)`:$", PAGE.read_text("utf-8"), re.MULTILINE)
    (folder / name).write_text(PYTHON, "utf-8")
    registry = folder / "lora_post" / "sinks" / "__init__.py"
    imported, entry = LINE.splitlines(keepends=True)
    text = registry.read_text("utf-8")
    for added, before in ((imported, "from lora_post.sinks.destination "), (entry, "}\n")):
        assert text.count(before) == 1
        text = text.replace(before, added + before)
    registry.write_text(text, "utf-8")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration with this destination alone."""
    path = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    text = path.read_text()
    path.write_text(text.replace(text[text.index("[waziup]") : text.index("[spool]")], TABLE))
    return path


def lora_post(program: Path, *arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "lora_post", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(program)},
        cwd=program,
        input=stdin,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


def rows(site: Path) -> list[list[str]]:
    with (site.parent / "readings.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_run_and_replay_send_every_reading_once(program: Path, site: Path) -> None:
    heard = [counting_packet(n) for n in range(4 * DEVICES)]
    done = lora_post(program, "run", "-c", site, stdin=b"".join(heard[: 2 * DEVICES]))
    assert done.returncode == 0, done.stderr.decode()
    assert rows(site)[0] == ["2026-09-21T14:13:20Z", "counter-0", "analog_in_1", "0.0", ""]
    (site.parent / "all.lowcost").write_bytes(b"".join(heard))
    done = lora_post(program, "replay", site.parent / "all.lowcost", "-c", site)
    assert done.returncode == 0, done.stderr.decode()
    found = rows(site)
    assert len(found) == len({tuple(row) for row in found}) == 2 * 4 * DEVICES
    counted = [float(row[3]) for row in found if row[1:3] == ["counter-0", "analog_in_1"]]
    assert sorted(counted) == [0.0, 0.01, 0.02, 0.03]


@pytest.mark.long
def test_line_that_a_power_cut_left_unfinished_is_cut_off(program: Path, site: Path) -> None:
    (site.parent / "readings.csv").write_bytes(b"2026-09-21T14:13:20Z,counter-0,analog_in_1,0.0,\n2026-09-21T14:1")
    assert lora_post(program, "run", "-c", site, stdin=counting_packet(1)).returncode == 0
    assert [row[1] for row in rows(site)] == ["counter-0", "counter-1", "counter-1"]


@pytest.mark.long
def test_file_that_cannot_be_written_keeps_the_readings_in_the_queue(program: Path, site: Path) -> None:
    (site.parent / "readings.csv").mkdir()
    done = lora_post(program, "run", "-c", site, "--drain-timeout", "0", stdin=counting_packet(0))
    assert done.returncode == 75
    assert b"csv_file: 2 readings left in the spool" in done.stderr
    assert b"queued     2 readings" in lora_post(program, "spool", "-c", site).stdout


@pytest.mark.long
def test_check_service_and_the_configuration_know_it(program: Path, site: Path) -> None:
    checked = lora_post(program, "check", "-c", site, "--offline").stdout.decode()
    assert re.search(rf"(?m)^ok +csv_file +{site.parent}/readings.csv can be written$", checked)
    site.write_text(site.read_text().replace("readings.csv", "no/such/folder/readings.csv"))
    checked = lora_post(program, "check", "-c", site, "--offline").stdout.decode()
    assert re.search(r"(?m)^FAIL +csv_file +this user may not write ", checked)
    assert "fix: run: sudo install -d -o $USER " in checked
    site.write_text(site.read_text().replace("no/such/folder/readings.csv", "/srv/lora/readings.csv"))
    units = lora_post(program, "service", "print", "-c", site, "--", "/bin/cat").stdout.decode()
    assert re.search(r"(?m)^ReadWritePaths=/srv/lora$", units)
    site.write_text(site.read_text().replace('path = "/srv', 'paht = "/srv'))
    assert b"[csv_file]: unknown key 'paht'; did you mean 'path'?" in lora_post(program, "run", "-c", site).stderr


def test_example_keeps_to_the_style_of_the_code(program: Path) -> None:
    for words in (["check"], ["format", "--check"]):
        command = ["ruff", *words, "-q", "--config", ROOT / "pyproject.toml", program / "lora_post/sinks"]
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
