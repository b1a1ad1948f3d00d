"""Running the sandbox: in the foreground for the command, in a thread for tests and the demo."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from starlette.middleware import Middleware

from lora_post.clocks.scale import now_us
from lora_post.sandbox.app import create_app
from lora_post.sandbox.endpoint import Clock, Settings
from lora_post.sandbox.fault_middleware import Door, FaultMiddleware
from lora_post.sandbox.faults import Faults
from lora_post.sandbox.state import State
from lora_post.web.serving import base_url, http_server, listen, running

API_PATH = "/api/v2"
DEFAULT_HOST = "127.0.0.1"


@contextmanager
def running_sandbox(
    settings: Settings | None = None,
    *,
    file: Path | None = None,
    clock: Clock = now_us,
    host: str = DEFAULT_HOST,
    port: int = 0,
    faults: Faults | None = None,
) -> Iterator[str]:
    """Run a sandbox in a thread of this process; gives its API url, as http://127.0.0.1:40123/api/v2.

    faults: what goes wrong. The server takes connections when this returns and has ended, with all its
    threads, when the block ends. Raises SpoolError for a bad file and OSError when the port is taken.
    """
    with closing(State(file)) as state, listen(host, port) as listener:
        server = _server(state, settings or Settings(), clock, faults)
        with running(server, listener, "sandbox"):
            yield base_url(listener) + API_PATH


def serve(
    settings: Settings,
    *,
    file: Path | None,
    host: str,
    port: int,
    announce: Callable[[str], None],
    faults: Faults | None = None,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM.

    faults: what goes wrong. announce: gets the base url, as http://127.0.0.1:8008, once connections are taken.
    Raises SpoolError for a bad file and OSError when the port is taken.
    """
    with closing(State(file)) as state, listen(host, port) as listener:
        server = _server(state, settings, now_us, faults)
        # uvicorn raises the signal again when it has ended; these handlers then have nothing to do.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        announce(base_url(listener))
        server.run([listener])


def _server(state: State, settings: Settings, clock: Clock, faults: Faults | None) -> uvicorn.Server:
    if faults is None:
        return http_server(create_app(state, settings, clock))
    door = Door()
    around = Middleware(FaultMiddleware, faults=faults, door=door, api_path=API_PATH)
    server = http_server(create_app(state, settings, clock, [around]))
    door.belongs_to(server)
    return server
