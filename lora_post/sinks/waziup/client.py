"""Call Waziup Cloud API v2 over HTTP, one method per endpoint, as the user of an account.

What a call returns and raises: see `HttpClient.call`; Unavailable also when the login fails.

Source: Waziup/wazicloud-api: src/Waziup/{API,Types,Auth}.hs.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from lora_post.clocks.server import ServerClock
from lora_post.errors import SinkError, Unavailable
from lora_post.model import Location
from lora_post.net.http_client import ANONYMOUS, Answer, HttpClient, OnDate, quote_part, transient
from lora_post.net.traffic import Traffic
from lora_post.secret import Account
from lora_post.sinks.token_login import fetch_token

RENEW_BEFORE_S = 90.0
LIFETIME_S = 600.0  # of a token that does not tell


class Claims(Struct, frozen=True):
    """What a Waziup token says of itself.

    exp, iat: in seconds since 1970. preferred_username: the name that will own what is created.
    """

    exp: float
    iat: float = 0.0
    preferred_username: str = ""


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
    """A device to be declared. meta: what it is, for people; Waziup leaves it to its clients."""

    id: str
    gateway_id: str
    name: str
    visibility: str
    sensors: list[SensorBody]
    location: Location | None = None
    meta: Mapping[str, str] = {}


class GatewayBody(Struct, frozen=True, omit_defaults=True):
    """A gateway to be declared."""

    id: str
    name: str
    visibility: str
    location: Location | None = None


class RemoteSensor(Struct, frozen=True):
    """A sensor as the server lists it. value: the last one with its times, None for none. unit: Waziup's."""

    id: str
    value: object = None
    unit: str | None = None


class RemoteActuator(Struct, frozen=True):
    """An actuator as the server lists it. value: the last one that was set, None for none."""

    id: str
    value: object = None


class RemoteDevice(Struct, frozen=True):
    """A device as the server shows it."""

    id: str
    owner: str | None = None
    gateway_id: str | None = None
    name: str | None = None
    visibility: str | None = None
    location: Location | None = None
    date_created: str | None = None
    date_modified: str | None = None
    sensors: list[RemoteSensor] = []
    actuators: list[RemoteActuator] = []


class RemoteGateway(Struct, frozen=True):
    """A gateway as the server shows it."""

    id: str
    owner: str | None = None
    name: str | None = None
    visibility: str | None = None
    location: Location | None = None


class RemoteUser(Struct, frozen=True):
    """Whom the server takes us for."""

    username: str


class StoredValue(Struct, frozen=True):
    """A row of a sensor's history."""

    value: object = None
    timestamp: str | None = None


