"""The store, the pipeline and the uploader of one running lora-post, put together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

from lora_post.config import Config
from lora_post.config_waziup import WaziupConfig
from lora_post.errors import ConfigError, StoreError
from lora_post.ledger import SpoolLedger
from lora_post.metrics import Metrics
from lora_post.model import Decode
from lora_post.pipeline import Outcome, Pipeline
from lora_post.sinks.waziup import WaziupSink
from lora_post.sinks.waziup_gateway import Gateway
from lora_post.sinks.waziup_login import Account
from lora_post.sinks.waziup_provision import DeviceInfo
from lora_post.spool import Counts, SpoolReader, SpoolWriter
from lora_post.status.runtime import Destination
from lora_post.store import Store, forget, known, remember
from lora_post.store_rescue import open_spool, replace_damaged
from lora_post.uploader import Uploader
from lora_post.waziup_client import WaziupClient

log = logging.getLogger(__name__)

WAZIUP = "waziup"
JOIN_S = 5.0
POLL_S = 0.1


class ServerMemory:
    """Facts about one server and account, kept in the store."""

    def __init__(self, store: Store, server: str) -> None:
        self._store = store
        self._server = server

    def recall(self) -> dict[str, str]:
        return known(self._store.db, self._server)

    def remember(self, what: str, value: str) -> None:
        with self._store.transaction() as db:
            remember(db, self._server, what, value)

    def forget(self, what: str) -> None:
        with self._store.transaction() as db:
            forget(db, self._server, what)


def waziup_of(config: Config) -> WaziupConfig:
    """The [waziup] table. Raises ConfigError when there is none."""
    if config.waziup is None:
        raise ConfigError(f"{config.path}: [waziup] is missing, so there is nowhere to send to; or use --dry-run")
    return config.waziup


def account_of(waziup: WaziupConfig) -> Account | None:
    """The credentials, None for the simple protocol."""
    return Account(waziup.username, waziup.password) if waziup.password else None


def waziup_sink(config: Config, client: WaziupClient, store: Store) -> WaziupSink:
    """The sink of a configuration. Raises ConfigError when there is no [waziup]."""
    waziup = waziup_of(config)
    return WaziupSink(
        client,
        Gateway(config.gateway_id, config.gateway_name, config.visibility),
        account_of(waziup),
        provision=waziup.provision,
        devices={device.id: DeviceInfo(device.name, device.visibility) for device in config.devices},
        lanes_of=SpoolReader(store, WAZIUP).lanes_of,
        memory=ServerMemory(store, f"{waziup.url.rstrip('/')} {waziup.username}"),
    )


class Delivery:
    """Everything between the parsers and the server. Use as a context manager."""

    def __init__(self, config: Config, decode: Decode, metrics: Metrics, listener: Callable[[Outcome], None]) -> None:
        waziup = waziup_of(config)
        self._listener = listener
        self._stop = Event()
        self._path = config.spool_path
        self._wake = Event()
        self._writer_store = open_spool(config.spool_path)
        self._reader_store = Store(config.spool_path, replace_damaged)
        self._client = WaziupClient(waziup.url)
        writer = SpoolWriter(self._writer_store, [WAZIUP], config.spool_max_bytes)
        ledger = SpoolLedger(self._writer_store, config.devices, writer)
        self.pipeline = Pipeline(ledger, decode, metrics, self._hear)
        spool = SpoolReader(self._reader_store, WAZIUP)
        # The threads of the pipeline and of the uploader have a connection each; this one is for whoever asks.
        self._view = SpoolReader(Store(config.spool_path, replace_damaged), WAZIUP)
        sink = waziup_sink(config, self._client, self._reader_store)
        self.uploader = Uploader(spool, sink, metrics)
        self._thread = Thread(target=self.uploader.run, args=(self._stop, self._wake), name="uploader", daemon=True)

    def _hear(self, outcome: Outcome) -> None:
        self._wake.set()
        self._listener(outcome)

    def __enter__(self) -> Delivery:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Let the request under way finish, but not for long: what is cut off is asked for at the next start."""
        self._stop.set()
        self._wake.set()
        self._thread.join(JOIN_S)
        self._client.close()
        if not self._thread.is_alive():
            self._reader_store.close()

    def drain(self, timeout_s: float, stop: Event) -> None:
        """Wait until everything that can go out has gone, the time is over, or `stop` is set."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._has_work() and not stop.wait(POLL_S):
            pass

    def _has_work(self) -> bool:
        try:
            return bool(self._view.ready_lanes())
        except StoreError as error:
            log.error("%s", error)
            return True

    def counts(self) -> Counts:
        """What is still in the spool."""
        return self._view.counts()

    def destinations(self) -> list[Destination]:
        """The state of each queue; for one thread at a time."""
        with closing(Store(self._path)) as store:
            spool = SpoolReader(store, WAZIUP)
            counts = spool.counts()
            oldest_us = spool.oldest_us()
        uploader = self.uploader
        return [
            Destination(
                name=WAZIUP,
                queued=counts.queued,
                parked=counts.parked,
                refused=counts.refused,
                oldest_us=oldest_us,
                last_us=uploader.delivered_us,
                trouble=uploader.last_error,
            )
        ]


def spool_path(config: Config) -> Path:
    """Where the spool is. Raises ConfigError when there is none yet, or this user may not look."""
    path = config.spool_path
    try:
        there = path.exists()
    except OSError as error:
        raise ConfigError(f"spool {path}: {error.strerror}; be the user that `lora-post run` runs as") from error
    if not there:
        raise ConfigError(f"there is no spool at {path} yet; it is made by the first `lora-post run`")
    return path
