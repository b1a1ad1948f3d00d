"""Bare payloads, without any header, of one device that the configuration names.

A frame is put together as LowCostLoRaGw's four-byte header would have it, from the named address to the
gateway with sequence number 0, so that the device is a [[device]] with that `address`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from lora_post.formats.parser import Parser
from lora_post.lowcost import header as lowcost
from lora_post.model import Frame, Heard, Link
from lora_post.times import WallUs

BARE_FORMATS: Final = ("lines", "rn2483", "rak", "rxpk", "lowcost")
"""Formats whose frames may be bare payloads."""


class BarePayloadParser:
    """Another parser, whose frames are payloads of the device with this address, 2 … 255.

    A frame from which LowCostLoRaGw's radio program took the header keeps it: that device has an address.
    """

    def __init__(self, parser: Parser, address: int) -> None:
        self._parser = parser
        self._header = lowcost.build_header(lowcost.Header(lowcost.GATEWAY, lowcost.DATA, address, 0))

    def feed(self, data: bytes, now_us: WallUs) -> list[Heard]:
        """Take bytes that arrived at now_us; return what they complete. b"": only time has passed."""
        return self._with_header(self._parser.feed(data, now_us))

    def finish(self, now_us: WallUs) -> list[Heard]:
        """End of input: return what the remaining bytes still give."""
        return self._with_header(self._parser.finish(now_us))

    def _with_header(self, events: Sequence[Heard]) -> list[Heard]:
        return [
            replace(event, phy_payload=self._header + event.phy_payload, link=Link.LOWCOST)
            if isinstance(event, Frame) and event.link is not Link.LOWCOST
            else event
            for event in events
        ]
