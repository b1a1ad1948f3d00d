"""A program that keeps its lines back is noticed, and one that passes them on is not accused of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lora_post.inputs.blocks import Blocks
from lora_post.run.ingest import READ_TIMEOUT_S
from tests.support.command import COMMAND, PATIENCE_S, wait_until, write_site

LINE = b'May 09 00:10:26 pi fwd[1]: JSON up: {"rxpk":[{"freq":868.1,"stat":1,"data":"QANcqwEAAAACxT+q1Ckpr7zYNLxj"}]}\n'
C_PROGRAM = ("cut", "-b1-")
PYTHON_PROGRAM = ("-E", "-c", "import sys\nfor line in sys.stdin: print(line, end='')")
SAYS = "stdin: lines arrive late, in blocks of"


@contextmanager
def run_behind(program: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`program | lora-post run`, in the site of this folder; gives the program, and what run has logged."""
    log, pipe = folder / "log", subprocess.PIPE
    site = write_site(folder, "http://127.0.0.1:1/")
    site.write_text(site.read_text() + '\n[[input]]\nurl = "stdin:"\nformat = "rxpk"\n')
    with (
        log.open("wb") as said,
        subprocess.Popen(program, stdin=pipe, stdout=pipe, bufsize=0) as radio,
        subprocess.Popen(
            [COMMAND, "run", "-c", site, "--dry-run"], stdin=radio.stdout, stdout=said, stderr=said
        ) as run,
    ):
        assert radio.stdout is not None
        radio.stdout.close()
        try:
            yield radio, log
        finally:
            radio.kill()
            run.kill()


def block(size: int, start: int = 0) -> bytes:
    """The next bytes of an output of lines."""
    lines = LINE * (2 + (start + size) // len(LINE))
    return lines[start : start + size]


@pytest.mark.parametrize(
    ("program", "size"), [(C_PROGRAM, 4), ((sys.executable, *PYTHON_PROGRAM), 8)], ids=["C", "Python"]
)
def test_program_that_keeps_lines_back_is_told_of(program: Sequence[str], size: int, tmp_path: Path) -> None:
    with run_behind(program, tmp_path) as (radio, log):
        assert radio.stdin is not None
        deadline = time.monotonic() + PATIENCE_S
        while SAYS not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            radio.stdin.write(LINE)
            time.sleep(2 * READ_TIMEOUT_S / (size * 1024 / len(LINE)))
        assert f"{SAYS} {size} kB; start the radio program with `stdbuf -oL`" in log.read_text()


@pytest.mark.parametrize(
    "program", [("stdbuf", "-oL", *C_PROGRAM), (sys.executable, "-u", *PYTHON_PROGRAM)], ids=["C", "Python"]
)
def test_advised_command_passes_each_line_on(program: Sequence[str], tmp_path: Path) -> None:
    with run_behind(program, tmp_path) as (radio, log):
        assert radio.stdin is not None
        for number in range(1, 4):
            radio.stdin.write(LINE)
            wait_until(lambda number=number: log.read_text().count('"refused":{') == number, "not heard")  # type: ignore[misc]
        assert SAYS not in log.read_text()


@pytest.mark.parametrize("size", [1024, 4096, 8192])
def test_blocks_are_noticed_wherever_they_cut_a_line(size: int) -> None:
    for start in range(len(LINE)):
        blocks = Blocks()
        said = [blocks.come(each) for each in (b"", block(size, start), b"", block(size, start + size), b"", LINE)]
        assert said == [False, False, False, True, False, False]  # once


@pytest.mark.parametrize(
    "reads",
    [
        [b"", LINE * 36, b"", LINE, b"", LINE * 36, b"", LINE],  # a burst now and then
        [b"", block(4096), block(4096), block(4096)],  # it was not silent: nobody read
        [b"", LINE * 60, b"", LINE * 61],  # kept lines of a broker
        [b"", b"x" * 4096, b"", b"x" * 4096],  # one long line
    ],
)
def test_what_comes_at_once_for_another_reason_is_not_a_block(reads: list[bytes]) -> None:
    blocks = Blocks()
    assert not any(blocks.come(each) for each in reads)
