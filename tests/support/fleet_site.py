"""A server of a fleet as `fleet init` writes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_post.fleet.hub_files import CLUSTER, Hub
from tests.support.nats_servers import SERVER, free_ports


def free_hub() -> Hub:
    """A place for a server on this machine."""
    while True:
        (port,) = free_ports(1)
        if port + 2 * CLUSTER < 65536:
            return Hub("127.0.0.1", port)


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """Run the server of a folder as long as the block does."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([SERVER, "-c", "nats.conf"], cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()
