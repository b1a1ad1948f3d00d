"""From values that are set where readings go to commands for devices."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Final

from lora_post.command import NO_PORT, Command, Fate, Moment
from lora_post.config import Config
from lora_post.decoding.choice import decoder_names
from lora_post.decoding.encode import encode
from lora_post.decoding.loading import combined, load_folder, load_shipped
from lora_post.errors import DecodeError, SinkError, SpoolError, defect
from lora_post.model import Decoder, Device, Encoded, Link
from lora_post.net.traffic import Traffic
from lora_post.observed.signs import Heartbeats
from lora_post.sinks import SINKS
from lora_post.sinks.announced import Announced
from lora_post.sinks.destination import SinkContext
from lora_post.sinks.watch import Setting, Watch
from lora_post.spool import downlinks
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import one_line, printable

log = logging.getLogger(__name__)

BEAT_S: Final = 900.0
JOIN_S: Final = 2.0
PORT_MISSING: Final = "the encoder does not say the FPort"


@contextmanager
def watching_settings(
    config: Config, announced: Announced, now: Callable[[], Moment], heartbeats: Heartbeats
) -> Iterator[None]:
    """Look for values that are set at destinations as long as the block runs."""
    stop = Event()
    threads = [
        Thread(
            target=_watch, args=(name, config, announced, now, heartbeats, stop), name=f"settings {name}", daemon=True
        )
        for name in config.destinations
        if config.reachable
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_S)


def _watch(
    name: str, config: Config, announced: Announced, now: Callable[[], Moment], heartbeats: Heartbeats, stop: Event
) -> None:
    thread = f"settings {name}"
    with closing(SpoolFile(config.spool_path)) as spool_file:
        alive = partial(heartbeats.beat, thread, BEAT_S)
        context = SinkContext(
            config.site, lambda device: (), partial(Facts, spool_file), announced, Traffic(), None, alive
        )
        watch = SINKS[name].watch(config.destinations[name], context)
        if watch is None:
            return
        queue = SettingQueue(spool_file, config, now)
        said = ""
        with closing(watch):
            while not stop.is_set():
                heartbeats.beat(thread, BEAT_S + watch.every_s)
                said = _look(name, watch, queue, said)
                stop.wait(watch.every_s)
        heartbeats.end(thread)


def _look(name: str, watch: Watch, queue: SettingQueue, said: str) -> str:
    """Take over what was set; return what is wrong, which is told once. said: that of the last look."""
    try:
        for setting in watch.look(queue.devices()):
            queue.put(setting)
            watch.taken(setting)
    except (SinkError, SpoolError) as error:
        if str(error) != said:
            log.warning("%s: values that are set for devices are not seen: %s", name, error)
        return str(error)
    except Exception:
        log.exception("%s: values that are set for devices are not seen, over a defect", name)
    return ""


MAX_NAME: Final = 100
MAX_WHY: Final = 300
MAX_VALUE: Final = 1000
"""Characters of a value that are kept."""


class SettingQueue:
    """Makes commands of values that were set."""

    def __init__(self, spool_file: SpoolFile, config: Config, now: Callable[[], Moment]) -> None:
        self._spool_file = spool_file
        self._config = config
        self._now = now

    def devices(self) -> list[str]:
        """Return the ids of the devices that can be sent to."""
        return [device.id for device in self._config.site.devices if device.link in self._config.reachable]

    def put(self, setting: Setting) -> None:
        """Queue a value for its device; one that cannot be made into bytes is refused, which is kept, too."""
        device = self._config.site.devices.get(setting.device)
        if device is None:
            return
        rule, now = device.actuator(setting.actuator), self._now()
        if len(setting.actuator) > MAX_NAME or setting.actuator != printable(setting.actuator):
            log.warning("%s: a value for an actuator with a strange name is left out", device.id)
            return
        text = json.dumps(setting.value)
        values = {setting.actuator: setting.value} if len(text) <= MAX_VALUE else f"{len(text)} characters"
        command = Command(
            device.id,
            0,
            b"",
            now,
            is_confirmed=rule.is_confirmed,
            life_s=rule.life_s,
            actuator=setting.actuator,
            value=values,
        )
        try:
            made = payload_of(device, setting, self._config.decoder_folder)
        except Exception as error:  # a value costs only itself, whatever an encoder does with it
            if not isinstance(error, DecodeError):
                defect(error)
            why = one_line(str(error), MAX_WHY)
            refused = command.ended(now, Fate.REFUSED, f"refused: {why}")
            log.warning("%s: a value for %s is not sent: %s", device.id, setting.actuator, why)
            self._add(refused, now)
            return
        self._add(command.carrying(made.fport or 0, made.payload), now)

    def _add(self, command: Command, now: Moment) -> None:
        with self._spool_file.transaction() as db:
            added = downlinks.add(db, command, now)
        log.info("%s: %s is set to %s", added.about, added.actuator, json.dumps(added.value))


def payload_of(device: Device, setting: Setting, folder: Path | None) -> Encoded:
    """Return what a value is for a device: as configured, or as the encoder makes it. Raises DecodeError."""
    rule = device.actuator(setting.actuator)
    payload = rule.payloads.get(_word(setting.value))
    if payload is not None:
        return Encoded(payload, rule.fport)
    made = encode(device, _decoders(device, folder), {setting.actuator: setting.value}, rule.fport)
    fport = rule.fport if rule.fport is not None else made.fport
    if fport is None and device.link is Link.LOWCOST:
        fport = NO_PORT
    if fport is None:
        raise DecodeError(PORT_MISSING, fix=f'add a [[device.actuator]] with name = "{setting.actuator}" and a port')
    return Encoded(made.payload, fport, made.warnings)


def _word(value: object) -> str:
    """Return a value as a key in TOML is written: a text as it is."""
    return value if isinstance(value, str) else json.dumps(value)


def _decoders(device: Device, folder: Path | None) -> Mapping[str, Decoder]:
    names = set(decoder_names(device))
    own = (load_folder(folder, wanted=lambda path: True),) if folder else ()
    return combined(load_shipped(names), *own).decoders
