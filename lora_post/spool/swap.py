"""Put a new spool in the place of a damaged one, whole or not at all after a power cut.

The new file is made under another name. Once it is complete, it gets a name that says where the damaged file
goes: from then on every process that opens the spool finishes the change; before that, nothing has happened.

    spool.db.part                      being made; thrown away when it is found
    spool.db.new-20260301T120000Z      complete; the damaged one becomes spool.db.damaged-20260301T120000Z
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lora_post.clocks.scale import now_us, utc_text

# The WAL first: one that is left beside a new file would be played back into that.
_PARTS = ("-wal", "-shm", "")


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock for changing which file is the spool. Raises OSError."""
    fd = os.open(f"{path}-rescue", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def part_of(path: Path) -> Path:
    """Return where the new file is made."""
    return path.with_name(f"{path.name}.part")


def throw_away_part(path: Path) -> None:
    """Delete what is left of a file that was not completed. Raises OSError."""
    for suffix in _PARTS:
        Path(f"{part_of(path)}{suffix}").unlink(missing_ok=True)


def declare_complete(path: Path) -> Path:
    """Begin the change: the new file is whole, closed and without WAL. Raises OSError."""
    sync(part_of(path))
    new = _free_name(path)
    part_of(path).rename(new)
    sync(path.parent)
    return new


def complete_one(path: Path) -> Path | None:
    """Return a new file whose change was cut off, None when there is none."""
    return next(iter(sorted(path.parent.glob(f"{_escaped(path.name)}.new-*"))), None)


def aside_of(path: Path, new: Path) -> Path:
    """Return where the damaged file goes that this new one replaces."""
    return path.with_name(f"{path.name}.damaged-{_date_of(path, new)}")


def swap(path: Path, new: Path) -> None:
    """Put the new file in the place of the damaged one; go on after a cut. Raises OSError."""
    aside = aside_of(path, new)
    if aside.exists() and path.exists():
        new.unlink()  # an earlier lora-post has begun a file of its own meanwhile, and may have kept readings in it
        return
    set_aside(path, aside)
    new.rename(path)
    sync(path.parent)


def set_aside(path: Path, aside: Path) -> None:
    """Rename the damaged file and what belongs to it. Raises OSError."""
    for suffix in _PARTS:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    sync(path.parent)


def _free_name(path: Path) -> Path:
    """Return a name with the date that is not taken yet: the clock may stand still."""
    date = utc_text(now_us())[:19].replace("-", "").replace(":", "")
    names = (path.with_name(f"{path.name}.new-{date}Z{suffix}") for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(name for name in names if not name.exists() and not aside_of(path, name).exists())


def _date_of(path: Path, new: Path) -> str:
    return new.name.removeprefix(f"{path.name}.new-")


def _escaped(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
