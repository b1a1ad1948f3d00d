"""Tell a home gateway which of its entries are valid at the hub, and the newest one.

A worker answers. It sends an entry only where the home gateway does not have it: links of home gateways are bad.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from time import monotonic
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.fleet.log.entry import encode
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.loss import is_same_log
from lora_post.fleet.log.view import View

KEEP: Final = 4096
"""Ids of valid entries that are remembered of a device."""
MAX_ASKED: Final = 256


class Asked(Struct, frozen=True, array_like=True):
    """A question about the log of a device. ids: of entries that the home gateway has, in their order."""

    subject: str
    ids: tuple[str, ...]


class Seen(Struct, frozen=True, array_like=True):
    """The answer. valid: the last of these ids that is valid, "" for none of them.

    newest: the newest valid entry, b"" where its id is `valid`, or where there is no entry. is_yours: the device
    belongs to who asks; nothing is told of others.
    """

    subject: str
    valid: str
    newest: bytes = b""
    is_yours: bool = True


class Heads:
    """Folds of the devices that were asked for."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._views: dict[str, tuple[View, deque[str]]] = {}

    def look(self, asked: Sequence[Asked], seconds: float = inf) -> list[Seen]:
        """Read the log on; answer one question, and more while there is time. Raises LogUnavailable."""
        found: list[Seen] = []
        end = monotonic() + seconds
        for each in asked:
            if found and monotonic() > end:
                break
            found.append(self._look(each))
        return found

    def look_again(self) -> None:
        """Read logs anew that the hub may have lost entries of. Raises LogUnavailable."""
        for subject, (view, _) in list(self._views.items()):
            if not is_same_log(self._log, view):
                del self._views[subject]

    def _look(self, asked: Asked) -> Seen:
        view, ids = self._views.setdefault(asked.subject, (View(asked.subject), deque(maxlen=KEEP)))
        while found := self._log.read(asked.subject, view.position):
            for logged in found:
                if logged.subject == asked.subject:
                    read = view.take(logged)
                    if read is not None and read.is_valid:
                        ids.append(read.entry.id)
                else:
                    view.position = logged.position  # of a device whose id begins alike
        known = set(ids)
        valid = next((each for each in reversed(asked.ids) if each in known), "")
        last = view.fold(asked.subject).last
        return Seen(asked.subject, valid, encode(last) if last and last.id != valid else b"")


encode_asked = msgspec.msgpack.Encoder().encode
encode_seen = msgspec.msgpack.Encoder().encode
decode_asked = msgspec.msgpack.Decoder(list[Asked]).decode
decode_seen = msgspec.msgpack.Decoder(list[Seen]).decode
