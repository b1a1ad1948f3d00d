"""Decoders that take too long: a hang costs its frame, three the decoder.

A hang that `time_limit` cannot end ends the process, and leaves a file beside the spool. Its first lines name the
decoders' files, each with a hash of what it was when the run started, and whether it is used or set aside. Behind
them the interpreter's watchdog writes where each thread was. The next start finds the decoder in that, so that the
payload over which it hung, which an MQTT broker sends again and again, ends the process once and not for ever.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lora_post.decoding import time_limit
from lora_post.decoding.choice import Decoding, Mistake
from lora_post.decoding.loading import CODEC_SUFFIXES, load_decoder
from lora_post.decoding.time_limit import Overrun, TimeLimit
from lora_post.errors import DecoderCrash, DecoderHang, Problem
from lora_post.model import CodecFunction, Decoder
from lora_post.uplink.model import Report, Uplink

log = logging.getLogger(__name__)

MAX_HANGS: Final = 3
MAX_BYTES: Final = 1 << 18  # the watchdog writes at most 100 frames of 100 threads
MAX_FRAMES: Final = 12  # of a stack, in the log
WHY: Final = "lora-post had to be ended over it"

# Library, faulthandler: "Dumping a traceback"; CPython, Python/traceback.c
_FRAME: Final = re.compile(r'^  File "(.*)", line (\S+) in (.*)$', re.MULTILINE)
_CALL: Final = re.compile(rf'^  File ".*{re.escape(Path(time_limit.__file__).name)}", line \S+ in call$', re.MULTILINE)
_LINE: Final = re.compile(r"^(used|aside) ([0-9a-f]*) (.+)$", re.MULTILINE)


class LimitedDecoding:
    """A `Decoding` whose decoders are given a limited time, and few chances."""

    def __init__(
        self,
        decoding: Decoding,
        decoders: Mapping[str, Decoder],
        watch: TimeLimit,
        aside: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """decoders: those that `decoding` uses. aside: names of those not to be used, with reasons."""
        self._decoding = decoding
        self._decoders = decoders
        self._watch = watch
        self._hangs: dict[str, int] = {}
        self._aside = dict(aside)

    def use(self, decoders: Mapping[str, Decoder], faults: Mapping[str, Problem]) -> list[Mistake]:
        """Do what `Decoding.use` does; a decoder that has changed gets its chances anew."""
        try:
            mistakes = self._watch.call(partial(self._decoding.use, faults=faults), decoders)
        except Overrun as error:
            log.error(
                "decoders: options are not taken in %s; all decoders stay as they were", time_text(self._watch, error)
            )
            return []
        for name in self._hangs.keys() | self._aside.keys():
            if decoders.get(name) is not self._decoders.get(name):
                self._hangs.pop(name, None)
                self._aside.pop(name, None)
        self._decoders = decoders
        return mistakes

    def expect(self, uplinks: Sequence[Uplink]) -> None:
        """Note uplinks that it will be called with next."""
        self._decoding.expect(uplinks)

    def decode(self, uplink: Uplink) -> Report:
        """Decode an uplink: its readings, or the problem. Never raises."""
        if self._aside:
            name = uplink.device.decoder_for(uplink.fport)
            if name in self._aside and uplink.payload and uplink.fport != 0:
                return _hung(uplink, f"{name} is set aside because {self._aside[name]}, until its file changes")
        decoder = self._decoders.get(uplink.device.decoder_for(uplink.fport))
        if decoder is not None and isinstance(decoder.decode, CodecFunction):
            return self._decoding.decode(uplink)
        try:
            return self._watch.call(self._decoding.decode, uplink)
        except Overrun as error:
            return self._count(uplink, error)

    __call__ = decode

    def _count(self, uplink: Uplink, error: Overrun) -> Report:
        name = uplink.device.decoder_for(uplink.fport)
        hangs = self._hangs[name] = self._hangs.get(name, 0) + 1
        time = time_text(self._watch, error)
        if hangs >= MAX_HANGS:
            self._aside[name] = f"it hung {MAX_HANGS} times"
            log.error("decoder=%s hangs: no result in %s; set aside until its file changes", name, time)
        else:
            log.error("decoder=%s hangs: no result in %s", name, time)
        return _hung(uplink, f"decoder hangs: {name} gave no result in {time}")


def time_text(watch: TimeLimit, error: Overrun) -> str:
    """Say how long was waited, and where the code was then, if that is known."""
    raised: BaseException = error
    while isinstance(raised.__context__, Overrun):  # more of them came while the call was ending
        raised = raised.__context__
    *_, (frame, line) = traceback.walk_tb(raised.__traceback__)
    file = frame.f_code.co_filename
    place = "" if file == TimeLimit.call.__code__.co_filename else f" ({Path(file).name} line {line})"
    return f"{watch.limit_s:g} s{place}"


def watched_loading(watch: TimeLimit) -> Callable[[Path], Decoder]:
    """Return `load_decoder` with a time limit: a slow top level is a DecoderCrash. Codecs have their own."""

    def load(path: Path) -> Decoder:
        if path.suffix in CODEC_SUFFIXES:
            return load_decoder(path)
        try:
            return watch.call(load_decoder, path)
        except Overrun:
            raise DecoderCrash(f"{path}: took longer than {watch.limit_s:g} s to load") from None

    return load


def _hung(uplink: Uplink, text: str) -> Report:
    return Report(uplink, (), (), f"{DecoderHang.__name__}: {text}")


def hang_path(spool: Path) -> Path:
    """Return the path of the hang file of a spool."""
    return spool.with_name(f"{spool.name}-hang")


class HangFile:
    """The file of a run that takes readings. Close it when no watchdog writes there any more."""

    def __init__(self, path: Path) -> None:
        """Open or create it with mode 0600, and log what the last run left. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.file = os.fdopen(descriptor, "rb", buffering=0)
        if os.fstat(descriptor).st_size > MAX_BYTES:
            os.truncate(descriptor, MAX_BYTES)
        self._text = _text(self.file.read(MAX_BYTES) or b"")
        self._dump = _LINE.sub("", self._text).strip()
        if self._dump:
            log.error("the last run was ended because a call did not end: %s", _stack(self._dump))

    def close(self) -> None:
        self.file.close()

    def set_aside(self, decoders: Mapping[str, Decoder]) -> dict[str, str]:
        """Write down and return which decoders are set aside: name and reason.

        One whose file has changed since that run started gets its chance. Files are told by what is in them: the
        clock of a gateway may have been wrong.
        """
        aside = _still_aside(self._text, decoders)
        if self._dump:
            used = {file: digest for kind, digest, file in _LINE.findall(self._text) if kind == "used"}
            known = {_escaped(file_of(decoder)): name for name, decoder in decoders.items()}
            found = [known[file] for file, _, _ in _FRAME.findall(self._dump) if file in known]
            for name in dict.fromkeys(found):
                file = file_of(decoders[name])
                digest, key = _key(file)
                if used.get(key, digest) != digest:
                    log.warning("decoder=%s hung in the last run; %s has changed since, it is used again", name, file)
                    continue
                aside[name] = WHY
                log.error(
                    "decoder=%s is set aside until %s changes: %s; its payloads are kept for `lora-post spool retry`",
                    name,
                    file,
                    WHY,
                )
            if not found:
                log.error("no decoder of this configuration is in that stack: none is set aside")
        lines = "".join(
            f"{'aside' if name in aside else 'used'} {' '.join(_key(file_of(decoder)))}\n"
            for name, decoder in sorted(decoders.items())
        )
        if lines != self._text:
            try:
                # A power cut between the two costs another end like the last one.
                os.ftruncate(self.file.fileno(), 0)
                os.write(self.file.fileno(), lines.encode())
            except OSError as error:
                log.warning("%s: %s; after the next start no decoder is set aside", self._path, error.strerror)
        return aside


