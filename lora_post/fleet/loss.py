"""Find out whether the log has lost entries, and go on behind every counter that they may have used.

A hub that was restored from a backup, or lost power before its disks had everything, has an older log. Who goes on
from that would use values of FCntDown a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from lora_post.fleet.entry import FIRST, Entry, State, decode, encode, new_id
from lora_post.fleet.log import Log
from lora_post.fleet.view import View

JUMP: Final = 1024
"""More downlinks than a device gets while a backup is restored, and below the 16384 that old devices tolerate."""


def is_same_log(log: Log, view: View) -> bool:
    """Tell whether the entry that was read last still stands where it stood. Raises LogUnavailable."""
    if not view.position:
        return True
    found = log.read(view.prefix, view.position - 1)
    if not found or found[0].position != view.position:
        return False
    try:
        return decode(found[0].data).id == view.anchor
    except (msgspec.DecodeError, UnicodeDecodeError):
        return not view.anchor


def read_anew(log: Log, prefix: str, known: Mapping[str, Entry]) -> tuple[View, dict[str, Entry]]:
    """Fold a log from its beginning; return its view, and the known entries that it has lost, by subject.

    known: newest valid entries that this reader remembers. Raises LogUnavailable.
    """
    view = View(prefix)
    there: set[str] = set()
    begun: set[str] = set()
    for read in view.catch_up(log):
        subject, entry = read.logged.subject, read.entry
        remembered = known.get(subject)
        if remembered and read.is_valid:
            is_trimmed = subject not in begun and entry.number > remembered.number
            if is_trimmed or _knows(entry, remembered):
                there.add(remembered.id)
        begun.add(subject)
    return view, {subject: entry for subject, entry in known.items() if entry.id not in there}


def _knows(entry: Entry, remembered: Entry) -> bool:
    """Tell whether an entry is the remembered one, or shows that it was there: trimmed, or jumped over, is not lost."""
    if entry.id == remembered.id:
        return True
    if entry.kind == "own" and entry.epoch > remembered.epoch:
        return entry.state.down > remembered.state.down
    return False


def jump(last: Entry | None, remembered: Entry, id_: str) -> Entry:
    """Return the entry that goes on behind everything that was lost: a new epoch, FCntDown far ahead."""
    state = last.state if last else State()
    down = max(state.down, remembered.state.down) + JUMP
    epoch = max(last.epoch if last else 0, remembered.epoch) + 1
    prev, number = (last.id, last.number + 1) if last else (FIRST, 1)
    return Entry(id_, prev, number, msgspec.structs.replace(state, down=down), kind="own", epoch=epoch)


def recover(log: Log, prefix: str, known: Mapping[str, Entry]) -> tuple[View, dict[str, Entry]]:
    """Read a log anew and jump over what it has lost; return its view, and the lost entries. Raises LogUnavailable."""
    view, lost = read_anew(log, prefix, known)
    if lost:
        jumps = {each: jump(view.fold(each).last, remembered, new_id()) for each, remembered in lost.items()}
        log.append([(subject, encode(entry)) for subject, entry in jumps.items()])
        for _ in view.catch_up(log):
            pass  # somebody else may have jumped first
    return view, lost
