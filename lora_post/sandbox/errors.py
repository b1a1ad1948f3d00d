"""Answers that say no, in the words of the real server.

Clients can tell the causes apart only by status and the beginning of the body.
Source: Waziup/wazicloud-api: src/Waziup/{Utils,Auth,Sensors,Actuators,Gateways}.hs;
telefonicaid/fiware-orion 2.2.0: src/lib/rest/OrionError.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import json

from lora_post.errors import LoraPostError


class ErrorAnswer(LoraPostError):
    """Ends a request: an HTTP status and a body, which may be empty."""

    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def no_route() -> ErrorAnswer:
    """Return the answer for a path that is not there; the empty body tells it from an unknown device."""
    return ErrorAnswer(404)


def bad_json(reason: object) -> ErrorAnswer:
    """Return the answer for a body that is not what the endpoint declares."""
    return ErrorAnswer(400, f"Error in $: {reason}")


def bad_parameter(name: str, reason: str) -> ErrorAnswer:
    """Return the answer for a query parameter that cannot be read."""
    return ErrorAnswer(400, f"Error parsing query parameter {name} failed: {reason}")


def orion_refuses(description: str) -> ErrorAnswer:
    """Return Orion's 400: characters, lengths, dates, query syntax."""
    return _orion(400, "BadRequest", description)


def too_large(size: int, limit: int) -> ErrorAnswer:
    """Return Orion's 413; size in bytes, as far as it is known."""
    return _orion(413, "RequestEntityTooLarge", f"payload size: {size}, max size supported: {limit}")


def no_device() -> ErrorAnswer:
    """Return the answer for an unknown device."""
    return _orion(404, "NotFound", "The requested entity has not been found. Check type and id")


def no_attribute() -> ErrorAnswer:
    """Return the answer for deleting a sensor or an actuator that the device does not have."""
    return _orion(404, "NotFound", "The entity does not have such an attribute")


def no_sensor() -> ErrorAnswer:
    """Return the answer where the device exists and the sensor does not."""
    return ErrorAnswer(404, "Sensor not found")


def no_actuator() -> ErrorAnswer:
    """Return the answer where the device exists and the actuator does not."""
    return ErrorAnswer(404, "Actuator not found")


def no_gateway() -> ErrorAnswer:
    """Return the answer for an unknown gateway."""
    return ErrorAnswer(404, "Cannot get gateway: id not found")


def device_exists() -> ErrorAnswer:
    """Return the answer for a device id that is taken, whoever owns it."""
    return _orion(422, "Unprocessable", "Already Exists")


def gateway_exists() -> ErrorAnswer:
    """Return the answer for a gateway id that is taken, whoever owns it."""
    return ErrorAnswer(422, "Gateway ID already exists")


def forbidden(noun: str, resource_id: str, causes: Sequence[str]) -> ErrorAnswer:
    """Return the 403. noun: device or gateway; causes: one for each rule that could have allowed it."""
    return ErrorAnswer(403, f"Forbidden: Cannot access {noun} {resource_id}. Cause: {', '.join(causes)}")


def bad_credentials() -> ErrorAnswer:
    """Return the only 401 of the whole API."""
    return ErrorAnswer(
        401, 'Error from Keycloak: {"error":"invalid_grant","error_description":"Invalid user credentials"}'
    )


def _orion(status: int, error: str, description: str) -> ErrorAnswer:
    body = json.encode({"error": error, "description": description}).decode()
    return ErrorAnswer(status, f"Error from Orion: {body}")
