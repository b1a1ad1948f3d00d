"""Tell gateways which frames the hub is done with, many in one message."""

from __future__ import annotations

import time
from typing import Final

from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.raw import Settled, encode
from lora_post.fleet.hub.subjects import hub_subject

WAIT_S: Final = 10.0
TOGETHER: Final = 32


class Settling:
    """The frames to tell gateways of. A message may get lost: the gateway then hands the frame in again."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: dict[tuple[str, str], list[int]] = {}
        self._at = 0.0

    def add(self, gateway: str, store: str, number: int) -> None:
        """Add a frame that the hub is done with."""
        if not self._waiting:
            self._at = time.monotonic() + WAIT_S
        self._waiting.setdefault((gateway, store), []).append(number)

    def tell(self, *, is_all: bool = False) -> None:
        """Tell what has waited long enough, or is enough for a message. Raises FleetError."""
        is_due = is_all or time.monotonic() >= self._at
        for key, numbers in list(self._waiting.items()):
            if is_due or len(numbers) >= TOGETHER:
                del self._waiting[key]
                gateway, store = key
                self._link.say(hub_subject(gateway), encode(Settled(store, tuple(numbers))))
