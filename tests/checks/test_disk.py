from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lora_post.checks.disk import card_errors, check_disk
from lora_post.checks.storage import check_spool
from lora_post.config import parse_config
from lora_post.sinks.finding import Grade

SPOOL = '[gateway]\nid = "gw1"\n[json_lines]\npath = "-"\n[spool]\npath = "disk/spool.db"\n'


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("options", "growth", "verdict", "text"),
    [
        ("size=100m", 1 << 20, Grade.OK, "100.0 MB free"),
        ("size=100m", 90 << 20, Grade.WARNING, "the spool may grow by 90.0 MB"),
        ("size=20m", 1 << 20, Grade.FAIL, "20.0 MB free"),
        ("size=100m,nr_inodes=20", 1 << 20, Grade.FAIL, "more files can be made"),
        ("size=100m,ro", 1 << 20, Grade.FAIL, "is read-only"),
        ("size=0", 1 << 20, Grade.OK, "does not tell how much room it has"),  # without a bound
    ],
)
def test_card_without_room_is_told_before_it_hurts(
    tmp_path: Path, options: str, growth: int, verdict: Grade, text: str
) -> None:
    with mounted(tmp_path / "disk", options) as folder:
        (finding,) = check_disk(folder / "spool.db", growth)
    assert finding.verdict is verdict
    assert text in finding.text
    assert bool(finding.fix) == (verdict is not Grade.OK)


def test_spool_on_a_read_only_card_is_not_blamed_on_its_owner(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m,ro"):
        found = {item.subject: item for item in check_spool(parse_config(SPOOL, tmp_path / "site.toml", {}))}
    assert found["spool"].verdict is Grade.SKIPPED
    assert "dmesg" in found["disk"].fix


def test_errors_that_the_kernel_counted_are_found_by_the_device(tmp_path: Path) -> None:
    device = os.makedev(179, 2)
    assert card_errors(device, tmp_path) == 0
    (tmp_path / "devices/mmcblk0p2").mkdir(parents=True)
    (tmp_path / "dev/block").mkdir(parents=True)
    (tmp_path / "dev/block/179:2").symlink_to("../../devices/mmcblk0p2")
    (tmp_path / "fs/ext4/mmcblk0p2").mkdir(parents=True)
    (tmp_path / "fs/ext4/mmcblk0p2/errors_count").write_text("3\n")
    assert card_errors(device, tmp_path) == 3
