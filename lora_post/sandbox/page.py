"""The page for whoever runs the sandbox: what arrived, private devices included.

It is answered to this machine only. The page is static; its script polls one JSON document and
puts everything into the page as text.
"""

from __future__ import annotations

import secrets
from functools import cache

from msgspec import Struct, json

from lora_post.net.hosts import is_this_machine
from lora_post.net.visitors import PAGE_HEADERS, host_name
from lora_post.sandbox.endpoint import Reply
from lora_post.sandbox.entities import Entity
from lora_post.sandbox.errors import ErrorAnswer
from lora_post.sandbox.media import JSON, MediaType
from lora_post.sandbox.rules import Json
from lora_post.sandbox.state import State
from lora_post.sandbox.views import device_json
from lora_post.waziup.kinds import ontology
from lora_post.web.serving import SHARED, page_file

MAX_DEVICES = 200
"""Devices on the page, the latest changed first; a browser polls this every two seconds."""

_UTF8 = (("charset", "utf-8"),)
_FILES = {
    "/": ("lora_post.sandbox", "page.html", "html"),
    "/sandbox/page.css": ("lora_post.sandbox", "page.css", "css"),
    "/sandbox/page.js": ("lora_post.sandbox", "page.js", "javascript"),
    **{path: ("lora_post.web", name, media) for path, (media, name) in SHARED.items()},
}
_OVERVIEW = "/sandbox/overview.json"


class Visit(Struct, frozen=True):
    """What the page needs to know of a request. known: the If-None-Match header."""

    method: str
    path: str
    client: str
    host: str
    known: str | None


class Page:
    """The page of one running sandbox."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._run = secrets.token_hex(4)

    def answer(self, visit: Visit) -> Reply | None:
        """Return the reply, or None when the path is not the page's. Raises ErrorAnswer."""
        if visit.path not in _FILES and visit.path != _OVERVIEW:
            return None
        if visit.method not in ("GET", "HEAD"):
            raise ErrorAnswer(405)
        if not (is_this_machine(visit.client) and is_this_machine(host_name(visit.host))):
            raise ErrorAnswer(403, "The sandbox shows its page only to a browser on the same machine.")
        if visit.path == _OVERVIEW:
            return self._overview(visit.known)
        package, name, subtype = _FILES[visit.path]
        return Reply(200, page_file(package, name), MediaType("text", subtype, _UTF8), PAGE_HEADERS)

    def _overview(self, known: str | None) -> Reply:
        tag = f'"{self._run}-{self._state.changes()}"'
        headers = PAGE_HEADERS | {"ETag": tag}
        if known == tag:
            return Reply(304, headers=headers)
        return Reply(200, json.encode(overview(self._state)), JSON, headers)


def overview(state: State) -> dict[str, Json]:
    """Return everything that the page shows."""
    entities = state.recent_devices(MAX_DEVICES)
    counts = state.received(entity.id for entity in entities)
    return {
        "gateways": state.gateways(),
        "devices": [_device(entity, counts) for entity in entities],
        "device_count": state.device_count(),
        "received": state.received_in_all(),
    }


def _device(entity: Entity, counts: dict[tuple[str, str], int]) -> dict[str, Json]:
    device = device_json(entity)
    sensors = [
        sensor
        | {
            "kind_label": _labels().get(sensor.get("sensor_kind")),
            "quantity_label": _labels().get(sensor.get("quantity_kind")),
            "unit_label": _unit_labels().get(sensor.get("unit")),
            "received": counts.get((entity.id, sensor["id"]), 0),
        }
        for sensor in device["sensors"]
    ]
    return device | {"sensors": sensors}


@cache
def _labels() -> dict[str | None, str]:
    """Return labels of sensor kinds and quantity kinds."""
    lists = ontology()
    return {term.id: term.label for term in (*lists.sensor_kinds, *lists.quantity_kinds)}


@cache
def _unit_labels() -> dict[str | None, str]:
    return {term.id: term.label for term in ontology().units}
