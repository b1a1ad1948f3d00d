"""What goes between lora-post and the process that runs the codecs: serial, length, then MessagePack.

Over two pipes: the kernel wakes who waits at a pipe on the core that has just written, which costs half of what a
socket does. Both sides bound what they take. Neither the engine nor the device model is imported here.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from lora_post.errors import DecoderCrash, DecoderHang

TIME_LIMIT_S: Final = 0.1
"""Processor time of the process during one call, as ChirpStack allows; a vendor's codec needs some 10 µs."""

TOGETHER_S: Final = 0.1
"""Of calls that come together no more are begun after so long: those that are left come again."""

MAX_TOGETHER: Final = 256
MAX_TOGETHER_BYTES: Final = 1 << 20
"""Of calls that come together: one could have the options of a device, as long as its file."""
MAX_TOGETHER_TEXT: Final = 1 << 16
"""Characters of answers after which no more calls are begun: with one more, the longest, they fit into MAX_REPLY."""

LOAD_LIMIT_S: Final = 1.0
"""The same for making a world, which takes 5 ms on a desktop and 20 times that on the smallest boards."""

MAX_REQUEST: Final = 4 << 20  # bytes; the text of the longest file, each of its bytes replaced by U+FFFD
MAX_REPLY: Final = 1 << 19  # bytes; the longest answer, each of its characters three bytes long
MAX_SERIAL: Final = (1 << 32) - 1
_HEAD: Final = struct.Struct("<II")
_FIRST: Final = 4096  # bytes: most messages are shorter
_CHUNK: Final = 1 << 16


class Load(Struct, tag=1, array_like=True):
    """Make a codec of a text. dropped: codecs that are not used any more."""

    number: int
    text: str
    dropped: list[int]


class Task(IntEnum):
    """What a codec is called for."""

    DECODE = 0
    ENCODE = 1
    DECODE_DOWN = 2


class Call(Struct, array_like=True, frozen=True, gc=False):
    """Decode a payload, or encode values.

    payload: JSON in ASCII where it is to be encoded. fport: 0 for none. time_ms: its reception, since 1970 UTC.
    variables: a JSON object of texts, "" for none.
    """

    number: int
    payload: bytes
    fport: int
    time_ms: float
    variables: str
    task: Task = Task.DECODE


class Calls(Struct, tag=2, array_like=True, gc=False):
    """Calls that come together."""

    calls: list[Call]


class Loaded(Struct, tag=3, array_like=True, frozen=True):
    """What a file is, with its functions. memory_bytes: what its world holds. is_closed: one world for all frames."""

    memory_bytes: int
    entries: tuple[str, ...]
    is_closed: bool


class Answered(Struct, tag=4, array_like=True, gc=False):
    """The answer of a call, JSON text."""

    text: str


class Failed(Struct, tag=5, array_like=True):
    """A DecoderCrash or DecoderHang."""

    what: str
    fix: str
    is_hang: bool

    @property
    def error(self) -> DecoderCrash | DecoderHang:
        """Return what it stands for."""
        return (DecoderHang if self.is_hang else DecoderCrash)(self.what, fix=self.fix)


class Replies(Struct, tag=6, array_like=True, gc=False):
    """The replies to the first of the calls that came together, at least to one."""

    replies: list[Answered | Failed]


Request: TypeAlias = Load | Calls
Reply: TypeAlias = Loaded | Failed | Replies
_encode: Final = msgspec.msgpack.Encoder().encode
request_of: Final = msgspec.msgpack.Decoder(Request).decode
reply_of: Final = msgspec.msgpack.Decoder(Reply).decode


def send(wire: int, serial: int, message: Request | Reply) -> None:
    """Write a message to a pipe; a reply has the serial of its request. Raises OSError."""
    data = _encode(message)
    data = _HEAD.pack(serial, len(data)) + data
    written = os.write(wire, data)
    while written < len(data):
        written += os.write(wire, memoryview(data)[written:])


def receive(wire: int, max_bytes: int, wanted: int | None = None) -> tuple[int, bytes]:
    """Return serial and text of the next message in a pipe, the only one that is under way.

    wanted: its serial, None for any. Raises OSError; EOFError for the end, and ValueError for whatever is not one
    message, or another.
    """
    data = os.read(wire, _FIRST)
    while len(data) < _HEAD.size:
        data += _more(wire)
    serial, size = _HEAD.unpack_from(data)
    if wanted is not None and serial != wanted:
        raise ValueError
    if len(data) - _HEAD.size < size <= max_bytes:
        parts = bytearray(data)
        while len(parts) - _HEAD.size < size:
            parts += _more(wire)
        data = bytes(parts)
    if len(data) - _HEAD.size != size:
        raise ValueError
    return serial, data[_HEAD.size :]


def _more(wire: int) -> bytes:
    data = os.read(wire, _CHUNK)
    if not data:
        raise EOFError
    return data


def overrun_text(limit_s: float) -> str:
    """Say that a codec has had its time. limit_s: that of a call, or to load."""
    return f"the codec took longer than {limit_s * 1000:.0f} ms{' to load' if limit_s == LOAD_LIMIT_S else ''}"
