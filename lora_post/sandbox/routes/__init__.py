"""The routes of the API, one file a resource; `all_endpoints` gathers them."""

from __future__ import annotations

from lora_post.sandbox.endpoint import Endpoint
from lora_post.sandbox.routes import accounts, actuators, devices, gateways, history, ontologies, sensors


def all_endpoints(*, legacy_health: bool) -> list[Endpoint]:
    """Return every route under /api/v2."""
    return [
        *accounts.ENDPOINTS,
        *devices.ENDPOINTS,
        *sensors.ENDPOINTS,
        *history.ENDPOINTS,
        *actuators.ENDPOINTS,
        *gateways.ENDPOINTS,
        gateways.LEGACY_HEALTH if legacy_health else gateways.HEARTBEAT,
        *ontologies.ENDPOINTS,
    ]
