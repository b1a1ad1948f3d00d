"""Call a WaziGate's API over HTTP, one method per endpoint; log in when it asks for that.

It differs from Waziup Cloud's: what is created answers 200 with its id, times are called `time`, kinds `kind`,
`quantity` and `unit`, a missing or old token gets 401. A body that is not exactly `{"value", "time"}` is stored whole
as the value, with 200; so nothing else is ever sent.

What a call returns and raises: see `HttpClient.call`; Unavailable also when the login fails.
Source: Waziup/wazigate-edge: api.go; api: auth, devices, sensors, sensor_values, values; edge: device, sensor, values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from lora_post.errors import SinkError, Unavailable
from lora_post.net.http_client import ANONYMOUS, Answer, HttpClient, quote_part, transient
from lora_post.secret import Account
from lora_post.sinks.token_login import WRONG_PASSWORD_WAIT_S, fetch_token


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


def trouble(doing: str, answer: Answer) -> SinkError:
    """Return the error for an answer that may be different next time."""
    if answer.status in (200, 404, 405):
        return Unavailable(
            f"{doing}: what answers is not a WaziGate (status {answer.status})", fix="correct [wazigate] url"
        )
    return transient(doing, answer)


class WazigateClient:
    """One kept-open connection to one WaziGate."""

    def __init__(self, base_url: str, account: Account | None, alive: Callable[[], object] = lambda: None) -> None:
        """base_url: for example http://wazigate.local. account: None for no login."""
        self._account = account
        self._http = HttpClient(base_url, alive=alive)
        self.close = self._http.close

    def log_in(self) -> None:
        """Fetch a token. Raises Unavailable."""
        if self._account is None:
            raise Unavailable(
                "the WaziGate wants a login", WRONG_PASSWORD_WAIT_S, fix="set [wazigate] username and password_file"
            )
        self._http.use_token(fetch_token(self._http, self._account, "WaziGate", "[wazigate]"))

    def _call(self, method: str, path: str, body: object = None) -> Answer:
        answer = self._http.call(method, path, body)
        if answer.status == 401:
            self.log_in()
            answer = self._http.call(method, path, body)
        return answer

    def get_id(self) -> Answer:
        """GET /device/id, without a token; 200 with the WaziGate's own id as a JSON string."""
        return self._http.call("GET", "/device/id", None, ANONYMOUS)

    def get_sensors(self, device_id: str) -> Answer:
        """GET /devices/{d}/sensors; 200 with RemoteGateSensors or null, 404 without such a device."""
        return self._call("GET", f"/devices/{quote_part(device_id)}/sensors")

    def get_actuators(self, device_id: str) -> Answer:
        """GET /devices/{d}/actuators; 200 with a list of `{"id","time","value"}` or null, 404 without such a device."""
        return self._call("GET", f"/devices/{quote_part(device_id)}/actuators")

    def post_device(self, device: GateDevice) -> Answer:
        """POST /devices; 200 with the id, 500 when the id is taken."""
        return self._call("POST", "/devices", device)

    def post_sensor(self, device_id: str, sensor: GateSensor) -> Answer:
        """POST /devices/{d}/sensors; 200 with the id, 409 when it is there already."""
        return self._call("POST", f"/devices/{quote_part(device_id)}/sensors", sensor)

    def post_values(self, device_id: str, sensor_id: str, values: Sequence[msgspec.Raw]) -> Answer:
        """POST .../values: `{"value","time"}` objects; 200, or 404 without such a device or sensor."""
        return self._call("POST", self._values(device_id, sensor_id), values)

    def get_values(self, device_id: str, sensor_id: str, since: str, until: str, limit: int) -> Answer:
        """GET .../values from `since` to before `until`, oldest first; times in whole seconds."""
        return self._call("GET", f"{self._values(device_id, sensor_id)}?from={since}&to={until}&limit={limit}")

    def _values(self, device_id: str, sensor_id: str) -> str:
        return f"/devices/{quote_part(device_id)}/sensors/{quote_part(sensor_id)}/values"
