"""Serve LoRa Basics Stations: `station://0.0.0.0:3001`.

A station asks `/router-info` where to go, connects there, says its version and is told the channels of the region.
From then on each frame is a message. One thread has all connections; what a station says waits in a queue with a
bound, and while that is full nothing more is read from anybody.

Sources: lorabasics/basicstation: doc/tcproto; src/tc.c, src/s2e.c.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Final

import msgspec
from msgspec import Struct
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from lora_post.clocks.scale import now_us
from lora_post.config.inputs import InputConfig
from lora_post.errors import ConfigError, FrameError, Problem
from lora_post.formats.guarded import defect_noise
from lora_post.formats.router_config import router_config
from lora_post.formats.station_json import UPLINKS, Message, decode_message, frame_of
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.inputs.station_downlinks import Say, StationDownlinks
from lora_post.lorawan.region import Region
from lora_post.metrics import Metrics
from lora_post.model import Frame, Noise, NoiseReason
from lora_post.net.addresses import address_text
from lora_post.net.input_url import read_station_url

log = logging.getLogger(__name__)

MAX_MESSAGE: Final = 1 << 14
MAX_CONNECTIONS: Final = 128
MAX_OF_HOST: Final = 32
"""Gateways behind one router have one address; a stranger cannot take the place of all others from his."""
MAX_OPEN: Final = 2 * MAX_CONNECTIONS
"""With those that say nothing: every one takes a file of this process."""
MAX_WAITING: Final = 4096
BATCH: Final = 64
OPEN_S: Final = 10.0
"""A handshake that takes longer is given up; a station that is silent for two of these is asked whether it is there."""
ASKS_WITHIN_S: Final = 10.0
"""A station that connects to ask where to go asks so soon."""
FULL_PAUSE_S: Final = 0.05
STARTS_WITHIN_S: Final = 10.0

_GPS_EPOCH_US: Final = 315_964_800_000_000
_LEAP_US: Final = 18_000_000
_DISCOVERY: Final = "/router-info"
_TRAFFIC: Final = "/traffic/"
_EUI: Final = re.compile(r"(?:[0-9a-f]{2}[:-]?){7}[0-9a-f]{2}", re.ASCII | re.IGNORECASE).fullmatch
_ID6: Final = re.compile(r"(?:[0-9a-f]{0,4}:){1,7}[0-9a-f]{0,4}", re.ASCII | re.IGNORECASE).fullmatch


class StationConfig(Struct, frozen=True):
    """What an input of this kind is told. region_name: as the configuration writes it. tls: None: not encrypted."""

    region_name: str
    region: Region
    gateways: frozenset[str] = frozenset()
    transmits: bool = False
    tls: ssl.SSLContext | None = None
    sub_band: int | None = None


class StationInput:
    """Frames out of the messages of any number of Basics Stations."""

    is_awaited = False

    def __init__(
        self,
        listener: socket.socket,
        config: StationConfig,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = "station " + address_text(listener.getsockname())
        self.trouble: Problem | None = None
        self.gateways = GatewayBook(self.name, monotonic, config.gateways)
        self._config = config
        self._metrics = metrics
        self._listener = listener
        self._downlinks = StationDownlinks(config.region, metrics, monotonic)
        self.transmitter = self._downlinks if config.transmits else None
        self._queue: Queue[Frame | Noise] = Queue(MAX_WAITING)
        self._connections: Counter[str] = Counter()
        self._started, self._stop = Event(), Event()
        self._broken: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = Thread(target=self._serve_safely, name=self.name, daemon=True)

    def events(self, timeout_s: float) -> list[Frame | Noise]:
        if self._thread.ident is None:
            self._thread.start()
            self._started.wait(STARTS_WITHIN_S)
            log.info("%s: waiting for Basics Stations", self.name)
        if self._broken is not None:
            raise self._broken
        events = self._take(timeout_s)
        self.gateways.look_for_silent()
        self._downlinks.look_for_unconfirmed()
        self.trouble = self.gateways.missing()
        return events

    def _take(self, timeout_s: float) -> list[Frame | Noise]:
        events: list[Frame | Noise] = []
        with suppress(Empty):
            events.append(self._queue.get(timeout=timeout_s))
            while len(events) < BATCH:
                events.append(self._queue.get_nowait())
        return events

    def drain(self) -> list[Frame | Noise]:
        self._end()
        events: list[Frame | Noise] = []
        while more := self._take(0.001):
            events += more
        return events

    def kept(self) -> None:
        """Do nothing: stations do not wait for it."""

    def close(self) -> None:
        self._end()
        self._listener.close()

    def _end(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _serve_safely(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # the thread boundary; `events` hands it on
            self._broken = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with serve(
            self._talk,
            sock=_Listener(self._listener.dup().detach()),
            ssl=self._config.tls,
            ssl_handshake_timeout=OPEN_S if self._config.tls else None,
            process_request=self._admit,
            compression=None,
            max_size=MAX_MESSAGE,
            max_queue=4,
            open_timeout=OPEN_S,
            ping_interval=2 * OPEN_S,
            ping_timeout=2 * OPEN_S,
            close_timeout=1.0,
            server_header=None,
            logger=_SILENT,
        ):
            self._started.set()
            while not self._stop.is_set():
                await asyncio.sleep(0.1)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        host = str(connection.remote_address[0])
        if self._connections.total() >= MAX_CONNECTIONS or self._connections[host] >= MAX_OF_HOST:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections\n")
        path = request.path.partition("?")[0]
        if path == _DISCOVERY:
            return None
        gateway = path.removeprefix(_TRAFFIC) if path.startswith(_TRAFFIC) else ""
        if not re.fullmatch("[0-9a-f]{16}", gateway):
            return connection.respond(HTTPStatus.NOT_FOUND, f"there are {_DISCOVERY} and {_TRAFFIC}EUI\n")
        if self._is_foreign(gateway, connection):
            return connection.respond(HTTPStatus.FORBIDDEN, f"gateway {gateway} is not listed\n")
        return None

    def _is_foreign(self, gateway: str, connection: ServerConnection) -> bool:
        allowed = self._config.gateways
        if not allowed or gateway in allowed:
            return False
        detail = f'gateway {gateway} is not listed; if it is yours, add "{gateway}" to gateways'
        self._note(NoiseReason.UNKNOWN_GATEWAY, connection, 0, detail)
        return True

    async def _talk(self, connection: ServerConnection) -> None:
        host = str(connection.remote_address[0])
        self._connections[host] += 1
        try:
            assert connection.request is not None  # noqa: S101 - the handshake is over
            path = connection.request.path.partition("?")[0]
            if path == _DISCOVERY:
                await self._discover(connection)
            else:
                await self._exchange(connection, path.removeprefix(_TRAFFIC))
        except (ConnectionClosed, TimeoutError):  # it said nothing
            pass
        except Exception as error:  # a station costs only itself
            self._put_noise(defect_noise(error, b""))
        finally:
            self._connections[host] -= 1
            self._connections += Counter()  # without those that have none

    async def _discover(self, connection: ServerConnection) -> None:
        """Tell a station where to connect."""
        async with asyncio.timeout(ASKS_WITHIN_S):
            body = await connection.recv()
        asked = body if isinstance(body, bytes) else body.encode()
        try:
            router = msgspec.json.decode(asked, type=dict[str, object]).get("router")
            gateway = read_router(router)
        except (FrameError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._note(NoiseReason.BAD_DATAGRAM, connection, len(asked), f"a question for a router: {error}")
            await connection.send('{"error":"which router is this?"}')
            return
        assert connection.request is not None  # noqa: S101 - the handshake is over
        host = connection.request.headers.get("Host", "")
        scheme = "wss" if self._config.tls else "ws"
        answer = {"router": router, "muxs": "muxs-::0", "uri": f"{scheme}://{host}{_TRAFFIC}{gateway}"}
        await connection.send(msgspec.json.encode(answer).decode())

    async def _exchange(self, connection: ServerConnection, gateway: str) -> None:
        say = partial(self._say, connection)
        self.gateways.heard(gateway, address_text(connection.remote_address))
        self._downlinks.linked(gateway, say, lambda: connection.latency)
        try:
            async for body in connection:
                self.gateways.heard(gateway, address_text(connection.remote_address))
                await self._hear(connection, gateway, body if isinstance(body, bytes) else body.encode(), say)
        finally:
            self._downlinks.unlinked(gateway, say)

    def _say(self, connection: ServerConnection, body: bytes) -> None:
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(_send(connection, body.decode()), self._loop)

    async def _hear(self, connection: ServerConnection, gateway: str, body: bytes, say: Say) -> None:
        try:
            message = decode_message(body)
            if message.msgtype in UPLINKS:
                frame = frame_of(message, gateway, now_us(), self._config.region.data_rates)
                self._downlinks.heard(gateway, message, say)
                await self._put(frame)
                return
        except FrameError as error:
            self._note(NoiseReason.BAD_DATAGRAM, connection, len(body), str(error))
            return
        if message.msgtype == "version":
            log.info("%s: station %s is %s on %s", self.name, gateway, message.station[:60], message.model[:60])
            answer = router_config(self._config.region_name, self._config.region, self._config.sub_band)
            await connection.send(msgspec.json.encode({**answer, "MuxTime": now_us() / 1e6}).decode())
        elif message.msgtype == "dntxed":
            self._downlinks.sent(gateway, message)
        elif message.msgtype == "timesync":
            await connection.send(msgspec.json.encode(timesync(message)).decode())

    async def _put(self, event: Frame | Noise) -> None:
        while True:
            try:
                self._queue.put_nowait(event)
                return
            except Full:
                await asyncio.sleep(FULL_PAUSE_S)

    def _note(self, reason: NoiseReason, connection: ServerConnection, size: int, detail: str) -> None:
        where = address_text(connection.remote_address)
        self._put_noise(Noise(reason, size, f"{self.name} from {where}: {detail}"))

    def _put_noise(self, noise: Noise) -> None:
        try:
            self._queue.put_nowait(noise)
        except Full:
            self._metrics.count("noise", noise.reason)


class _Listener(socket.socket):
    """Has at most MAX_OPEN connections, a quarter of them of one host; one that is too many is closed at once."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._open: list[tuple[socket.socket, str]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        host = str(address[0])
        self._open = [each for each in self._open if each[0].fileno() >= 0]  # the others are closed
        if len(self._open) >= MAX_OPEN or sum(of == host for _, of in self._open) >= 2 * MAX_OF_HOST:
            connection.close()
            raise ConnectionAbortedError
        self._open.append((connection, host))
        return connection, address


