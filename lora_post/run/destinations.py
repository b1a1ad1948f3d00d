"""Where readings go: each configured destination as a sink, and an uploader in a thread of its own.

Destinations share the spool file and nothing else; each has its own queue in it, its own connection
and its own back-off, so that one that is down costs the others nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from msgspec import Struct

from lora_post.clocks.steady import SteadyClock
from lora_post.config import Config
from lora_post.config.json_lines import JsonLinesConfig
from lora_post.config.mqtt import MqttConfig
from lora_post.config.upload import UploadRules
from lora_post.config.wazigate import WazigateConfig
from lora_post.config.waziup import WaziupConfig
from lora_post.metrics import Metrics
from lora_post.observed.run_state import DestinationState
from lora_post.observed.signs import Heartbeats
from lora_post.sinks.waziup.announced import Announced
from lora_post.spool.facts import Facts
from lora_post.spool.queue import Queue
from lora_post.spool.spool_file import SpoolFile
from lora_post.upload.allowance import UploadAllowance
from lora_post.upload.policy import UploadPolicy
from lora_post.upload.server_time import ServerTime, TimedSink
from lora_post.upload.sink import Sink
from lora_post.upload.uploader import Uploader

if TYPE_CHECKING:
    from lora_post.net.http_client import OnDate
    from lora_post.net.traffic import Traffic


# One round may log in, create devices and sensors, and send or ask, each with an answer that takes two minutes.
BEAT_S = 900.0


class ClosableSink(Sink, Protocol):
    """A sink that may hold a connection."""

    def close(self) -> None: ...


class CloudSink(ClosableSink, Protocol):
    """Waziup Cloud. traffic: what all connections to it cost. ask_time: a small request, for the date of its answer."""

    traffic: Traffic
    ask_time: Callable[[], None]


MakeSink: TypeAlias = Callable[[Queue, SpoolFile], ClosableSink]


# The libraries that a sink needs are large; only those of configured destinations are loaded.


def waziup_sink(
    waziup: WaziupConfig,
    config: Config,
    spool: Queue,
    store: SpoolFile,
    announced: Announced,
    on_date: OnDate | None,
) -> ClosableSink:
    """Waziup Cloud; without a password, as nobody in particular."""
    from lora_post.sinks.waziup.client import WaziupClient
    from lora_post.sinks.waziup.gateway import Gateway
    from lora_post.sinks.waziup.login import Account
    from lora_post.sinks.waziup.provision import DeviceInfo
    from lora_post.sinks.waziup.sink import WaziupSink

    sink = WaziupSink(
        WaziupClient(waziup.url, on_date),
        Gateway(config.gateway_id, config.gateway_name, config.visibility),
        Account(waziup.username, waziup.password) if waziup.password else None,
        provision=waziup.provision,
        devices={device.id: DeviceInfo(device.name, device.visibility) for device in config.devices},
        lanes_of=spool.lanes_of,
        facts=Facts(store, f"{waziup.url.rstrip('/')} {waziup.username}"),
        announced=announced,
    )
    if waziup.broker is None:
        return sink
    from lora_post.sinks.waziup.mqtt import WaziupMqttSink

    return WaziupMqttSink(sink, waziup.broker, f"lora-post-{config.gateway_id}")


def wazigate_sink(wazigate: WazigateConfig, config: Config, spool: Queue) -> ClosableSink:
    """A WaziGate on the local network."""
    from lora_post.sinks.wazigate.client import WazigateClient
    from lora_post.sinks.wazigate.sink import WazigateSink

    return WazigateSink(
        WazigateClient(wazigate.url),
        wazigate.username,
        wazigate.password,
        names={device.id: device.name for device in config.devices},
        lanes_of=spool.lanes_of,
    )


def mqtt_sink(mqtt: MqttConfig, config: Config) -> ClosableSink:
    """A broker of one's own."""
    from lora_post.sinks.mqtt import MqttSink

    return MqttSink(mqtt, config.gateway_id)


def json_lines_sink(json_lines: JsonLinesConfig) -> ClosableSink:
    """A file, or stdout."""
    from lora_post.sinks.json_lines import JsonLinesFile, JsonLinesOutput

    if json_lines.path is None:
        return JsonLinesOutput(sys.stdout.fileno())
    return JsonLinesFile(json_lines.path, max_bytes=json_lines.max_bytes, keep=json_lines.keep)


