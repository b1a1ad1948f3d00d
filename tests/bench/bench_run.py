"""What a frame costs the command as it is run: frames in a pipe, from its first byte to its end.

    python -m tests.bench run [--frames N] [--rounds N]

CPU time of the process, all threads, by the kernel's account, less that of the same command with a single frame. The
ways of running it take turns; of each the median, the least and the most of the rounds, and the median of the ratios to
the quiet command in the same round. The server is away: what uploading costs is bench_upload.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.bench.turns import by_turns, ratio, spread
from tests.support.command import COMMAND, counting_packet, write_site
from tests.support.ports import free_port

WAYS = {
    "quiet (-q)": ("-q",),
    "with the default log": (),
    "quiet, with the status page": ("-q", "--status", "127.0.0.1:{port}"),
    "with both, as the service has it": ("--status", "127.0.0.1:{port}"),
}
QUIET = next(iter(WAYS))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    frames = b"".join(map(counting_packet, range(chosen.frames)))

    def used(arguments: tuple[str, ...]) -> float:
        return (cpu_s(arguments, frames) - cpu_s(arguments, counting_packet(0))) / (chosen.frames - 1) * 1e6

    found = by_turns({way: partial(used, arguments) for way, arguments in WAYS.items()}, chosen.rounds)
    for way, each in found.items():
        sys.stdout.write(f"{way:34} {spread(each)} µs a frame, × {ratio(each, found[QUIET]):.2f}\n")


def cpu_s(arguments: tuple[str, ...], frames: bytes) -> float:
    """Seconds of CPU that a run takes for these frames, start and end included."""
    with tempfile.TemporaryDirectory() as folder:
        site = write_site(Path(folder), f"http://127.0.0.1:{free_port()}")
        given = [argument.format(port=free_port()) for argument in arguments]
        command = [COMMAND, "run", "-c", str(site), "--drain-timeout", "0", *given]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
            assert process.stdin is not None
            process.stdin.write(frames)
            process.stdin.close()
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 75, (Path(folder) / "log").read_text()[-2000:]
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
