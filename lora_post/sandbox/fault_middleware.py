"""Makes faults happen: around the application, and at the connection and the listening socket below it."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lora_post.sandbox.faults import Ending, Fault, Faults
from lora_post.web.guard import GuardedProtocol
from lora_post.web.serving import listen

_CONNECTION: Final = "lora_post.connection"
_PIECE: Final = 64  # bytes, what a slow line carries at a time
_NOISE_BYTES: Final = 200
_AGAIN_S: Final = 0.05


class Door:
    """The listening socket of a running server, which a fault can shut for a while."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._opening: asyncio.Task[None] | None = None

    def belongs_to(self, server: uvicorn.Server) -> None:
        """Take the server that listens; to be called before it runs."""
        self._server = server
        server.config.http = _Protocol

    def shut_for(self, seconds: float) -> None:
        """Take no connections for so long; those that there are stay."""
        if self._opening is None and self._server is not None:
            host, port = self._server.servers[0].sockets[0].getsockname()[:2]
            for each in self._server.servers:
                each.close()
            self._opening = asyncio.create_task(self._reopen(self._server, host, port, seconds))

    async def _reopen(self, server: uvicorn.Server, host: str, port: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while not server.should_exit:
            try:
                await server.startup(sockets=[listen(host, port)])
                break
            except OSError:  # somebody's outgoing connection has this port just now
                await asyncio.sleep(_AGAIN_S)
        self._opening = None


class _Protocol(GuardedProtocol):
    """The guarded one, and each request knows the connection that it came by."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = partial(_with_connection, self.app, transport)


async def _with_connection(app: Any, connection: asyncio.Transport, scope: Scope, receive: Receive, send: Send) -> None:
    scope[_CONNECTION] = connection
    await app(scope, receive, send)


class FaultMiddleware:
    """Serves requests as `faults` decides."""

    def __init__(self, app: ASGIApp, faults: Faults, door: Door, api_path: str) -> None:
        self._app = app
        self._faults = faults
        self._door = door
        self._api_path = api_path
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None
        if scope["path"].startswith(self._api_path):  # the page is not part of the server
            fault = self._faults.choose(f"{scope['method']} {scope['path'].removeprefix(self._api_path)}")
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.late_s:
            self._do_later(fault, scope, await _whole(receive))
        if fault.delay_s:
            came, receive = _now(), await _whole(receive)
            await asyncio.sleep(fault.delay_s)
            if _now() - came > fault.latest_s:
                await self._end(Fault(fault.kind, Ending.CUT), scope, receive, send, [])
                return
        if fault.as_guest:
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"authorization"]}
        if fault.bytes_per_s:
            receive, send = partial(_receive_slowly, receive, fault.bytes_per_s), _SlowSend(send, fault.bytes_per_s)
        if fault.ending is Ending.ANSWER:
            await self._app(scope, receive, send)
            return
        answer: list[Message] = []
        if fault.carried_out:
            await self._app(scope, receive, partial(_keep, answer))
        await asyncio.sleep(fault.stall_s)
        await self._end(fault, scope, receive, send, answer)

    def _do_later(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        task = asyncio.create_task(self._do_late(fault, scope, receive))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _do_late(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        came = _now()
        await asyncio.sleep(fault.late_s)
        if _now() - came <= fault.latest_s:
            await self._app(scope, receive, partial(_keep, []))

    async def _end(self, fault: Fault, scope: Scope, receive: Receive, send: Send, answer: list[Message]) -> None:
        if fault.ending is Ending.MADE_UP:
            await send({"type": "http.response.start", "status": fault.status, "headers": list(fault.headers)})
            await send({"type": "http.response.body", "body": fault.body})
            return
        if fault.refuse_s:
            self._door.shut_for(fault.refuse_s)
        connection = scope[_CONNECTION]
        if fault.ending is Ending.CUT:
            connection.abort()
        else:
            connection.write(os.urandom(_NOISE_BYTES) if fault.ending is Ending.NOISE else _half(answer))
            connection.close()
        while (await receive())["type"] != "http.disconnect":
            pass


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _whole(receive: Receive) -> Receive:
    """Read the request, for a server that goes on with it when the client has left."""
    body, more = b"", True
    while more and (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        more = message.get("more_body", False)
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


async def _keep(answer: list[Message], message: Message) -> None:
    answer.append(message)


def _half(answer: list[Message]) -> bytes:
    """Return the first half of an answer as it would go over the wire."""
    head = answer[0]
    lines = [b"HTTP/1.1 %d OK" % head["status"], *(b"%b: %b" % pair for pair in head["headers"]), b"", b""]
    whole = b"\r\n".join(lines) + b"".join(message.get("body", b"") for message in answer[1:])
    return whole[: len(whole) // 2]


async def _receive_slowly(receive: Receive, bytes_per_s: float) -> Message:
    message = await receive()
    await asyncio.sleep(len(message.get("body", b"")) / bytes_per_s)
    return message


class _SlowSend:
    def __init__(self, send: Send, bytes_per_s: float) -> None:
        self._send = send
        self._bytes_per_s = bytes_per_s

    async def __call__(self, message: Message) -> None:
        body = message.get("body", b"")
        while len(body) > _PIECE:
            await self._send({"type": "http.response.body", "body": body[:_PIECE], "more_body": True})
            await asyncio.sleep(_PIECE / self._bytes_per_s)
            body = body[_PIECE:]
        await self._send({**message, "body": body} if "body" in message else message)
