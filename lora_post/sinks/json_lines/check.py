"""Check the file of [json_lines] without making it."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from lora_post.sinks.finding import Finding, fail, ok

SUBJECT = "json_lines"


def check_json_lines(path: Path | None) -> Finding:
    """Test whether this user can write the file, and its folder, which rotation needs.

    path: None for stdout.
    """
    if path is None:
        return ok(SUBJECT, "stdout")
    folder = path.absolute().parent
    try:
        is_there = path.exists()
        if is_there and not path.is_file():
            return fail(SUBJECT, f"{path} is not a file", 'name another one in [json_lines] path, or "-" for stdout')
    except OSError:  # in a folder that is closed to this user
        is_there = False
    if not folder.exists():
        return fail(SUBJECT, f"there is no folder {folder}", _make(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(SUBJECT, f"this user may not write in {folder}", _make(folder))
    if is_there and not os.access(path, os.R_OK | os.W_OK):
        return fail(SUBJECT, f"this user may not write {path}", f"run: sudo chown $USER {quote(str(path))}")
    return ok(SUBJECT, f"{path} can be written")


def _make(folder: Path) -> str:
    return f"run: sudo install -d -o $USER {quote(str(folder))}"
