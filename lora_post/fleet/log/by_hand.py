"""Change the log of a device by hand: an entry of kind `set`, which every worker follows."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote
from typing import Final, TypeAlias

from msgspec.structs import replace

from lora_post.fleet.errors import FleetError
from lora_post.fleet.hub.subjects import log_prefix, log_subject, part_of_log
from lora_post.fleet.log.acceptance import Acceptance, Proposal
from lora_post.fleet.log.entry import Counters, Entry, Kind, State
from lora_post.fleet.log.joined import joins_of
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.loss import is_same_log
from lora_post.fleet.log.place import UPLOADER, WORKER, Place
from lora_post.fleet.log.view import View
from lora_post.model import Device
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.window import Window

Change: TypeAlias = Callable[[State, Device], State | None]
"""Returns the changed state of a device, None when there is nothing to change."""
AT_THE_HUB: Final = "do it on a worker, or on the uploader"


def change_by_hand(log: Log, view: View, device: Device, change: Change, decider: str = "") -> bool:
    """Change the state of a device in the log; False when there is nothing to change.

    view: what is known of its log. decider: the home gateway that has this log, "" for that of the hub.
    Raises FleetError.
    """

    def changed(state: State, device: Device) -> State | None:
        if state.owner == decider:
            return change(state, device)
        if decider:
            raise FleetError(f"{device.id}: this home gateway does not decide about it", fix=AT_THE_HUB)
        raise FleetError(
            f"{device.id}: home gateway {state.owner} decides about it",
            fix=f"do it there, or first `lora-post fleet take-over {quote(device.id)}`, and `give-back` after it",
        )

    return write(log, view, device, changed, "set") is not None


def write(log: Log, view: View, device: Device, change: Change, kind: Kind) -> Entry | None:
    """Append a changed state until it is valid; return its entry, None when there is nothing to change.

    Raises FleetError.
    """
    subject = log_subject(device)

    def judge(item: Change, state_of: Callable[[str], State]) -> Proposal | None:
        state = item(state_of(subject), device)
        return None if state is None else Proposal(subject, state, kind=kind)

    for _, entry in Acceptance(log, view, judge).accept([change]):
        return entry
    raise FleetError(f"{device.id}: others change it all the time", fix="try again")


def last_view(log: Log, spool_file: SpoolFile, device: Device) -> View:
    """Return what the spool of a worker or uploader knows of the log of a device. Raises FleetError, SpoolError."""
    subject = log_subject(device)
    for reader, prefix in ((UPLOADER, log_prefix()), (WORKER, log_prefix(part_of_log(subject)))):
        with spool_file.transaction() as db:
            view = Place(reader, prefix).load(db)
        last = view.fold(subject).last
        if last is not None and is_same_log(log, view):
            return View(subject, view.position, "", {subject: last})
    return View(subject)


def without_counter(state: State, device: Device) -> State | None:
    """Return a state in which a device may count its uplinks from any number."""
    return _in_sessions(state, device, lambda counters: replace(counters, window=Window()))


def with_down_counter(fcnt: int) -> Change:
    """Return a function that raises the counters of downlinks to a number; never back."""

    def raised(counters: Counters) -> Counters:
        return replace(counters, down=max(counters.down, fcnt), app_down=max(counters.app_down, fcnt))

    return lambda state, device: _in_sessions(state, device, raised)


def without_nonces(state: State, device: Device) -> State | None:
    """Return a state in which a device may use its DevNonces again; its sessions go on."""
    joins = joins_of(state, device)
    if not joins.dev_nonces:
        return None
    return replace(state, joins=replace(joins, dev_nonces=(), older_nonces=b"", answer=b""))


def _in_sessions(state: State, device: Device, change: Callable[[Counters], Counters]) -> State | None:
    if device.root is None:
        return replace(state, own=change(state.own)) if state != State() else None
    joins = joins_of(state, device)
    if not joins.sessions:
        return None
    sessions = tuple(replace(each, counters=change(each.counters)) for each in joins.sessions)
    return replace(state, joins=replace(joins, sessions=sessions))
