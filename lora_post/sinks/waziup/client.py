"""Typed HTTP calls to Waziup Cloud API v2, one per endpoint; no policy, no retry.

What a call returns and raises: see `HttpClient.call`.

Source: Waziup/wazicloud-api: src/Waziup/API.hs, Types.hs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lora_post.net.http_client import Answer, HttpClient, OnDate, anonymous, quote_part
from lora_post.secret import Secret

# RFC 7519, section 3; nothing else may get into a header.
_is_jwt = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII).fullmatch


class Claims(Struct, frozen=True):
    """What a Waziup token says of itself: times in seconds since 1970, the name that will own things."""

    exp: float
    iat: float = 0.0
    preferred_username: str = ""


class Token(Struct, frozen=True):
    """A token, and what it says of itself."""

    token: Secret
    claims: Claims


class SensorBody(Struct, frozen=True, omit_defaults=True):
    """A sensor to be declared."""

    id: str
    name: str | None = None
    sensor_kind: str | None = None
    quantity_kind: str | None = None
    unit: str | None = None


class ActuatorBody(Struct, frozen=True, omit_defaults=True):
    """An actuator to be declared."""

    id: str
    name: str | None = None
    actuator_kind: str | None = None
    actuator_value_type: str | None = None


class DeviceBody(Struct, frozen=True, omit_defaults=True):
    """A device to be declared."""

    id: str
    gateway_id: str
    name: str
    visibility: str
    sensors: list[SensorBody]


class RemoteSensor(Struct, frozen=True):
    """A sensor as the server lists it."""

    id: str


class RemoteActuator(Struct, frozen=True):
    """An actuator as the server lists it."""

    id: str


class RemoteDevice(Struct, frozen=True):
    """A device as the server shows it."""

    id: str
    owner: str | None = None
    sensors: list[RemoteSensor] = []
    actuators: list[RemoteActuator] = []


class RemoteGateway(Struct, frozen=True):
    """A gateway as the server shows it."""

    id: str
    owner: str | None = None


class RemoteUser(Struct, frozen=True):
    """Whom the server takes us for."""

    username: str


class StoredValue(Struct, frozen=True):
    """A row of a sensor's history."""

    value: object = None
    timestamp: str | None = None


def read_claims(token: str) -> Claims | None:
    """The claims of a JWT, unverified; None when it is none."""
    if not _is_jwt(token):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token.split(".")[1] + "=="), type=Claims)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


def read_login(answer: Answer) -> Token | None:
    """The token in the answer to a login, bare or as a JSON string; None when there is none."""
    token = answer.body.decode("ascii", "replace").strip().strip('"')
    claims = read_claims(token)
    return Token(Secret(token), claims) if claims else None


class WaziupClient:
    """One kept-open connection to one server."""

    def __init__(self, base_url: str, on_date: OnDate | None = None) -> None:
        """base_url: for example https://api.waziup.io/api/v2"""
        self._http = HttpClient(base_url, on_date)
        self.traffic = self._http.traffic
        self.use_token = self._http.use_token
        self.close = self._http.close

    def fetch_token(self, username: str, password: Secret) -> Answer:
        """POST /auth/token; 200 with the token as body. A password that comes back is taken out."""
        body = {"username": username, "password": password.reveal()}
        answer = self._http.call("POST", "/auth/token", body, anonymous)
        shown = answer.body.replace(password.reveal().encode(), b"(password)")
        return answer if answer.status == 200 else msgspec.structs.replace(answer, body=shown)

    def post_gateway(self, gateway_id: str, name: str, visibility: str) -> Answer:
        """POST /gateways; 200, or 422 when the id is taken."""
        return self._http.call("POST", "/gateways", {"id": gateway_id, "name": name, "visibility": visibility})

    def get_gateway(self, gateway_id: str) -> Answer:
        """GET /gateways/{g}; 200 with a RemoteGateway, 404, or 403 when it is someone's private one."""
        return self._http.call("GET", f"/gateways/{quote_part(gateway_id)}")

    def put_heartbeat(self, gateway_id: str, path: str) -> Answer:
        """PUT /gateways/{g}/heartbeat, or /health on servers of mid-2019; 204."""
        return self._http.call("PUT", f"/gateways/{quote_part(gateway_id)}/{path}")

    def get_me(self) -> Answer:
        """GET /users/me; 200 with a RemoteUser, `guest` when the token is not accepted."""
        return self._http.call("GET", "/users/me")

    def get_device(self, device_id: str) -> Answer:
        """GET /devices/{d}; 200 with a RemoteDevice, 404, or 403 when it is someone's private one."""
        return self._http.call("GET", f"/devices/{quote_part(device_id)}")

    def post_device(self, device: DeviceBody) -> Answer:
        """POST /devices; 204, or 422 when the id is taken."""
        return self._http.call("POST", "/devices", device)

    def put_device_as_guest(self, device_id: str, field: str, value: str) -> Answer:
        """PUT /devices/{d}/{field} without token; 204."""
        return self._http.call("PUT", f"/devices/{quote_part(device_id)}/{field}", value, anonymous)

    def post_sensor(self, device_id: str, sensor: SensorBody) -> Answer:
        """POST /devices/{d}/sensors; 204. Overwrites an existing one, so look first."""
        return self._http.call("POST", f"/devices/{quote_part(device_id)}/sensors", sensor)

    def post_actuator(self, device_id: str, actuator: ActuatorBody) -> Answer:
        """POST /devices/{d}/actuators; 204. Overwrites an existing one and its value, so look first."""
        return self._http.call("POST", f"/devices/{quote_part(device_id)}/actuators", actuator)

    def post_values(self, device_id: str, sensor_id: str, values: Sequence[msgspec.Raw]) -> Answer:
        """POST .../value for one and .../values for several `{"value","timestamp"}` objects; 204."""
        path = f"/devices/{quote_part(device_id)}/sensors/{quote_part(sensor_id)}/value"
        return (
            self._http.call("POST", path, values[0])
            if len(values) == 1
            else self._http.call("POST", path + "s", values)
        )

    def get_values(self, device_id: str, sensor_id: str, limit: int) -> Answer:
        """GET .../values: the `limit` rows last received, newest first, as they were sent."""
        path = f"/devices/{quote_part(device_id)}/sensors/{quote_part(sensor_id)}/values"
        return self._http.call("GET", f"{path}?sort=dsc&limit={limit}&calibrated=false")
