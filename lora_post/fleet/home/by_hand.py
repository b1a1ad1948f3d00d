"""Take a device over from its home gateway, or give it back, as a person asks for."""

from __future__ import annotations

from lora_post.fleet.errors import FleetError
from lora_post.fleet.home.offers import Offer, encode_offer, offer_subject
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.log.by_hand import write
from lora_post.fleet.log.entry import State
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.ownership import released, taken_over
from lora_post.fleet.log.view import View
from lora_post.model import Device


def hand_over(link: Link, log: Log, device: Device, *, to_workers: bool) -> str:
    """Have workers decide about a device until it is given back, or give it back; return what to say.

    Raises FleetError.
    """
    view = View(log_subject(device))
    for _ in view.catch_up(log):
        pass
    if view.fold(view.prefix).last is None:
        raise FleetError(f"{device.id}: nothing was heard of it yet", fix="its home gateway will begin with it")

    def change(state: State, device: Device) -> State | None:
        if state.is_held == to_workers:
            return None
        return taken_over(state, is_held=True) if to_workers else released(state)

    entry = write(log, view, device, change, "own")
    link.say(offer_subject(device.home), encode_offer(Offer()))  # it looks at once, if it has a link
    if to_workers:
        since = f"from epoch {entry.epoch} on, until it is given back" if entry else "already"
        return f"{device.id}: workers decide about it {since}"
    if entry is None:
        return f"{device.id}: nobody has taken it over by hand"
    return f"{device.id}: gateway {device.home} takes it as soon as it has a link"
