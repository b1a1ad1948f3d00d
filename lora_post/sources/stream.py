"""A transport and the parser that its bytes go through."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lora_post.clock import now_us
from lora_post.inputs import Parser
from lora_post.model import Event
from lora_post.transports import Transport

# What a radio program has written before we were told to stop; a Linux pipe holds 64 KiB.
LAST_READS = 16


class StreamSource:
    """Frames out of a stream of bytes."""

    def __init__(
        self, transport: Transport, parser: Parser, progress: Callable[[int], None] = lambda size: None
    ) -> None:
        """progress: called with the number of bytes of each read."""
        self.name = transport.name
        self._transport = transport
        self._parser = parser
        self._progress = progress
        self._ended = False

    def events(self, timeout_s: float) -> Sequence[Event] | None:
        if self._ended:
            return None
        data = self._transport.read(timeout_s)
        if data is None:
            self._ended = True
            return self._parser.finish(now_us())
        self._progress(len(data))
        return self._parser.feed(data, now_us())

    def drain(self) -> list[Event]:
        events: list[Event] = []
        for _ in range(LAST_READS):
            data = self._transport.read(0.0)
            if not data:
                break
            events += self._parser.feed(data, now_us())
        return [*events, *self._parser.finish(now_us())]

    def kept(self) -> None:
        """Nothing to do: nobody waits for an answer."""

    def close(self) -> None:
        self._transport.close()
