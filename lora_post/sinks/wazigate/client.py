"""Typed HTTP calls to a WaziGate's own API, one per endpoint; no policy, no retry.

It differs from Waziup Cloud's: what is created answers 200 with its id, times are called `time`, kinds `kind`,
`quantity` and `unit`, a missing or old token gets 401. A body that is not exactly `{"value", "time"}` is stored whole
as the value, with 200; so nothing else is ever sent.

What a call returns and raises: see `HttpClient.call`.
Source: Waziup/wazigate-edge: api.go; api: auth, devices, sensors, sensor_values, values; edge: device, sensor, values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lora_post.net.http_client import Answer, HttpClient, anonymous, quote_part
from lora_post.secret import Secret

# RFC 7519, section 3; nothing else may get into a header.
_is_jwt = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII).fullmatch


class GateSensor(Struct, frozen=True):
    """A sensor to be declared."""

    id: str
    name: str
    kind: str
    quantity: str
    unit: str


class GateDevice(Struct, frozen=True):
    """A device to be declared."""

    id: str
    name: str
    sensors: list[GateSensor]


class RemoteGateSensor(Struct, frozen=True):
    """A sensor as the WaziGate lists it."""

    id: str


def read_token(answer: Answer) -> Secret | None:
    """The token in the answer to a login, None when there is none."""
    text = answer.body.decode("ascii", "replace").strip().strip('"')
    return Secret(text) if _is_jwt(text) else None


class WazigateClient:
    """One kept-open connection to one WaziGate."""

    def __init__(self, base_url: str) -> None:
        """base_url: for example http://wazigate.local"""
        self._http = HttpClient(base_url)
        self.use_token = self._http.use_token
        self.close = self._http.close

    def fetch_token(self, username: str, password: Secret) -> Answer:
        """POST /auth/token; 200 with the token as a JSON string, else 401. A password that comes back is taken out."""
        body = {"username": username, "password": password.reveal()}
        answer = self._http.call("POST", "/auth/token", body, anonymous)
        shown = answer.body.replace(password.reveal().encode(), b"(password)")
        return answer if answer.status == 200 else msgspec.structs.replace(answer, body=shown)

    def get_id(self) -> Answer:
        """GET /device/id, for which no token is needed; 200 with the WaziGate's own id as a JSON string."""
        return self._http.call("GET", "/device/id", None, anonymous)

    def get_sensors(self, device_id: str) -> Answer:
        """GET /devices/{d}/sensors; 200 with RemoteGateSensors or null, 404 when there is no such device."""
        return self._http.call("GET", f"/devices/{quote_part(device_id)}/sensors")

    def post_device(self, device: GateDevice) -> Answer:
        """POST /devices; 200 with the id, 500 when the id is taken."""
        return self._http.call("POST", "/devices", device)

    def post_sensor(self, device_id: str, sensor: GateSensor) -> Answer:
        """POST /devices/{d}/sensors; 200 with the id, 409 when it is there already."""
        return self._http.call("POST", f"/devices/{quote_part(device_id)}/sensors", sensor)

    def post_values(self, device_id: str, sensor_id: str, values: Sequence[msgspec.Raw]) -> Answer:
        """POST .../values: `{"value","time"}` objects; 200, or 404 when the device or the sensor is not there."""
        return self._http.call("POST", self._values(device_id, sensor_id), values)

    def get_values(self, device_id: str, sensor_id: str, since: str, until: str, limit: int) -> Answer:
        """GET .../values measured in [since, until), oldest first: `{"value","time"}`, times in whole seconds."""
        return self._http.call("GET", f"{self._values(device_id, sensor_id)}?from={since}&to={until}&limit={limit}")

    def _values(self, device_id: str, sensor_id: str) -> str:
        return f"/devices/{quote_part(device_id)}/sensors/{quote_part(sensor_id)}/values"
