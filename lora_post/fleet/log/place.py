"""Remember over restarts how far a log was read, and the newest valid entry of each device."""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.log.entry import Entry, decode, encode
from lora_post.fleet.log.joined import Sessions, joins_of
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.loss import is_same_log, recover
from lora_post.fleet.log.view import Read, View
from lora_post.model import Device
from lora_post.spool import log_places
from lora_post.text import plural
from lora_post.uplink.join_state import JoinState

UPLOADER: Final = "uploader"
WORKER: Final = "worker"

log = logging.getLogger(__name__)


class Place:
    """One reader's place in the log of a prefix, kept in the spool."""

    def __init__(self, reader: str, prefix: str) -> None:
        self._reader = reader
        self._prefix = prefix
        self._changed: dict[str, Entry] = {}

    def load(self, db: sqlite3.Connection) -> View:
        """Return the view as it was written down last."""
        position, anchor = log_places.load_place(db, self._reader, self._prefix)
        self._changed.clear()
        known = {}
        for subject, data in log_places.load_entries(db, self._reader, self._prefix).items():
            try:
                known[subject] = decode(data)
            except UNREADABLE:  # after a lost bit
                continue
        return View(self._prefix, position, anchor, known)

    def note(self, read: Read) -> None:
        """Add what was read, for the next `save`."""
        if read.is_valid:
            self._changed[read.logged.subject] = read.entry

    def note_all(self, view: View) -> None:
        """Add the whole view, for the next `save`."""
        self._changed = known_of(view)

    def save(self, db: sqlite3.Connection, view: View) -> None:
        """Write it down, in the caller's transaction; `saved` is to follow once it is committed."""
        changed = {subject: encode(entry) for subject, entry in self._changed.items()}
        log_places.save(db, self._reader, self._prefix, view.position, view.anchor, changed)

    def saved(self) -> None:
        """Note that the last `save` was committed."""
        self._changed.clear()

    def went_on(self, source: Log, view: View) -> tuple[View, dict[str, Entry]]:
        """Return a view that may be read on, and the entries that the log has lost, by subject.

        The same view where the log still has what it is based on. Raises LogUnavailable.
        """
        known = known_of(view)
        if (view.position or not known) and is_same_log(source, view):
            return view, {}
        found, lost = recover(source, self._prefix, known)
        if lost:
            log.error(
                "the hub has lost entries of %s: their FCntDown goes on 1024 further, and gateways are asked "
                "for what they have kept",
                plural(len(lost), "device"),
            )
        return found, lost


def known_joins(db: sqlite3.Connection, device: Device) -> JoinState:
    """Return what an uploader has read of a device's joins."""
    subject = log_subject(device)
    data = log_places.load_entries(db, UPLOADER, subject).get(subject)
    if data is None or device.root is None:
        return JoinState()
    return Sessions().join_state(joins_of(decode(data).state, device), device)


def newest_entries(db: sqlite3.Connection) -> dict[str, Entry]:
    """Return the newest valid entries of all devices that are known here, by subject."""
    found = {}
    for reader in (WORKER, UPLOADER):
        for subject, data in log_places.load_entries(db, reader, "log.").items():
            try:
                found[subject] = decode(data)
            except UNREADABLE:  # after a lost bit
                continue
    return found


def known_of(view: View) -> dict[str, Entry]:
    """Return the newest valid entries of a view by subject."""
    return {subject: fold.last for subject, fold in view.folds.items() if fold.last}