def open_sinks(config: Config, announced: Announced, on_date: OnDate | None = None) -> dict[str, MakeSink]:
    """How the sink of each configured destination is made, by the name of its table.

    announced: what devices say that they can be told.
    on_date: told the time by Waziup's answers; a WaziGate is a board like this one.
    """
    sinks: dict[str, MakeSink] = {}
    if (waziup := config.waziup) is not None:
        sinks["waziup"] = lambda spool, store: waziup_sink(waziup, config, spool, store, announced, on_date)
    if (wazigate := config.wazigate) is not None:
        sinks["wazigate"] = lambda spool, store: wazigate_sink(wazigate, config, spool)
    if (mqtt := config.mqtt) is not None:
        sinks["mqtt"] = lambda spool, store: mqtt_sink(mqtt, config)
    if (json_lines := config.json_lines) is not None:
        sinks["json_lines"] = lambda spool, store: json_lines_sink(json_lines)
    return sinks


class TimeSource(Struct, frozen=True):
    """Where the time is learned from. is_told_elsewhere: Waziup tells it for the other destinations, too."""

    server_time: ServerTime
    is_told_elsewhere: bool

    def asker(self, sink: ClosableSink, name: str) -> Callable[[], object] | None:
        """What to do when readings wait for their time; None: wait, too."""
        if name == "waziup":
            return cast("CloudSink", sink).ask_time
        return None if self.is_told_elsewhere else _ask_nobody


def _ask_nobody() -> None:
    """The system clock is all there is."""


def gate_of(sink: ClosableSink, rules: UploadRules, spool: Queue, store: SpoolFile) -> UploadAllowance | None:
    """[upload] is about Waziup Cloud alone: the others are near, or read by somebody who waits."""
    if spool.sink != "waziup":
        return None
    return UploadAllowance(rules, cast("CloudSink", sink).traffic, store, spool.sink)


class Destination:
    """One destination while lora-post runs."""

    def __init__(
        self,
        name: str,
        make_sink: MakeSink,
        store: SpoolFile,
        metrics: Metrics,
        stop: Event,
        rules: UploadRules,
        source: TimeSource,
        clock: SteadyClock,
        heartbeats: Heartbeats,
        policy: UploadPolicy | None = None,
    ) -> None:
        """store: a connection of its own."""
        self.name = name
        self._store = store
        self._stop = stop
        self._wake = Event()
        spool = Queue(store, name)
        self._sink = make_sink(spool, store)
        self._gate = gate_of(self._sink, rules, spool, store)
        timed = TimedSink(self._sink, source.server_time, store, spool, source.asker(self._sink, name))
        self._uploader = Uploader(spool, timed, metrics, self._gate, clock, policy)
        self._heartbeats = heartbeats
        self._thread = Thread(target=self._run, name=f"upload {name}", daemon=True)
        self.start = self._thread.start
        self.step = self._uploader.step
        self.wake = self._wake.set
        self.is_closed = self._uploader.is_closed

    def _run(self) -> None:
        name = self._thread.name
        try:
            self._uploader.run(self._stop, self._wake, lambda wait_s: self._heartbeats.beat(name, wait_s + BEAT_S))
        finally:
            self._heartbeats.end(name)

    @property
    def last_error(self) -> str:
        """Why it waits, "" when it does not."""
        return self._uploader.last_error

    def hold_no_longer(self) -> None:
        """Nothing more is going to come; send what is there."""
        if self._gate:
            self._gate.hold_no_longer()
        self._wake.set()

    def state(self, store: SpoolFile) -> DestinationState:
        """Its queue, as it is seen through another connection."""
        spool = Queue(store, self.name)
        counts = spool.counts()
        return DestinationState(
            name=self.name,
            queued=counts.queued,
            parked=counts.parked,
            refused=counts.refused,
            oldest_us=spool.oldest_us(),
            last_us=self._uploader.delivered_us,
            trouble=self.last_error,
            held=self._uploader.held if counts.queued else "",
        )

    def finish(self, deadline: float) -> None:
        """After `stop`: let the request under way finish, but not beyond a monotonic time."""
        self._wake.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._sink.close()
        if not self._thread.is_alive():
            self._store.close()
