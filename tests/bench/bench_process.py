"""What the installed command costs: start-up, memory over many frames, CPU at one frame a second.

python -m tests.bench process [--frames N]

Medians, with the least and the most; start-up by turns with the bare interpreter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.bench.turns import by_turns, spread
from tests.support.command import (
    COMMAND,
    DEVICES,
    Admin,
    counting_packet,
    sandbox_process,
    started,
    write_site,
)
from tests.support.ports import free_port

STEADY_S = 60
PART_S = 10
START_UPS = 11


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=30_000)
    frames = options.parse_args().frames
    _start_up()
    with tempfile.TemporaryDirectory() as folder, sandbox_process(free_port()) as url:
        _feed(write_site(Path(folder), url), url, frames)
    with tempfile.TemporaryDirectory() as folder, sandbox_process(free_port()) as url:
        _steady(write_site(Path(folder), url))


def _steady(site: Path) -> None:
    """One frame of two readings a second, each sent at once."""
    with started("run", "-q", "-c", str(site)) as process:
        assert process.stdin is not None
        process.stdin.write(b"".join(counting_packet(n) for n in range(DEVICES)))
        time.sleep(5)  # started, and every device created
        shares = []
        for first in range(DEVICES, DEVICES + STEADY_S, PART_S):
            before = _cpu_s(process.pid)
            for index in range(first, first + PART_S):
                process.stdin.write(counting_packet(index))
                time.sleep(1)
            shares.append((_cpu_s(process.pid) - before) / PART_S * 100)
        sys.stdout.write(
            f"CPU at one frame a second, {STEADY_S // PART_S} × {PART_S} s: {spread(shares, 2)} % of a core\n"
        )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _start_up() -> None:
    works = {
        "lora-post --version": partial(_seconds, COMMAND, "--version"),
        "bare interpreter": partial(_seconds, sys.executable, "-c", "pass"),
    }
    for name, found in by_turns(works, START_UPS).items():
        sys.stdout.write(f"{name}: {spread([each * 1e3 for each in found])} ms\n")


def _seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _feed(site: Path, url: str, frames: int) -> None:
    """Frames as fast as the pipe takes them, to the server and back, memory read on the way."""
    with started("run", "-q", "-c", str(site)) as process:
        assert process.stdin is not None
        for first in range(0, frames, frames // 5):
            process.stdin.write(b"".join(counting_packet(n) for n in range(first, first + frames // 5)))
            sys.stdout.write(f"resident after {first + frames // 5:>8} frames: {_resident_mb(process.pid):.1f} MB\n")
        began = time.perf_counter()
        process.stdin.close()
        code = process.wait(600)
        sys.stdout.write(f"drained in {time.perf_counter() - began:.1f} s more, exit code {code}\n")
    arrived = sum(len(Admin(url).rows(f"counter-{index}", "analog_in_1")) for index in range(DEVICES))
    sys.stdout.write(f"{arrived} of {frames} frames arrived\n")


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    main()
