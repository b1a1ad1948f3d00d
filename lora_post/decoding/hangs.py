"""Decoders that take too long: each hang costs its own frame, and after some the decoder is not asked any more."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lora_post.decoding.choice import Decoding, Mistake
from lora_post.decoding.files import load_decoder
from lora_post.decoding.time_limit import Overrun, TimeLimit
from lora_post.errors import DecoderCrash, DecoderHang
from lora_post.model import Decoder, Report, Uplink

log = logging.getLogger(__name__)

MAX_HANGS: Final = 3


class LimitedDecoding:
    """A `Decoding` whose decoders are given a limited time, and few chances."""

    def __init__(
        self,
        decoding: Decoding,
        decoders: Mapping[str, Decoder],
        watch: TimeLimit,
        aside: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """decoders: those that `decoding` uses. aside: those of them that are not to be used, each with the reason."""
        self._decoding = decoding
        self._decoders = decoders
        self._watch = watch
        self._hangs: dict[str, int] = {}
        self._aside = dict(aside)

    def use(self, decoders: Mapping[str, Decoder]) -> list[Mistake]:
        """Decode with these from now on; see `Decoding.use`. One that has changed gets its chances anew."""
        try:
            mistakes = self._watch.call(self._decoding.use, decoders)
        except Overrun as error:
            log.error("decoders: options are not taken in %s; all decoders stay as they were", self._time(error))
            return []
        for name in self._hangs.keys() | self._aside.keys():
            if decoders.get(name) is not self._decoders.get(name):
                self._hangs.pop(name, None)
                self._aside.pop(name, None)
        self._decoders = decoders
        return mistakes

    def decode(self, uplink: Uplink) -> Report:
        """The readings of an uplink, or the problem; never raises."""
        if self._aside:
            name = uplink.device.decoder_for(uplink.fport)
            if name in self._aside and uplink.payload and uplink.fport != 0:
                return _hung(uplink, f"{name} is set aside because {self._aside[name]}, until its file changes")
        try:
            return self._watch.call(self._decoding.decode, uplink)
        except Overrun as error:
            return self._count(uplink, error)

    def _count(self, uplink: Uplink, error: Overrun) -> Report:
        name = uplink.device.decoder_for(uplink.fport)
        hangs = self._hangs[name] = self._hangs.get(name, 0) + 1
        time = self._time(error)
        if hangs >= MAX_HANGS:
            self._aside[name] = f"it hung {MAX_HANGS} times"
            log.error("decoder=%s hangs: no result in %s; set aside until its file changes", name, time)
        else:
            log.error("decoder=%s hangs: no result in %s", name, time)
        return _hung(uplink, f"decoder hangs: {name} gave no result in {time}")

    def _time(self, error: Overrun) -> str:
        """How long was waited, and where the code was then when that is known."""
        raised = error.__context__ if isinstance(error.__context__, Overrun) else error
        *_, (frame, line) = traceback.walk_tb(raised.__traceback__)
        file = frame.f_code.co_filename
        place = "" if file == TimeLimit.call.__code__.co_filename else f" ({Path(file).name} line {line})"
        return f"{self._watch.limit_s:g} s{place}"


def watched_loading(watch: TimeLimit) -> Callable[[Path], Decoder]:
    """`load_decoder`, but a file whose top level takes too long is a DecoderCrash, too."""

    def load(path: Path) -> Decoder:
        try:
            return watch.call(load_decoder, path)
        except Overrun:
            raise DecoderCrash(f"{path}: took longer than {watch.limit_s:g} s to load") from None

    return load


def _hung(uplink: Uplink, text: str) -> Report:
    return Report(uplink, (), (), f"{DecoderHang.__name__}: {text}")