def decoders_set_aside(path: Path, decoders: Mapping[str, Decoder]) -> dict[str, str]:
    """Return which decoders a hang file sets aside, with the reason; change nothing."""
    try:
        with path.open("rb") as file:
            return _still_aside(_text(file.read(MAX_BYTES)), decoders)
    except OSError:
        return {}


def file_of(decoder: Decoder) -> str:
    """Return the file that a decoder comes from; for a package, that of its function."""
    code = getattr(decoder.decode, "__code__", None)
    return decoder.origin if code is None or Path(decoder.origin).is_file() else str(code.co_filename)


def _still_aside(text: str, decoders: Mapping[str, Decoder]) -> dict[str, str]:
    aside = {(digest, file) for kind, digest, file in _LINE.findall(text) if kind == "aside"}
    return {name: WHY for name, decoder in decoders.items() if aside and _key(file_of(decoder)) in aside}


def _key(file: str) -> tuple[str, str]:
    """Return the hash of a file, and its path as the watchdog writes it."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest(), _escaped(file)
    except OSError:
        return "", _escaped(file)


def _escaped(file: str) -> str:
    """Return a path as the watchdog writes it."""
    return file.encode("ascii", "backslashreplace").decode()


def _text(data: bytes) -> str:
    return data.decode("ascii", "replace")


def _stack(dump: str) -> str:
    """Say in one line what the watched call was doing, the innermost function first."""
    threads = re.split(r"^(?=(?:Current thread|Thread) 0x)", dump, flags=re.MULTILINE)
    thread = next((each for each in threads if _CALL.search(each)), dump)
    frames = [f"{file} line {line} in {name}" for file, line, name in _FRAME.findall(_CALL.split(thread)[0])]
    return " < ".join(frames[:MAX_FRAMES]) or "it is not known where"
