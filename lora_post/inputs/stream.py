"""Read frames from a stream of bytes through a parser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from lora_post.clocks.scale import now_us
from lora_post.downlink.transmit import Transmitter
from lora_post.errors import Problem
from lora_post.formats import Parser
from lora_post.inputs.byte_streams import ByteStream
from lora_post.model import Heard, Noise, NoiseReason
from lora_post.times import WallUs

Hear: TypeAlias = Callable[[bytes, WallUs], None]

# What a radio program has written before the end; a Linux pipe holds 64 KiB.
LAST_READS = 16


class StreamTransmitter(Transmitter, Protocol):
    """The way back of a stream, which also says what became of frames."""

    def listen(self, data: bytes, now_us: WallUs) -> None:
        """Take bytes that arrived, before they are parsed."""
        ...

    def heard(self, events: Sequence[Heard]) -> Sequence[Heard]:
        """Return events with what they need to be answered."""
        ...


class StreamInput:
    """Frames out of a stream of bytes."""

    is_awaited = True

    def __init__(
        self,
        stream: ByteStream,
        parser: Parser,
        hear: Hear = lambda data, now_us: None,
        transmitter: StreamTransmitter | None = None,
    ) -> None:
        """hear: is given the bytes of each read and their time, before they are parsed. transmitter: the way back."""
        self.name = stream.name
        self._stream = stream
        self._parser = parser
        self._hear = hear
        self.transmitter = transmitter
        self._ended = False
        self._size = 0
        self._had_frame = False

    @property
    def trouble(self) -> Problem | None:
        return self._stream.trouble

    def events(self, timeout_s: float) -> Sequence[Heard] | None:
        if self._ended:
            return None
        data = self._stream.read(timeout_s)
        if data is None:
            self._ended = True
            return self._rest()
        return self._take(data)

    def drain(self) -> list[Heard]:
        events: list[Heard] = []
        for _ in range(LAST_READS):
            data = self._stream.read(0.0)
            if not data:
                break
            events += self._take(data)
        return [*events, *self._parser.finish(now_us())]

    def kept(self) -> None:
        """Do nothing: the sender does not wait for an answer."""

    def _take(self, data: bytes) -> Sequence[Heard]:
        now = now_us()
        self._hear(data, now)
        if self.transmitter:
            self.transmitter.listen(data, now)
        events = self._parser.feed(data, now)
        self._size += len(data)
        self._had_frame = self._had_frame or _has_frame(events)
        return self.transmitter.heard(events) if self.transmitter else events

    def _rest(self) -> Sequence[Heard]:
        """Return what the end of the stream completes, and that no frame was in all of it."""
        events = self._parser.finish(now_us())
        if self._stream.is_null:
            detail = "stdin is /dev/null, as a service has it: give [[input]] another url, or pipe the radio program in"
            return [*events, Noise(NoiseReason.NO_FRAME, 0, detail)]
        if self._had_frame or not self._size or _has_frame(events):
            return events
        detail = f"not one frame in all of {self.name}; check its format: that of [[input]], or --format of replay"
        return [*events, Noise(NoiseReason.NO_FRAME, self._size, detail)]

    def close(self) -> None:
        self._stream.close()


def _has_frame(events: Sequence[Heard]) -> bool:
    return not all(isinstance(event, Noise) for event in events)
