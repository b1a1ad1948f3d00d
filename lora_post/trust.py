"""Which files may be believed: those that nobody else can change."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from lora_post.errors import Problem


def writable_by_others(path: Path) -> Problem | None:
    """Tell that group or world may write to a file; None when not, or when it is not there.

    In a folder with the sticky bit everybody has files of his own only.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if not mode & (stat.S_IWGRP | stat.S_IWOTH) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return None
    return Problem(f"others may write to {path}", f"run: chmod go-w {shlex.quote(str(path))}")


def replaceable_by_others(path: Path) -> Problem | None:
    """Tell how somebody but root and this user could change a file or put another in its place; None when not."""
    whole = path.absolute()
    return next((fault for each in (whole, *whole.parents) if (fault := _of_others(each))), None)


def _of_others(path: Path) -> Problem | None:
    try:
        owner = path.stat().st_uid
    except OSError:
        return None
    if owner not in (0, os.geteuid()):
        fix = f"run: sudo chown root {shlex.quote(str(path))}"
        return Problem(f"{path} belongs to user {owner}, who could change it", fix)
    return writable_by_others(path)
