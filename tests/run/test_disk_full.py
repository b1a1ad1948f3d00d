from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from select import select

import pytest

from lora_post.sandbox.server import running_sandbox
from tests.support.command import (
    DEVICES,
    HURRIED,
    PATIENCE_S,
    Admin,
    counting_packet,
    sandbox_process,
    started,
    write_site,
)
from tests.support.ports import free_port


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


SMALL = (
    sys.executable,
    "-P",
    "-c",
    "from lora_post.cli import main\n"
    "from lora_post.run import ingest\n"
    "from lora_post.spool import spool_file\n"
    "def free_bytes(path):\n"
    "    return (7 << 19) - sum(each.stat().st_size for each in path.parent.glob('spool.db*'))\n"
    "spool_file.free_bytes, ingest.STORE_RETRY_S = free_bytes, 0.2\n"
    "spool_file.KEPT_FREE_BYTES, spool_file._APART_BYTES = 1 << 20, 1 << 18\n"
    "main()\n",
)
"""`lora-post` with a spool on a disk of 3.5 MB, of which one stays free."""


@pytest.mark.long
def test_spool_that_has_filled_its_disk_while_the_server_was_away_is_emptied_once_it_is_back(tmp_path: Path) -> None:
    port, sent = free_port(), 0
    site = write_site(tmp_path, f"http://127.0.0.1:{port}/api/v2")
    with started("run", "-q", "-c", str(site), command=SMALL) as process:
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        left = b""
        while not (said := select([process.stderr], [], [], 0.0)[0]) or b"cannot store" not in said[0].readline():
            assert sent < 200_000
            if not left:
                left, sent = b"".join(counting_packet(n) for n in range(sent, sent + 30)), sent + 30
            left = left[process.stdin.write(left) or 0 :]
        os.set_blocking(process.stdin.fileno(), True)
        with sandbox_process(port) as url:
            _wait_for(process, b"storing readings again")
            process.stdin.write(left)
            process.stdin.close()
            assert process.wait(PATIENCE_S) == 0
            for index in range(DEVICES):
                values = [value for value, _ in Admin(url).rows(f"counter-{index}", "analog_in_1")]
                assert values == [n % 30_000 / 100 for n in range(sent // DEVICES)]


def _wait_for(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stderr is not None
    seen = b""
    while text not in (line := process.stderr.readline()):
        seen += line
        assert line, seen.decode()
