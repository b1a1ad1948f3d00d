"""Find out whether the log has lost entries, and continue above all counters they may have used.

A hub that was restored from a backup, or lost power before its disks had everything, has an older log. Who goes on
from that would use values of FCntDown a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from lora_post.fleet.errors import UNREADABLE
from lora_post.fleet.log.entry import FIRST, Counters, Entry, Joins, State, decode, encode, new_id
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.view import View

JUMP: Final = 1024
"""More downlinks and joins than a device gets while a backup is restored, or from a home gateway without a link.

Below the 16384 that old devices tolerate.
"""


def is_same_log(log: Log, view: View) -> bool:
    """Tell whether the entry that was read last still stands where it stood. Raises LogUnavailable."""
    if not view.position:
        return True
    found = log.read(view.prefix, view.position - 1)
    if not found or found[0].position != view.position:
        return False
    try:
        return decode(found[0].data).id == view.anchor
    except UNREADABLE:
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
        return entry.state.own.down > remembered.state.own.down and _has_all(entry.state, remembered.state)
    return False


def _has_all(state: State, lost: State) -> bool:
    """Tell whether a state is behind all of a lost one: who jumped may have known less of the device."""
    done = set(state.done)
    known = done.union(each.key for each in state.waiting)
    return (
        state.own.app_down >= lost.own.app_down
        and done.issuperset(lost.done)
        and known.issuperset(each.key for each in lost.waiting)
        and _has_joins(state.joins, lost.joins)
    )


def _has_joins(joins: Joins | None, lost: Joins | None) -> bool:
    both = _joins_beyond(joins, lost, 0)
    if joins is None or both is None or both is joins:
        return both is joins
    counters = {each.dev_addr: (each.counters.down, each.counters.app_down) for each in joins.sessions}
    return (both.dev_nonces, both.older_nonces, both.join_nonce, both.rejoins) == (
        joins.dev_nonces,
        joins.older_nonces,
        joins.join_nonce,
        joins.rejoins,
    ) and all(counters.get(each.dev_addr) == (each.counters.down, each.counters.app_down) for each in both.sessions)


def jump(last: Entry | None, remembered: Entry, id_: str) -> Entry:
    """Return the entry that goes on behind everything that was lost: a new epoch, FCntDown far ahead."""
    state = beyond(last.state if last else State(), remembered.state)
    if last is None or remembered.epoch > last.epoch:
        before = remembered.state
        state = replace(
            state,
            owner=before.owner,
            is_held=before.is_held,
            stands_in_for=before.stands_in_for,
            decides_since_us=before.decides_since_us,
        )
    epoch = max(last.epoch if last else 0, remembered.epoch) + 1
    prev, number = (last.id, last.number + 1) if last else (FIRST, 1)
    return Entry(id_, prev, number, state, kind="own", epoch=epoch)


def beyond(state: State, lost: State, by: int = JUMP) -> State:
    """Return a state that uses nothing again that a lost one has used. What it has lost is accepted again.

    by: how far counters go on behind both; 0 where nothing came after the lost one.
    """
    known = {each.key for each in lost.waiting} | set(lost.done)
    waiting = (*lost.waiting, *(each for each in state.waiting if each.key not in known))
    return replace(
        state,
        own=_ahead(state.own, lost.own, by),
        joins=_joins_beyond(state.joins, lost.joins, by),
        waiting=tuple(each for each in waiting if each.key not in state.done),
        done=tuple(dict.fromkeys([*state.done, *lost.done])),
    )


def _ahead(counters: Counters, lost: Counters, by: int) -> Counters:
    down, app_down = max(counters.down, lost.down) + by, max(counters.app_down, lost.app_down) + by
    return replace(counters, down=down, app_down=app_down, told=lost.told or counters.told)


def _joins_beyond(joins: Joins | None, lost: Joins | None, by: int) -> Joins | None:
    """Return the joins with the sessions that were lost: devices are in them."""
    if lost is None or (joins and joins.root != lost.root):
        return joins
    joins = joins or Joins(lost.root)
    before = {each.dev_addr: each.counters for each in lost.sessions}
    there = {each.dev_addr: each.counters for each in joins.sessions}
    known = [*joins.sessions, *(each for each in lost.sessions if each.dev_addr not in there)]
    sessions = tuple(
        replace(
            each,
            counters=_ahead(there.get(each.dev_addr, Counters()), before.get(each.dev_addr, Counters()), by),
        )
        for each in sorted(known, key=lambda each: (not each.is_proved, each.join_nonce))
    )
    return Joins(
        joins.root,
        tuple(dict.fromkeys([*joins.dev_nonces, *lost.dev_nonces])),
        _either(joins.older_nonces, lost.older_nonces),
        max(joins.asked_us, lost.asked_us),
        max(joins.join_nonce, lost.join_nonce) + by,
        b"",
        sessions,
        tuple({dev_addr: count for dev_addr, count in sorted([*joins.rejoins, *lost.rejoins])}.items()),
    )


def _either(nonces: bytes, others: bytes) -> bytes:
    """Return the DevNonces of both. nonces, others: a bit for each, or b""."""
    size = max(len(nonces), len(others))
    return (int.from_bytes(nonces.ljust(size, b"\0")) | int.from_bytes(others.ljust(size, b"\0"))).to_bytes(size)


def recover(log: Log, prefix: str, known: Mapping[str, Entry]) -> tuple[View, dict[str, Entry]]:
    """Read a log anew and jump over what it has lost; return its view, and the lost entries. Raises LogUnavailable."""
    view, lost = read_anew(log, prefix, known)
    if lost:
        jumps = {each: jump(view.fold(each).last, remembered, new_id()) for each, remembered in lost.items()}
        log.append([(subject, encode(entry)) for subject, entry in jumps.items()])
        for _ in view.catch_up(log):
            pass  # somebody else may have jumped first
    return view, lost
