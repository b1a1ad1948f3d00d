"""Read the configuration again while it runs, when its files change: devices, decoders, rules of sensors.

What else changes there is said to need a restart. A file with a mistake leaves everything as it is; a device with a
mistake is left out, and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Final, TypeAlias

import msgspec

from lora_post.config import Config, load_what_works
from lora_post.config.device_files import device_files
from lora_post.decoding.reload import ChangedDecoders
from lora_post.errors import ConfigError, Problem, SpoolError
from lora_post.observed.signs import Signs
from lora_post.spool.facts import Facts
from lora_post.text import plural
from lora_post.uplink.model import Decode

log = logging.getLogger("lora_post")

SUBJECT: Final = "configuration"
SEEN: Final = "seen"
LOOK_EVERY_S: Final = 1.0
BEAT_S: Final = 60.0

# What `Reloader` takes over, and what follows from it.
_OF_DEVICES: Final = {"devices", "device_places", "device_files", "left_out", "senders_left_out"}
_TAKEN: Final = _OF_DEVICES | {"decoder_folder", "warnings"}
_TABLES: Final = {
    "gateway_id": "[gateway]",
    "gateway_name": "[gateway]",
    "visibility": "[gateway]",
    "location": "[gateway]",
    "destinations": "the destinations",
    "spool_path": "[spool]",
    "spool_max_bytes": "[spool]",
    "spool_when_full": "[spool]",
    "keep_strangers": "[spool]",
    "inputs": "[[input]]",
}

Stamps: TypeAlias = "dict[str, tuple[int, int, int]]"
Use: TypeAlias = Callable[[Config, Decode], None]


class Seen(msgspec.Struct, frozen=True):
    """What a run has read last, for `lora-post reload`.

    stamps: of the files then, by path. devices: how many are in use. problems: what was wrong.
    """

    stamps: Stamps
    devices: int
    problems: tuple[Problem, ...]


class Followed(msgspec.Struct, frozen=True):
    """What it takes to follow a configuration.

    stamps: of its files, from before they were read. config: as they have it, without options of the command line.
    read_decoding: loads decoders for it; raises ConfigError. changed: tells of those that are loaded again.
    """

    stamps: Stamps
    config: Config
    read_decoding: Callable[[Config], Decode]
    changed: ChangedDecoders


class Reloader:
    """Follows the files of a configuration; `run` is its thread."""

    def __init__(self, followed: Followed, use: Use, signs: Signs, facts: Facts) -> None:
        """use: takes devices and decoders over."""
        assert followed.config.path is not None  # noqa: S101 - a run has a file
        self._path = followed.config.path
        self._config = followed.config
        self._read_decoding = followed.read_decoding
        self._use = use
        self._signs = signs
        self._facts = facts
        self._stamps = followed.stamps
        self._changing = self._stamps

    def run(self, stop: Event) -> None:
        """Look at the files every second until `stop`."""
        self._note(self._config, self._config.left_out)
        while not stop.wait(LOOK_EVERY_S):
            self._signs.heartbeats.beat(SUBJECT, BEAT_S)
            self.look()
        self._signs.heartbeats.end(SUBJECT)

    def look(self) -> None:
        """Read the files when they have changed, once they are quiet: an editor may write in several steps."""
        stamps = stamps_of(self._path)
        is_quiet, self._changing = stamps == self._changing, stamps
        if stamps != self._stamps and is_quiet:
            self._stamps = stamps
            self._reload()

    def _reload(self) -> None:
        try:
            config = load_what_works(self._path)
            decode = self._read_decoding(config)
        except ConfigError as error:
            problems = tuple(map(Problem, str(error).splitlines()))
            for problem in problems:
                log.error("configuration not taken over: %s", problem)
            self._note(self._config, problems)
            return
        for problem in (*config.warnings, *config.left_out):
            log.warning("%s", problem)
        for table in needs_restart(self._config, config):
            log.warning("%s has changed; it is used after a restart: sudo systemctl restart lora-post", table)
        self._use(config, decode)
        log.info("configuration read again: %s", _difference(self._config, config))
        self._config = config
        self._note(config, config.left_out)

    def _note(self, config: Config, problems: tuple[Problem, ...]) -> None:
        """Tell page, alerts and `lora-post reload`."""
        fix = "correct it; it is read again at once"
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        trouble = Problem(f"{problems[0].what}{more}", problems[0].fix or fix) if problems else None
        self._signs.troubles.tell(SUBJECT, trouble)
        seen = Seen(self._stamps, len(config.devices), problems)
        try:
            self._facts.remember(SEEN, msgspec.json.encode(seen).decode())
        except SpoolError as error:
            log.error("%s", error)


def stamps_of(path: Path) -> Stamps:
    """Return time, size and inode of a configuration and its files of devices that are there, by whole path."""
    found: Stamps = {}
    path = path.absolute()
    for file in (path, *device_files(path)):
        try:
            status = file.stat()
        except OSError:
            continue
        found[str(file)] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def needs_restart(old: Config, new: Config) -> list[str]:
    """Return the tables whose change is not taken over."""
    changed = [name for name in Config.__struct_fields__ if getattr(old, name) != getattr(new, name)]
    return list(dict.fromkeys(_TABLES.get(name, f"[{name}]") for name in changed if name not in _TAKEN | {"path"}))


def _difference(old: Config, new: Config) -> str:
    before = {device.id: device for device in old.devices}
    after = {device.id: device for device in new.devices}
    changed = sum(before.get(id_) not in (None, device) for id_, device in after.items())
    return (
        f"{plural(len(after), 'device')}, {len(after.keys() - before.keys())} new, {changed} changed, "
        f"{len(before.keys() - after.keys())} gone"
    )
