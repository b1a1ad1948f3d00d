"""A server of a fleet as `fleet init` writes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_post.fleet.hub_files import Hub
from tests.support.nats_servers import SERVER
from tests.support.ports import free_port


def free_hub() -> Hub:
    """A place for a server on this machine."""
    return Hub("127.0.0.1", free_port())


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
