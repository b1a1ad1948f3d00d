"""Running the sandbox: in the foreground for the command, in a thread for tests and the demo."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from lora_post.sandbox.app import create_app
from lora_post.sandbox.endpoint import Clock, Settings
from lora_post.sandbox.state import State

API_PATH = "/api/v2"
DEFAULT_HOST = "127.0.0.1"
# The real server's HTTP library keeps an idle connection for 30 s.
_KEEP_ALIVE_S = 30
# An upload that hangs must not hold up the end.
_GRACE_S = 2
_BACKLOG = 128


def clock_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@contextmanager
def running_sandbox(
    settings: Settings | None = None,
    *,
    file: Path | None = None,
    clock: Clock = clock_us,
    host: str = DEFAULT_HOST,
    port: int = 0,
    middleware: Sequence[Middleware] = (),
) -> Iterator[str]:
    """A sandbox in a thread of this process; gives its API url, as http://127.0.0.1:40123/api/v2.

    The server takes connections when this returns and has ended, with all its threads, when the
    block ends. Raises StoreError for a bad file and OSError when the port is taken.
    """
    with closing(State(file)) as state, _listener(host, port) as listener:
        server = _server(create_app(state, settings or Settings(), clock, middleware))
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox")
        thread.start()
        try:
            yield base_url(listener) + API_PATH
        finally:
            server.should_exit = True
            thread.join()


def serve(settings: Settings, *, file: Path | None, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve in the foreground until SIGINT or SIGTERM.

    announce: gets the base url, as http://127.0.0.1:8008, once connections are taken.
    Raises StoreError for a bad file and OSError when the port is taken.
    """
    with closing(State(file)) as state, _listener(host, port) as listener:
        server = _server(create_app(state, settings, clock_us))
        # uvicorn raises the signal again when it has ended; these handlers then have nothing to do.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        announce(base_url(listener))
        server.run([listener])


def base_url(listener: socket.socket) -> str:
    """Where a listening socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listener(host: str, port: int) -> socket.socket:
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


def _server(app: Starlette) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config)
