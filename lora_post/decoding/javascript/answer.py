"""What one call of a codec came to, read from the JSON text that the engine's process sends."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from lora_post.errors import DecoderCrash
from lora_post.results.trials import Trial

MEMORY_LIMIT: Final = 8 << 20
"""Bytes of one world: 20 times what the largest published codec holds, and harmless on a gateway with 512 MB."""

LIFTED: Final = 20_000  # lines put before the prelude, so that the lines of the codec's file can be told from its own
MAX_ANSWER: Final = 80_000  # characters: the prelude's limit for a result, and its messages

_LINE = re.compile(r"<input>:(\d+)")
_LONE_SURROGATE = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


_Found = TypeVar("_Found")


class CodecResult(Struct, frozen=True):
    """What one call of a codec came to.

    data: what the codec made of the payload. normalized: what its `normalizeUplink` made of that, and trials: what that
    makes of it with one value changed.
    errors: what the codec has against the payload; data is None then. lost: values that JSON cannot say.
    """

    data: Any = None
    normalized: Any = None
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    lost: tuple[str, ...] = ()


class _Told(Struct):
    data: Any = None
    normalized: Any = None
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    crash: str | None = None
    stack: str = ""
    trials: tuple[Trial, ...] = ()
    lost: tuple[str, ...] = ()


_data_of: Final = msgspec.json.Decoder().decode
_told_in: Final = msgspec.json.Decoder(_Told).decode


def result_of(text: str) -> CodecResult:
    """Return what an answer says. Raises DecoderCrash where it says that the codec failed, or is not JSON.

    One that begins with a blank has more to say than data; the prelude makes both.
    """
    if not text.startswith(" "):
        return CodecResult(_parse(text, _data_of))
    told = _parse(text, _told_in)
    if told.crash is not None:
        raise DecoderCrash(crash_text(told.crash, told.stack))
    return CodecResult(told.data, told.normalized, told.warnings, told.errors, told.trials, told.lost)


def crash_text(said: str, stack: str) -> str:
    """Return one line for what was thrown in the engine."""
    full = f"the codec used more than {MEMORY_LIMIT >> 20} MiB of memory"
    meant = {
        "": full,
        "InternalError: out of memory": full,
        "null": f"{full}, or threw null",  # no memory is left for an error either
    }
    return meant.get(said, said) + _place(stack)


def _parse(text: str, decode: Callable[[str], _Found]) -> _Found:
    if len(text) <= MAX_ANSWER:
        try:
            return decode(text)
        except (msgspec.MsgspecError, RecursionError):
            # Half a surrogate pair is a text in JavaScript, and not in JSON.
            try:
                return decode(_LONE_SURROGATE.sub(r"\1\\ufffd", text))
            except (msgspec.MsgspecError, RecursionError):
                pass
    raise DecoderCrash("the result is nested too deeply, or not JSON")


def _place(stack: str) -> str:
    """Say where in the codec's file it was, as far as the stack tells."""
    lines = [int(line) for line in _LINE.findall(stack)]
    return next((f", line {line}" for line in lines if line < LIFTED), "")
