"""A real `lora-post run` behind a pipe, and the radio program that feeds it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.chaos import site
from tests.support.command import HURRIED
from tests.support.paths import ROOT

# What the pipe (64 KiB) and one read (64 KiB) can hold of frames that were written and not accepted yet: some 700.
REPLAY_BUFFER = 1500
DRAIN_S = 300
STOP_S = 60


class Gateway:
    """The radio program and the process behind it. written: frames given so far. kills, stops: ends so far."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self.written = 0
        self.kills = self.stops = 0

    def live(self, due: Callable[[], int], over: Callable[[], bool], *, is_killed: bool) -> None:
        """Feed frames as they become due, and end the process when its life is over: with SIGKILL or SIGTERM."""
        with self._start("run", "-q") as process:
            feeder = threading.Thread(target=self._feed, args=(process, due, over))
            feeder.start()
            while not over():
                threading.Event().wait(0.01)
            (process.kill if is_killed else process.terminate)()
            feeder.join()
            process.wait(STOP_S)
        self.kills += is_killed
        self.stops += not is_killed

    def drain(self, frames: int) -> int:
        """Feed the rest and let everything go out; return the exit code."""
        with self._start("run", "-q", "--drain-timeout", str(DRAIN_S)) as process:
            self._feed(process, lambda: frames, lambda: self.written >= frames)
            assert process.stdin is not None
            process.stdin.close()
            return process.wait(DRAIN_S + 60)

    def release(self) -> int:
        """Release parked sensors, as a person does; return how many readings went."""
        command = [sys.executable, "-m", "lora_post", "spool", "retry", "-c", str(self._config)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[0])

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*HURRIED, *arguments, "-c", str(self._config)]
        with (self._config.parent / "log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, cwd=ROOT, bufsize=0)

    def _feed(self, process: subprocess.Popen[bytes], due: Callable[[], int], over: Callable[[], bool]) -> None:
        assert process.stdin is not None
        # Whatever the last process did not come to accept is among these; what it did is recognised.
        self.written = max(0, self.written - REPLAY_BUFFER)
        try:
            while not over():
                until = due()
                while self.written < until:
                    process.stdin.write(site.frame(self.written))
                    self.written += 1
                threading.Event().wait(0.01)
        except BrokenPipeError:
            pass
