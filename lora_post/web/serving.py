"""Serve pages: a listening socket, the server behind it, and the files that all pages share."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Final

import uvicorn
from starlette.applications import Starlette

from lora_post.web.guard import MAX_HEAD, GuardedProtocol, GuardedServer, max_waiting

SHARED: Final = {
    "/web/look.css": ("css", "look.css"),
    "/web/parts.js": ("javascript", "parts.js"),
}
"""Path → kind of text, as in text/css, and file name."""
# The real Waziup server's HTTP library keeps an idle connection for 30 s.
_KEEP_ALIVE_S: Final = 30
# An upload or a page that hangs must not hold up the end.
_GRACE_S: Final = 2
_BACKLOG: Final = 128


def listen(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; port 0 takes a free one. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's delay of 40 ms off; socket.create_server does not name it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def base_url(listener: socket.socket) -> str:
    """Return the URL of a listening socket on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def http_server(app: Starlette) -> uvicorn.Server:
    """Return a server for anybody who can connect: connections, heads and idle time have limits.

    It logs nothing by itself and does not name its software.
    """
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        backlog=max_waiting(),
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return GuardedServer(config)


@contextmanager
def serving(app: Starlette, listener: socket.socket, name: str) -> Iterator[None]:
    """Serve in a thread of this name as long as the block runs."""
    with running(http_server(app), listener, name):
        yield


@contextmanager
def running(server: uvicorn.Server, listener: socket.socket, name: str) -> Iterator[None]:
    """Run this server in a thread of this name until the block ends, and the thread with it."""
    thread = threading.Thread(target=server.run, args=([listener],), name=name)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@cache
def page_file(package: str, name: str) -> bytes:
    """Return a file of the folder `static` of a package."""
    return resources.files(package).joinpath("static", name).read_bytes()