def read_claims(token: str) -> Claims | None:
    """Return the claims of a JWT, unverified; None for a text that has none."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token.split(".")[1] + "=="), type=Claims)
    except (ValueError, IndexError, RecursionError, msgspec.MsgspecError):
        return None


def trouble(doing: str, answer: Answer) -> SinkError:
    """Return the error for an answer that may be different next time."""
    if answer.status == 404 and not answer.body:
        return Unavailable(f"{doing}: there is no Waziup API at this address", fix="correct [waziup] url")
    return transient(doing, answer)


class WaziupClient:
    """One kept-open connection to one server.

    With an account, every call is made as its user: the login comes before the first one and is renewed before the
    token runs out, as an expired token is not refused but makes us `guest`. A call that is refused all the same is
    made once more with a fresh token.
    """

    def __init__(
        self,
        base_url: str,
        account: Account | None = None,
        on_date: OnDate | None = None,
        traffic: Traffic | None = None,
        alive: Callable[[], object] = lambda: None,
    ) -> None:
        """base_url: for example https://api.waziup.io/api/v2; account None: nobody in particular."""
        self.base_url = base_url.rstrip("/")
        self.account = account
        self.clock = ServerClock()
        self.claims: Claims | None = None
        """What the latest token says of itself; None before the first login."""
        self._renew_at = 0.0
        self._on_date = on_date
        self._http = HttpClient(base_url, self._hear_date, traffic, alive)
        self.close = self._http.close

    def _hear_date(self, date: str, took_us: int) -> None:
        self.clock.hear(date)
        if self._on_date is not None:
            self._on_date(date, took_us)

    @property
    def owner(self) -> str:
        """Return the name by which the server knows us, "" before the first login."""
        if self.account is None or self.claims is None:
            return ""
        return self.claims.preferred_username or self.account.username

    def renew(self) -> None:
        """Log in unless the token is good for a while. Raises Unavailable."""
        if time.monotonic() >= self._renew_at:
            self.log_in()

    def log_in(self) -> None:
        """Fetch a fresh token, if there is an account. Raises Unavailable."""
        if self.account is None:
            return
        asked_at = time.monotonic()
        token = fetch_token(self._http, self.account, "Waziup", "[waziup]")
        claims = read_claims(token.reveal())
        if claims is None:
            raise Unavailable("the login gives no token of Waziup's", fix="is [waziup] url right?")
        self._http.use_token(token)
        self.claims = claims
        # Only the lifetime counts: this machine's clock may be wrong.
        lifetime = max(claims.exp - claims.iat, 0.0) if claims.iat else LIFETIME_S
        self._renew_at = asked_at + lifetime - min(RENEW_BEFORE_S, lifetime / 3)

    def _call(self, method: str, path: str, body: object = None) -> Answer:
        self.renew()
        answer = self._http.call(method, path, body)
        if answer.status in (401, 403) and self.account is not None:
            self.log_in()
            answer = self._http.call(method, path, body)
        return answer

    def _look(self, path: str) -> Answer:
        """GET; what is private and belongs to `guest` is shown only to those without a token."""
        answer = self._call("GET", path)
        if answer.status != 403 or self.account is None:
            return answer
        shown = self._http.call("GET", path, authorization=ANONYMOUS)
        return shown if shown.status == 200 else answer

    def post_gateway(self, gateway: GatewayBody) -> Answer:
        """POST /gateways; 200, or 422 when the id is taken."""
        return self._call("POST", "/gateways", gateway)

    def get_gateway(self, gateway_id: str) -> Answer:
        """GET /gateways/{g}; 200 with a RemoteGateway, 404, or 403 when it is another account's private one."""
        return self._look(f"/gateways/{quote_part(gateway_id)}")

    def put_gateway(self, gateway_id: str, field: str, value: object) -> Answer:
        """PUT /gateways/{g}/{field}; 204. Fields: name, location."""
        return self._call("PUT", f"/gateways/{quote_part(gateway_id)}/{field}", value)

    def put_gateway_owner_as_guest(self, gateway_id: str, owner: str) -> Answer:
        """PUT /gateways/{g}/owner without token; 204, and the gateway is private then."""
        return self._http.call("PUT", f"/gateways/{quote_part(gateway_id)}/owner", owner, ANONYMOUS)

    def put_heartbeat(self, gateway_id: str, path: str) -> Answer:
        """PUT /gateways/{g}/heartbeat, or /health on servers of mid-2019; 204."""
        return self._call("PUT", f"/gateways/{quote_part(gateway_id)}/{path}")

    def get_me(self) -> Answer:
        """GET /users/me; 200 with a RemoteUser, `guest` when the token is not accepted."""
        return self._call("GET", "/users/me")

    def get_device(self, device_id: str) -> Answer:
        """GET /devices/{d}; 200 with a RemoteDevice, 404, or 403 when it is another account's private one."""
        return self._look(f"/devices/{quote_part(device_id)}")

    def post_device(self, device: DeviceBody) -> Answer:
        """POST /devices; 204, or 422 when the id is taken."""
        return self._call("POST", "/devices", device)

    def put_device_as_guest(self, device_id: str, field: str, value: str) -> Answer:
        """PUT /devices/{d}/{field} without token; 204."""
        return self._http.call("PUT", f"/devices/{quote_part(device_id)}/{field}", value, ANONYMOUS)

    def put_device(self, device_id: str, field: str, value: object) -> Answer:
        """PUT /devices/{d}/{field}; 204. Fields: name, location, gateway_id."""
        return self._call("PUT", f"/devices/{quote_part(device_id)}/{field}", value)

    def post_sensor(self, device_id: str, sensor: SensorBody) -> Answer:
        """POST /devices/{d}/sensors; 204. Overwrites an existing one, so look first."""
        return self._call("POST", f"/devices/{quote_part(device_id)}/sensors", sensor)

    def put_sensor(self, device_id: str, sensor_id: str, field: str, value: str) -> Answer:
        """PUT /devices/{d}/sensors/{s}/{field}; 204. Fields: sensor_kind, quantity_kind, unit."""
        return self._call("PUT", f"/devices/{quote_part(device_id)}/sensors/{quote_part(sensor_id)}/{field}", value)

    def get_actuators(self, device_id: str) -> Answer:
        """GET /devices/{d}/actuators; 200 with a list of RemoteActuator, 404, 403 as for a device."""
        return self._look(f"/devices/{quote_part(device_id)}/actuators")

    def post_actuator(self, device_id: str, actuator: ActuatorBody) -> Answer:
        """POST /devices/{d}/actuators; 204. Overwrites an existing one and its value, so look first."""
        return self._call("POST", f"/devices/{quote_part(device_id)}/actuators", actuator)

    def post_values(self, device_id: str, sensor_id: str, values: Sequence[msgspec.Raw]) -> Answer:
        """POST .../value for one and .../values for several `{"value","timestamp"}` objects; 204."""
        path = f"/devices/{quote_part(device_id)}/sensors/{quote_part(sensor_id)}/value"
        return self._call("POST", path, values[0]) if len(values) == 1 else self._call("POST", path + "s", values)

    def get_values(self, device_id: str, sensor_id: str, since: str, limit: int, offset: int) -> Answer:
        """GET .../values: up to `limit` rows as they were sent, newest first, behind `offset` newer ones.

        since: only what was received in this second or later, RFC 3339 with Z.
        """
        path = f"/devices/{quote_part(device_id)}/sensors/{quote_part(sensor_id)}/values"
        skip = f"&offset={offset}" if offset else ""
        return self._call("GET", f"{path}?sort=dsc&limit={limit}{skip}&calibrated=false&date_from={since}")
