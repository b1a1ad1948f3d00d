"""Typed HTTP calls to Waziup Cloud API v2, one per endpoint; no policy, no retry.

Every call returns an `Answer`, whatever its status, or raises `Unavailable` when nothing was sent
and `OutcomeUnknown` when the server may have acted and no complete answer came back. Bodies are
read up to a bound; redirects are not followed, so the token goes to the configured server only.

Source: Waziup/wazicloud-api: src/Waziup/API.hs, Types.hs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from urllib.parse import quote

import msgspec
import requests
from msgspec import Struct
from urllib3.exceptions import HTTPError, NewConnectionError

from lora_post import __version__
from lora_post.errors import OutcomeUnknown, Unavailable
from lora_post.http_session import READ_TIMEOUT_S, bounded_session
from lora_post.secret import Secret

CONNECT_TIMEOUT_S = 15.0
MAX_BODY = 1 << 20

_BEFORE_SENDING = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
# RFC 7519, section 3; nothing else may get into a header.
_is_jwt = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII).fullmatch


class Answer(Struct, frozen=True):
    """What the server said.

    retry_after_s: from its Retry-After header, when that is a number. date: its Date header.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None
    date: str = ""

    @property
    def text(self) -> str:
        """The body as one short printable line."""
        line = " ".join(self.body[:300].decode("utf-8", "replace").split())
        return "".join(c if c.isprintable() else "?" for c in line) or "(empty)"


class Claims(Struct, frozen=True):
    """What a Waziup token says of itself: times in seconds since 1970, the name that will own things."""

    exp: float
    iat: float = 0.0
    preferred_username: str = ""


class Login(Struct, frozen=True):
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


class RemoteDevice(Struct, frozen=True):
    """A device as the server shows it."""

    id: str
    owner: str | None = None
    sensors: list[RemoteSensor] = []


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


def read_login(answer: Answer) -> Login | None:
    """The token in the answer to a login, bare or as a JSON string; None when there is none."""
    token = answer.body.decode("ascii", "replace").strip().strip('"')
    claims = read_claims(token)
    return Login(Secret(token), claims) if claims else None


class WaziupClient:
    """One kept-open connection to one server."""

    def __init__(self, base_url: str) -> None:
        """base_url: for example https://api.waziup.io/api/v2"""
        self._base = base_url.rstrip("/")
        self._token: Secret | None = None
        self._session = bounded_session()
        self._session.headers["User-Agent"] = f"lora-post/{__version__}"

    def use_token(self, token: Secret | None) -> None:
        """Send this token with every following call; None: anonymous."""
        self._token = token

    def fetch_token(self, username: str, password: Secret) -> Answer:
        """POST /auth/token; 200 with the token as body. A password that comes back is taken out."""
        body = {"username": username, "password": password.reveal()}
        answer = self._call("POST", "/auth/token", body, anonymous)
        shown = answer.body.replace(password.reveal().encode(), b"(password)")
        return answer if answer.status == 200 else msgspec.structs.replace(answer, body=shown)

    def post_gateway(self, gateway_id: str, name: str, visibility: str) -> Answer:
        """POST /gateways; 200, or 422 when the id is taken."""
        return self._call("POST", "/gateways", {"id": gateway_id, "name": name, "visibility": visibility})

    def get_gateway(self, gateway_id: str) -> Answer:
        """GET /gateways/{g}; 200 with a RemoteGateway, 404, or 403 when it is someone's private one."""
        return self._call("GET", f"/gateways/{_quote(gateway_id)}")

    def put_heartbeat(self, gateway_id: str, path: str) -> Answer:
        """PUT /gateways/{g}/heartbeat, or /health on servers of mid-2019; 204."""
        return self._call("PUT", f"/gateways/{_quote(gateway_id)}/{path}")

    def get_me(self) -> Answer:
        """GET /users/me; 200 with a RemoteUser, `guest` when the token is not accepted."""
        return self._call("GET", "/users/me")

    def get_device(self, device_id: str) -> Answer:
        """GET /devices/{d}; 200 with a RemoteDevice, 404, or 403 when it is someone's private one."""
        return self._call("GET", f"/devices/{_quote(device_id)}")

    def post_device(self, device: DeviceBody) -> Answer:
        """POST /devices; 204, or 422 when the id is taken."""
        return self._call("POST", "/devices", device)

    def put_device_as_guest(self, device_id: str, field: str, value: str) -> Answer:
        """PUT /devices/{d}/{field} without token; 204."""
        return self._call("PUT", f"/devices/{_quote(device_id)}/{field}", value, anonymous)

    def post_sensor(self, device_id: str, sensor: SensorBody) -> Answer:
        """POST /devices/{d}/sensors; 204. Overwrites an existing one, so look first."""
        return self._call("POST", f"/devices/{_quote(device_id)}/sensors", sensor)

    def post_values(self, device_id: str, sensor_id: str, values: Sequence[msgspec.Raw]) -> Answer:
        """POST .../value for one and .../values for several `{"value","timestamp"}` objects; 204."""
        path = f"/devices/{_quote(device_id)}/sensors/{_quote(sensor_id)}/value"
        return self._call("POST", path, values[0]) if len(values) == 1 else self._call("POST", path + "s", values)

    def get_values(self, device_id: str, sensor_id: str, limit: int) -> Answer:
        """GET .../values: the `limit` rows last received, newest first, as they were sent."""
        path = f"/devices/{_quote(device_id)}/sensors/{_quote(sensor_id)}/values"
        return self._call("GET", f"{path}?sort=dsc&limit={limit}&calibrated=false")

    def close(self) -> None:
        self._session.close()

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None,
    ) -> Answer:
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            # An `auth` callable also keeps requests from putting ~/.netrc in the token's place.
            with self._session.request(
                method,
                self._base + path,
                data=data,
                headers=headers,
                auth=auth or self._authorise,
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
                stream=True,
            ) as response:
                body_read, date = _read(response), response.headers.get("Date", "")
                return Answer(response.status_code, body_read, _retry_after(response), date)
        # What requests does not wrap: urllib3's own errors, and http.client's ValueError over a chunk of -5 bytes.
        except (requests.RequestException, HTTPError, ValueError) as error:
            if _nothing_was_sent(error):
                raise Unavailable(_cause(error)) from error
            raise OutcomeUnknown(f"no complete answer to {method} {path.partition('?')[0]}: {_cause(error)}") from error

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


def anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Adds no Authorization header."""
    return request


def _quote(part: str) -> str:
    return quote(part, safe="")


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(1 << 14):
        body += chunk
        if len(body) > MAX_BODY:
            raise requests.exceptions.ChunkedEncodingError("the answer does not end")
    return bytes(body)


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _nothing_was_sent(error: Exception) -> bool:
    """Only what is certain: when in doubt, the request may have been acted on."""
    if isinstance(error, _BEFORE_SENDING):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(reason)
    return isinstance(reason, NewConnectionError)


def _cause(error: BaseException) -> str:
    """The innermost reason in one line, without the names of the library's own objects."""
    reason = getattr(error.args[0] if error.args else None, "reason", None) or error
    return re.sub(r"^\S*(Connection|Pool)\S*\(.*?\): |\[Errno -?[0-9]+\] ", "", str(reason))
