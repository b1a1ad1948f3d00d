"""Check the file system that the spool is on, usually an SD card."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from lora_post.sinks.finding import Finding, fail, ok, warning
from lora_post.text import megabytes, plural

SUBJECT: Final = "disk"
# Beside the bound of its data, SQLite's write-ahead log and the system need room.
SPARE_BYTES: Final = 32 << 20
NEARLY_FULL: Final = 0.05
SPARE_FILES: Final = 100
SYS: Final = Path("/sys")


def check_disk(path: Path, growth: int, sys: Path = SYS) -> Iterator[Finding]:
    """Yield whether a file may grow by so many bytes, and what the kernel knows of the card."""
    there = nearest_folder(path)
    stats = os.statvfs(there)
    free, total = stats.f_bavail * stats.f_frsize, stats.f_blocks * stats.f_frsize
    text = f"{megabytes(free)} free on the disk of {there}"
    if stats.f_flag & os.ST_RDONLY:
        text = f"the disk of {there} is read-only; the kernel makes it so when an SD card begins to fail"
        yield fail(
            SUBJECT, text, "see why: sudo dmesg | grep -iE 'mmc|ext4'; replace the card, or: sudo mount -o remount,rw /"
        )
    elif not stats.f_blocks:
        yield ok(SUBJECT, f"the file system of {there} does not tell how much room it has")
    elif free < SPARE_BYTES:
        yield fail(SUBJECT, text, "make room: nothing can be kept on a full disk")
    elif stats.f_files and stats.f_favail < SPARE_FILES:
        # f_files is 0 where files are not counted, as on btrfs.
        text = f"{stats.f_favail} more files can be made on the disk of {there}, however much room there is"
        yield fail(SUBJECT, text, "remove small files that are not needed: sudo du --inodes -x / | sort -n | tail")
    elif free < growth + SPARE_BYTES:
        fix = "make room, or lower [spool] max_mb"
        yield warning(SUBJECT, f"{text}, and the spool may grow by {megabytes(growth)}", fix)
    elif free < NEARLY_FULL * total:
        yield warning(SUBJECT, f"{text}, less than a twentieth of it", "make room: sudo journalctl --vacuum-size=50M")
    else:
        yield ok(SUBJECT, text)
    errors = card_errors(there.stat().st_dev, sys)
    if errors:
        text = f"the file system of {there} has had {plural(errors, 'error')} since its last check"
        yield warning(SUBJECT, text, "the card may be failing: copy the spool and the configuration, and replace it")


def is_read_only(path: Path) -> bool:
    """Tell whether the disk of this file is read-only."""
    return bool(os.statvfs(nearest_folder(path)).f_flag & os.ST_RDONLY)


def card_errors(device: int, sys: Path = SYS) -> int:
    """Return how many errors an ext4 file system has counted, 0 for other ones.

    Source: Linux Documentation/ABI/testing/sysfs-fs-ext4.
    """
    with suppress(OSError, ValueError):
        name = (sys / f"dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        return int((sys / "fs/ext4" / name / "errors_count").read_text("ascii"))
    return 0


def nearest_folder(path: Path) -> Path:
    """Return the folder of a file, or the folder that its folder would be made in."""
    return next(folder for folder in path.absolute().parents if is_there(folder) and folder.is_dir())


def is_there(path: Path) -> bool:
    """Tell whether it exists, as far as this user can see."""
    try:
        return path.exists()
    except OSError:  # in a folder that is closed to this user
        return False
