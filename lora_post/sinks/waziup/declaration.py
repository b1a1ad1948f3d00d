"""Carry name and place of a gateway or device over to Waziup when the configuration changes.

What was last carried over is remembered, so that the last change counts, whether it was made in the configuration or
on the dashboard.

Source: Waziup/wazicloud-api: src/Waziup/{Devices,Gateways}.hs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from lora_post.errors import SinkError
from lora_post.model import Location
from lora_post.net.http_client import Answer
from lora_post.sinks.waziup.client import RemoteDevice, RemoteGateway
from lora_post.waziup.names import to_text

log = logging.getLogger(__name__)

_FOR_GOOD = (400, 404, 405, 415)


class Declaration(Struct, frozen=True, omit_defaults=True):
    """What the configuration says. name, location: None where it leaves them out; then those on Waziup stay."""

    visibility: str
    name: str | None = None
    location: Location | None = None

    @property
    def text(self) -> str:
        """The same as text, to be remembered."""
        return msgspec.json.encode(self).decode()


def declaration(thing_id: str, name: str, visibility: str, location: Location | None) -> Declaration:
    """Return the declaration of a thing, whose name is its id when it has no other."""
    return Declaration(visibility, None if name == thing_id else to_text(name), location)


def carry_over(
    wanted: Declaration, noted: str, thing: RemoteDevice | RemoteGateway, put: Callable[[str, object], Answer]
) -> bool:
    """Change on the server what has changed in the configuration; return False when some of it has to be tried again.

    noted: the text of what was last carried over. put: changes one field. Never raises.
    """
    is_done = True
    for field, value in _changes(wanted, noted):
        if getattr(thing, field) == value:
            continue
        try:
            answer = put(field, value)
        except SinkError as error:
            log.warning("%s: its %s is not changed on Waziup yet: %s", thing.id, field, error)
            return False
        if answer.status == 204:
            log.info("%s: %s changed on Waziup, as in the configuration", thing.id, field)
            continue
        log.warning("%s: its %s is not changed on Waziup: status %d: %s", thing.id, field, answer.status, answer.text)
        is_done = is_done and answer.status in _FOR_GOOD
    return is_done


def _changes(wanted: Declaration, noted: str) -> Iterator[tuple[str, object]]:
    """Yield what the configuration gives now and did not give when it was last carried over."""
    try:
        before = msgspec.json.decode(noted, type=Declaration)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        before = Declaration("")
    for field in ("name", "location"):
        value = getattr(wanted, field)
        if value is not None and value != getattr(before, field):
            yield field, value
