"""Keep a server from costing more than it is worth: connections, memory, descriptors and log lines have limits.

The pipeline comes first: whatever is asked of the page, the descriptors of a process are mostly not the page's.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import time
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 64
SHARE_OF_DESCRIPTORS: Final = 8
"""Of so many descriptors that the process may have, one is the page's."""
MAX_WAITING: Final = 16
"""Connections that the kernel keeps until they are accepted."""
MAX_HEAD: Final = 16 << 10
HEAD_S: Final = 10.0
"""From the first byte of a request to the end of its head; the first request may begin as late."""
STUCK_S: Final = 60.0
"""How long a client may not take what it has asked for."""
SAY_EVERY_S: Final = 60.0

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def max_connections() -> int:
    """Return how many connections the page may have at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft < 0 else max(1, min(MAX_CONNECTIONS, soft // SHARE_OF_DESCRIPTORS))


def max_waiting() -> int:
    """Return how many connections may wait to be accepted: asyncio accepts all of them before the limit can be seen."""
    return max(1, min(MAX_WAITING, max_connections() // 2))


class SeldomLog:
    """Log lines, of which each kind is written once a minute at most."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}

    def may_say(self, kind: str) -> bool:
        """Return whether a line of this kind may be written now; it counts as written then."""
        now = time.monotonic()
        if now < self._said_at.get(kind, -SAY_EVERY_S) + SAY_EVERY_S:
            return False
        self._said_at[kind] = now
        return True


class _Deadline:
    """When a connection is closed if it does not get on."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, within_s: float) -> None:
        """Close the connection after this time; a time that has begun goes on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(within_s, self._transport.abort)

    def end(self) -> None:
        """Leave the connection open: it has made progress."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class GuardedProtocol(H11Protocol):
    """One connection that must get on, of not too many."""

    _is_turned_away = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._asking, self._taking = _Deadline(transport), _Deadline(transport)
        limit = max_connections()
        if len(self.connections) >= limit:
            self._is_turned_away = True
            transport.abort()
            if _seldom.may_say("connections"):
                log.warning("refusing HTTP connections: there are %d, which is all that there may be", limit)
            return
        super().connection_made(transport)
        self._asking.begin(HEAD_S)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            self._taking.begin(STUCK_S)
        if self.cycle is not None and not self.cycle.response_complete:
            self._asking.end()
        else:
            self._asking.begin(HEAD_S)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._taking.begin(STUCK_S)

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # to close it would wait for a client that takes nothing

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking.begin(STUCK_S)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taking.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._asking.end()
        self._taking.end()
        if not self._is_turned_away:
            super().connection_lost(exc)


class GuardedServer(uvicorn.Server):
    """A server that does not fill the log when it cannot take connections."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_on_exception)
        await super().startup(sockets)


_seldom = SeldomLog()


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio itself tries again after a second.
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        if _seldom.may_say("accept"):
            log.warning("cannot take HTTP connections, trying again: %s", error.strerror)
    elif _seldom.may_say("defect"):
        loop.default_exception_handler(context)
