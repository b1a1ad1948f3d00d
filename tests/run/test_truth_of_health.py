"""What /healthz and /readyz say of the real command while something is wrong."""

from __future__ import annotations

import resource
from pathlib import Path

import requests

from tests.support.command import (
    HURRIED,
    PATIENCE_S,
    counting_packet,
    free_port,
    sandbox_process,
    started,
    wait_until,
    write_site,
)
from tests.support.serial_port import Port


def says(url: str, text: str) -> bool:
    """Whether the answer names this; with "" whether all is well."""
    try:
        answer = requests.get(url, timeout=PATIENCE_S)
    except requests.ConnectionError:
        return False
    return (answer.status_code, text in answer.text) == ((503, True) if text else (200, True))


def test_ready_is_who_has_an_input_a_spool_and_a_server(tmp_path: Path) -> None:
    """One run through all of it: unplugged, no server, no room; the process itself is never at fault."""
    port, page, server = Port(tmp_path / "tty"), f"127.0.0.1:{free_port()}", free_port()
    site = write_site(tmp_path, f"http://127.0.0.1:{server}/api/v2")
    site.write_text(site.read_text() + f'\n[[input]]\nurl = "serial://{port.path}"\n')
    with started("run", "-c", str(site), "--status", page, "-q", command=HURRIED) as process:
        ready, healthy = f"http://{page}/readyz", f"http://{page}/healthz"
        wait_until(lambda: says(ready, f"input {port.path}: No such file or directory; is it plugged in"), "no word")
        port.plug_in()
        wait_until(lambda: says(ready, "waziup: "), "it does not miss the server")
        wait_until(lambda: not says(ready, f"input {port.path}"), "the port is not back")
        with sandbox_process(server):
            wait_until(lambda: says(ready, ""), "it is not ready")
            was = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, was[1]))
            port.write(counting_packet(0))
            wait_until(lambda: says(ready, "spool: "), "it does not miss the room")
            assert says(healthy, "")
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, was)
            wait_until(lambda: says(ready, ""), "it is not ready again")
        port.unplug()
