"""Remember which messages of a broker were taken, so that a retained one is taken once.

A broker gives a retained message again after each subscription, with nothing that tells it from a new one.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lora_post.errors import SpoolError
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile

log = logging.getLogger(__name__)

MAX_TOPICS: Final = 512
SAVE_EVERY_S: Final = 600.0
"""A message that comes live may be retained, which it does not tell: writing each down would wear an SD card out."""
_TAKEN: Final = "taken"


class TakenMessages:
    """The latest message of each topic, as hashes; written to the spool. Used by one thread."""

    def __init__(self, spool: Path | None, subject: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """spool: None when nothing is to outlive this process. subject: the name of these facts in it."""
        self._spool = spool
        self._subject = subject
        self._monotonic = monotonic
        self._known: dict[str, str] | None = None
        self._file: SpoolFile | None = None
        self._saved_s = monotonic()
        self._is_changed = False

    def has(self, topic: str, payload: bytes) -> bool:
        """Tell whether this is the topic's latest message that was taken."""
        return self._recall().get(_mark(topic.encode("utf-8", "replace"))) == _mark(payload)

    def take(self, topic: str, payload: bytes) -> None:
        """Note a topic's latest message."""
        known, mark = self._recall(), _mark(topic.encode("utf-8", "replace"))
        known.pop(mark, None)
        known[mark] = _mark(payload)
        if len(known) > MAX_TOPICS:
            del known[next(iter(known))]
        self._is_changed = True

    def save(self, *, now: bool) -> None:
        """Write it down, now or when it is due."""
        is_due = now or self._monotonic() - self._saved_s > SAVE_EVERY_S
        if self._spool is None or not self._is_changed or not is_due:
            return
        self._saved_s = self._monotonic()
        text = " ".join(f"{topic}:{payload}" for topic, payload in self._recall().items())
        try:
            self._facts(self._spool).remember(_TAKEN, text)
            self._is_changed = False
        except SpoolError as error:
            log.warning("%s: cannot write down which retained messages were taken: %s", self._subject, error)

    def close(self) -> None:
        """Write it down and close the file."""
        self.save(now=True)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _recall(self) -> dict[str, str]:
        if self._known is None:
            self._known = {}
            try:
                text = self._facts(self._spool).recall().get(_TAKEN, "") if self._spool else ""
            except SpoolError as error:
                log.warning("%s: cannot read which retained messages were taken: %s", self._subject, error)
                text = ""
            pairs = (pair.partition(":") for pair in text.split())
            self._known |= {topic: payload for topic, _, payload in pairs}
        return self._known

    def _facts(self, spool: Path) -> Facts:
        self._file = self._file or SpoolFile(spool)
        return Facts(self._file, self._subject)


def _mark(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