async def _send(connection: ServerConnection, text: str) -> None:
    with suppress(ConnectionClosed):
        await connection.send(text)


def timesync(message: Message) -> dict[str, object]:
    """Return the answer to a station that asks for the time."""
    gps_us = now_us() - _GPS_EPOCH_US + _LEAP_US
    return {"msgtype": "timesync", "txtime": message.txtime, "gpstime": gps_us}


def read_router(router: object) -> str:
    """Return the EUI that a station writes as a number, with hyphens, or as ID6. Raises FrameError."""
    if isinstance(router, int) and 0 <= router < 1 << 64:
        return f"{router:016x}"
    if isinstance(router, str):
        if _EUI(router):
            return re.sub("[:-]", "", router).lower()
        if _ID6(router) and len(router) < 40:
            return _from_id6(router)
    raise FrameError("router is not an EUI")


def _from_id6(text: str) -> str:
    """Return the EUI of an ID6: four groups of 16 bits, `::` for groups of zeros, as IPv6 has it."""
    head, gap, tail = text.partition("::")
    before, after = ([group for group in part.split(":") if group] for part in (head, tail))
    missing = 4 - len(before) - len(after)
    if missing < 0 or (missing and not gap):
        raise FrameError("router is not an EUI")
    return "".join(group.zfill(4) for group in [*before, *["0"] * missing, *after]).lower()


def station_config(item: InputConfig) -> StationConfig:
    """Return what the configuration says of such an input. Raises ConfigError."""
    network = item.network
    if network is None:
        raise ConfigError("[[input]]: a station is told the channels of a region", fix="add [network]")
    tls = None
    if item.cert_file is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            tls.load_cert_chain(item.cert_file, item.key_file)
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror or "they are no certificate and its key"
            raise ConfigError(
                f"[[input]] cert_file {item.cert_file}: {why}", fix="both must be PEM files, the key without password"
            ) from error
    return StationConfig(network.name, network.region, item.gateways, item.transmit, tls, network.sub_band)


def bind_station(url: str) -> socket.socket:
    """Open the port that the URL names, for this machine alone if the host is left out. Raises ConfigError."""
    address = read_station_url(url)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"[[input]] url {url!r}: {error.strerror}",
            fix="is another program using the port, and is the address one of this machine's (0.0.0.0 for all)?",
        ) from error


_SILENT: Final = logging.getLogger(f"{__name__}.websockets")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
