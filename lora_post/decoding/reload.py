"""A folder of decoder files that people change while lora-post runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from lora_post.decoding.choice import Mistake
from lora_post.decoding.loading import LoadedDecoders, combined, decoder_files, load_decoder, load_folder
from lora_post.decoding.unit_slips import slips_of_decoder
from lora_post.errors import DecoderCrash, Problem
from lora_post.model import Decoder
from lora_post.uplink.model import Report, Uplink

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
Stamps: TypeAlias = "dict[Path, tuple[int, int, int]]"


class DecoderFolder:
    """The decoders of a folder; loads again only what has changed.

    A file that fails to load once it has changed leaves the decoder that it gave before.
    """

    def __init__(self, folder: Path, load: Callable[[Path], Decoder] = load_decoder) -> None:
        """load: how to load a file; raises DecoderCrash."""
        self._folder = folder
        self._load_file = load
        self._stamps: Stamps = {}
        self._loaded: Stamps = {}
        self._decoders: dict[Path, Decoder] = {}

    def has_changed(self) -> bool:
        """Tell whether files have come, gone or changed since `load`.

        A folder that cannot be read has not changed.
        """
        try:
            return _stamps(self._folder) != self._stamps
        except OSError:
            return False

    def load(self) -> LoadedDecoders:
        """Load what has changed, and return all decoders of the folder.

        problems: of files that were read just now, and names taken twice.
        """
        try:
            self._stamps = _stamps(self._folder)
        except OSError as error:
            return LoadedDecoders({}, (Problem(f"{self._folder}: {error.strerror}"),))
        self._decoders = {path: decoder for path, decoder in self._decoders.items() if path in self._stamps}
        failed: list[Problem] = []

        def load(path: Path) -> Decoder:
            stamp, old = self._stamps.get(path), self._decoders.get(path)
            if old is not None and stamp == self._loaded.get(path):
                return old
            if stamp is not None:
                self._loaded[path] = stamp
            try:
                self._decoders[path] = self._load_file(path)
            except DecoderCrash as crash:
                if old is None:
                    raise
                failed.append(Problem(f"{crash.what}, and the decoder that it gave before goes on", crash.fix))
            return self._decoders[path]

        found = load_folder(self._folder, load)
        return LoadedDecoders(found.decoders, (*failed, *found.problems), found.faults)


class Reloadable(Protocol):
    """What `Decoding` does."""

    def use(self, decoders: Mapping[str, Decoder], faults: Mapping[str, Problem]) -> list[Mistake]: ...
    def expect(self, uplinks: Sequence[Uplink]) -> None: ...
    def decode(self, uplink: Uplink) -> Report: ...


class ChangedDecoders:
    """Tells who shows devices which decoders are others now. tell: set by that one."""

    def __init__(self) -> None:
        self.tell: Callable[[Collection[str]], None] = lambda names: None


def tell_unit_slips(decoders: Iterable[Decoder]) -> None:
    """Log what is wrong with the units of decoders that are used from now on."""
    for decoder in decoders:
        for problem in slips_of_decoder(decoder):
            log.warning("decoder=%s: %s", decoder.name, problem)


class LiveDecoding:
    """A `Decoding` that follows a folder.

    It looks there when an uplink arrives, at most every two seconds.
    """

    def __init__(
        self,
        decoding: Reloadable,
        others: LoadedDecoders,
        folder: DecoderFolder,
        first: LoadedDecoders,
        monotonic: Callable[[], float] = time.monotonic,
        changed: ChangedDecoders | None = None,
    ) -> None:
        """others: decoders that are not from the folder. first: what was loaded from it first."""
        self._changed = changed
        self._decoding = decoding
        self._others = others
        self._folder = folder
        self._monotonic = monotonic
        self._next_look = monotonic() + LOOK_EVERY_S
        self._decoders = first.decoders
        self._told: frozenset[Problem] = frozenset(first.problems)

    def expect(self, uplinks: Sequence[Uplink]) -> None:
        """Note uplinks that it will be called with next."""
        self._decoding.expect(uplinks)

    def decode(self, uplink: Uplink) -> Report:
        """Decode an uplink: its readings, or the problem. Never raises."""
        now = self._monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY_S
            if self._folder.has_changed():
                self._reload()
        return self._decoding.decode(uplink)

    __call__ = decode

    def _reload(self) -> None:
        found = self._folder.load()
        for problem in found.problems:
            if problem not in self._told:
                log.warning("decoder: %s", problem)
        self._told = frozenset(found.problems)
        for name in sorted(found.decoders.keys() | self._decoders.keys()):
            old, new = self._decoders.get(name), found.decoders.get(name)
            if new is None and old is not None:
                log.info("decoder=%s: removed with %s", name, old.origin)
            elif new is not None and new is not old:
                log.info("decoder=%s: loaded from %s", name, new.origin)
        others = [name for name, decoder in found.decoders.items() if decoder is not self._decoders.get(name)]
        tell_unit_slips(found.decoders[name] for name in others)
        self._decoders = found.decoders
        if self._changed:
            self._changed.tell(others)
        all_loaded = combined(self._others, found)
        for mistake in self._decoding.use(all_loaded.decoders, all_loaded.faults):
            log.warning("device=%s: %s", mistake.device, mistake.problem)


def _stamps(folder: Path) -> Stamps:
    """Return time, size and inode of each decoder file: any change shows. Raises OSError."""
    found: Stamps = {}
    for path in decoder_files(folder):
        try:
            status = path.stat()
        except FileNotFoundError:  # gone since the folder was listed
            continue
        found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found
