"""`radio program | lora-post run`, with real processes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import COMMAND, write_site

LINE = b'May 09 00:10:26 pi fwd[1]: JSON up: {"rxpk":[{"freq":868.1,"stat":1,"data":"QANcqwEAAAACxT+q1Ckpr7zYNLxj"}]}\n'
C_PROGRAM = ("cut", "-b1-")
"""Passes its input on, by the C library's output functions."""


@contextmanager
def run_behind(program: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`program | lora-post run`, in the site of this folder; gives the program, and what run has said."""
    log, pipe = folder / "log", subprocess.PIPE
    site = write_site(folder, "http://127.0.0.1:1/")
    site.write_text(site.read_text() + '\n[[input]]\nurl = "stdin:"\nformat = "rxpk"\n')
    command = [COMMAND, "run", "-c", site, "--dry-run"]
    with (
        log.open("wb") as said,
        subprocess.Popen(program, stdin=pipe, stdout=pipe, bufsize=0) as radio,
        subprocess.Popen(command, stdin=radio.stdout, stdout=said, stderr=said) as run,
    ):
        assert radio.stdout is not None
        radio.stdout.close()
        try:
            yield radio, log
        finally:
            radio.kill()
            run.kill()
