"""Make requests with short reply subjects: each crosses a prepaid link twice."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Final

import msgspec
import nats.errors
import nats.js.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

_NOT_FOUND: Final = 10037
_NO_RESPONDERS: Final = "503"


class Stored(Struct, frozen=True):
    """A message as a stream has it. seq: its position there."""

    subject: str
    seq: int
    data: bytes = b""


class _Error(Struct, frozen=True):
    err_code: int = 0
    code: int = 0
    description: str = ""


class _Answer(Struct, frozen=True):
    message: Stored | None = None
    error: _Error | None = None


class _Ack(Struct, frozen=True):
    seq: int = 0
    error: _Error | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_ack = msgspec.json.Decoder(_Ack).decode


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

    async def store(self, subject: str, data: bytes, timeout_s: float) -> int:
        """Publish to a stream; return the position there once it has this. Raises as `ask`."""
        try:
            ack = _decode_ack((await self.ask(subject, data, timeout_s)).data)
        except nats.errors.NoRespondersError:
            raise nats.js.errors.NoStreamResponseError from None
        if ack.error:
            raise _refusal(ack.error)
        return ack.seq

    async def next(self, stream: str, subjects: str, position: int, timeout_s: float) -> Stored | None:
        """Return the first message of some subjects that stands at a position or behind it, None at the end.

        The stream's leader answers. Raises as `ask`.
        """
        request = json.dumps({"seq": position, "next_by_subj": subjects}).encode()
        answer = _decode_answer((await self.ask(f"$JS.API.STREAM.MSG.GET.{stream}", request, timeout_s)).data)
        if answer.error and answer.error.err_code != _NOT_FOUND:
            raise _refusal(answer.error)
        return answer.message

    async def _take(self, reply: Msg) -> None:
        future = self._waiting.get(reply.subject.removeprefix(self._prefix))
        if future and not future.done():
            future.set_result(reply)


def _refusal(error: _Error) -> nats.js.errors.APIError:
    return nats.js.errors.APIError.from_error(msgspec.structs.asdict(error))
