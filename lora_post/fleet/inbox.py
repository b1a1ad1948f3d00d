"""Requests with short reply subjects: each goes over a prepaid link twice, and the client's own are 60 bytes long."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any, Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import PubAck

_NO_RESPONDERS: Final = "503"


class Inbox:
    """The replies to a client's requests. For the thread of its loop."""

    def __init__(self, client: Client, prefix: str) -> None:
        """prefix: of subjects to which only this lora-post may listen."""
        self._client = client
        # Another process with the same key must not take these replies for its own.
        self._prefix = f"{prefix}.{secrets.token_urlsafe(3)}."
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._count = 0
        self._is_listening = False

    async def ask(self, subject: str, data: bytes, timeout_s: float) -> Msg:
        """Return the reply to a request. Raises TimeoutError, nats.errors.Error."""
        if not self._is_listening:
            self._is_listening = True
            await self._client.subscribe(f"{self._prefix}*", cb=self._take)
        self._count += 1
        own = f"{self._count:x}"
        future = self._waiting[own] = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(subject, data, reply=self._prefix + own)
            async with asyncio.timeout(timeout_s):
                reply = await future
        finally:
            del self._waiting[own]
        if reply.headers and reply.headers.get("Status") == _NO_RESPONDERS:
            raise nats.errors.NoRespondersError
        return reply

    async def store(self, subject: str, data: bytes, timeout_s: float) -> PubAck:
        """Publish to a stream; return once it has this. Raises as `ask`."""
        try:
            found: dict[str, Any] = json.loads((await self.ask(subject, data, timeout_s)).data)
        except nats.errors.NoRespondersError:
            raise nats.js.errors.NoStreamResponseError from None
        if "error" in found:
            raise nats.js.errors.APIError.from_error(found["error"])
        return PubAck.from_response(found)

    async def _take(self, reply: Msg) -> None:
        future = self._waiting.get(reply.subject.removeprefix(self._prefix))
        if future and not future.done():
            future.set_result(reply)
