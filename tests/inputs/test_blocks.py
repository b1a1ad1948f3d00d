"""A program that keeps its lines back is noticed, and one that passes them on is not accused of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from lora_post.inputs.blocks import Blocks
from lora_post.run.ingest import READ_TIMEOUT_S
from tests.support.command import PATIENCE_S, wait_until
from tests.support.radio_program import C_PROGRAM, LINE, run_behind

PYTHON_PROGRAM = ("-E", "-c", "import sys\nfor line in sys.stdin: print(line, end='')")
SAYS = "stdin: lines arrive late, in blocks of"


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
