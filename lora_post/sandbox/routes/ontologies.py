"""Ontologies: what a dashboard can label; the server itself never checks against them.

Source: Waziup/wazicloud-api: src/Waziup/Ontologies.hs, data/ontologies/.
"""

from __future__ import annotations

from lora_post.sandbox.endpoint import Call, Endpoint, Reply, json_reply
from lora_post.waziup.kinds import ontology


def get_sensor_kinds(call: Call) -> Reply:
    """Return sensor kinds with the quantities they measure."""
    return json_reply([{"id": t.id, "label": t.label, "qk": t.links} for t in ontology().sensor_kinds])


def get_quantity_kinds(call: Call) -> Reply:
    """Return quantity kinds with their units."""
    return json_reply([{"id": t.id, "label": t.label, "units": t.links} for t in ontology().quantity_kinds])


def get_units(call: Call) -> Reply:
    """Return units."""
    return json_reply([{"id": t.id, "label": t.label} for t in ontology().units])


def get_actuator_kinds(call: Call) -> Reply:
    """Return none: there are none."""
    return json_reply([])


ENDPOINTS = (
    Endpoint("GET", "ontologies/sensor_kinds", get_sensor_kinds),
    Endpoint("GET", "ontologies/quantity_kinds", get_quantity_kinds),
    Endpoint("GET", "ontologies/units", get_units),
    Endpoint("GET", "ontologies/actuator_kinds", get_actuator_kinds),
)
