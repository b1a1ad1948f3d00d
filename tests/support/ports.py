"""Ports for servers that are started later, or never: nobody else has one in between.

What the kernel hands out may be another test's a moment later, and a connection to a port of that range where nothing
listens may meet itself. These lie below it, and all processes of this user count through them.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, BEHIND = 10_000, 16_000
"""A server of a fleet has two more, 2,000 and 4,000 above; from 20,000 on are those of `lora-post fleet demo`."""
_COUNT = Path(tempfile.gettempdir()) / f"lora-post-tests-ports-{os.getuid()}"


def free_port() -> int:
    """Return a port that has no server, TCP or UDP, and is nobody else's while thousands are asked for."""
    while True:
        port = FIRST + _next() % (BEHIND - FIRST)
        if _is_free(port):
            return port


def _next() -> int:
    with _COUNT.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        number = int(file.read() or os.getpid())
        file.truncate(0)
        file.write(str(number + 1))
    return number


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
