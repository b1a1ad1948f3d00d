from __future__ import annotations

import resource
import subprocess
from pathlib import Path

from lora_post.sandbox.server import running_sandbox
from tests.support.command import (
    DEVICES,
    HURRIED,
    PATIENCE_S,
    Admin,
    counting_packet,
    started,
    write_site,
)


def test_input_waits_while_the_disk_is_full_and_nothing_is_lost(tmp_path: Path) -> None:
    """A file that may not grow fails like a disk without room; the room comes back."""
    with (
        running_sandbox() as url,
        started("run", "-c", str(write_site(tmp_path, url)), command=HURRIED) as process,
    ):
        assert process.stdin is not None
        _wait_for(process, b"gateway declared")
        was = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, was[1]))
        process.stdin.write(b"".join(counting_packet(n) for n in range(30)))
        _wait_for(process, b"cannot store readings, input waits")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, was)
        process.stdin.close()
        _wait_for(process, b"storing readings again")
        assert process.wait(PATIENCE_S) == 0
        for index in range(DEVICES):
            values = [value for value, _ in Admin(url).rows(f"counter-{index}", "analog_in_1")]
            assert values == [n / 100 for n in range(30 // DEVICES)]


def _wait_for(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stderr is not None
    seen = b""
    while text not in (line := process.stderr.readline()):
        seen += line
        assert line, seen.decode()
