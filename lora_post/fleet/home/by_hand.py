"""A person takes a device over from its home gateway, or gives it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lora_post.fleet.entry import Entry, encode
from lora_post.fleet.home.offers import Offer, encode_offer, offer_subject
from lora_post.fleet.home.ownership import released, taken_over
from lora_post.fleet.link import Link
from lora_post.fleet.log import FleetError, Log
from lora_post.fleet.subjects import log_subject
from lora_post.fleet.view import View
from lora_post.model import Device

ROUNDS: Final = 10


def take_over(link: Link, log: Log, device: Device) -> str:
    """Have workers decide about a device until it is given back; return what to say. Raises FleetError."""
    entry = _write(log, device, lambda last: None if last.state.is_held else taken_over(last, is_held=True))
    _tell(link, device)
    if entry is None:
        return f"{device.id}: workers decide about it already"
    return f"{device.id}: workers decide about it from epoch {entry.epoch} on, until it is given back"


def give_back(link: Link, log: Log, device: Device) -> str:
    """Let the home gateway of a device take it again; return what to say. Raises FleetError."""
    entry = _write(log, device, lambda last: released(last) if last.state.is_held else None)
    _tell(link, device)
    if entry is None:
        return f"{device.id}: nobody has taken it over by hand"
    return f"{device.id}: gateway {device.home} takes it as soon as it has a link"


def _write(log: Log, device: Device, next_: Callable[[Entry], Entry | None]) -> Entry | None:
    """Append the next entry until one is valid; return it, None where nothing is to be written."""
    subject = log_subject(device)
    view = View(subject)
    entry = None
    for _ in range(ROUNDS):
        for read in view.catch_up(log):
            if entry and read.is_valid and read.entry.id == entry.id:
                return entry
        last = view.folds[subject].last if subject in view.folds else None
        if last is None:
            raise FleetError(f"{device.id}: nothing was heard of it yet", fix="its home gateway will begin with it")
        entry = next_(last)
        if entry is None:
            return None
        (place,) = log.append([(subject, encode(entry))])
        for read in view.catch_up(log, place or 0):
            if read.is_valid and read.entry.id == entry.id:
                return entry
    raise FleetError(f"{device.id}: others were faster {ROUNDS} times", fix="try again")


def _tell(link: Link, device: Device) -> None:
    """Have the home gateway look at once, if it has a link."""
    link.say(offer_subject(device.home), encode_offer(Offer()))
