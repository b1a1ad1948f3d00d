"""Request bodies: their types, and reading them.

Unknown keys are ignored, null counts as absent, times are checked wherever they stand.
Source: Waziup/wazicloud-api: src/Waziup/Types.hs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from lora_post.sandbox.errors import bad_json
from lora_post.sandbox.instants import Instant, instant_text, parse_instant
from lora_post.sandbox.rules import CalibLinear, Json

Visibility: TypeAlias = Literal["public", "private"]
ValueType: TypeAlias = Literal["string", "number", "bool", "null", "object", "array"]


class Body(Struct, frozen=True, omit_defaults=True):
    """A JSON object; what is absent stays absent when it is written again."""


class Credentials(Body, frozen=True):
    """POST /auth/token."""

    username: str
    password: str


class Location(Body, frozen=True):
    """Decimal degrees; the server does not look whether they are on the globe."""

    latitude: float
    longitude: float


class SensorValue(Body, frozen=True):
    """One value; `date_received` is the server's to say, so a sent one is only checked."""

    value: Json
    timestamp: Instant | None = None
    date_received: Instant | None = None


class Calib(Body, frozen=True, forbid_unknown_fields=True):
    """A calibration. The real server also takes a `function`, which then breaks every read; refused here."""

    linear: CalibLinear


class Sensor(Body, frozen=True):
    """A sensor, in POST /devices and POST /devices/{d}/sensors."""

    id: str
    name: str | None = None
    sensor_kind: str | None = None
    quantity_kind: str | None = None
    unit: str | None = None
    value: SensorValue | None = None
    calib: Calib | None = None
    meta: Json = None


class Actuator(Body, frozen=True):
    """An actuator; its value is bare JSON."""

    id: str
    name: str | None = None
    actuator_kind: str | None = None
    actuator_value_type: ValueType | None = None
    value: Json = None
    meta: Json = None


class Device(Body, frozen=True):
    """POST /devices; owner and dates are read and not used."""

    id: str
    gateway_id: str | None = None
    name: str | None = None
    location: Location | None = None
    domain: str | None = None
    visibility: Visibility | None = None
    sensors: list[Sensor] | None = None
    actuators: list[Actuator] | None = None
    owner: str | None = None
    meta: Json = None
    deployed: bool | None = None
    date_created: Instant | None = None
    date_modified: Instant | None = None


class Gateway(Body, frozen=True):
    """POST /gateways; owner and dates are overwritten, the rest is kept as sent."""

    id: str
    name: str | None = None
    owner: str | None = None
    visibility: Visibility | None = None
    location: Location | None = None
    date_created: Instant | None = None
    date_modified: Instant | None = None
    devices: list[Device] | None = None
    connected: bool | None = None
    last_seen: Instant | None = None


ReadBody: TypeAlias = Callable[[bytes], Any]


def json_reader(kind: Any) -> ReadBody:
    """Return a function that reads a JSON body of this type, or raises the 400 of the real server."""
    decoder = msgspec.json.Decoder(kind, dec_hook=_read_instant)

    def read(body: bytes) -> Any:
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise bad_json(error) from None

    return read


def text_reader(kind: Any) -> ReadBody:
    """Return a function that reads a text/plain body: the whole of it is one string."""

    def read(body: bytes) -> Any:
        try:
            return msgspec.convert(body.decode(), type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise bad_json(error) from None

    return read


def text_value(body: bytes) -> SensorValue:
    """Return a text/plain value as text, whatever it looks like; bytes that are not UTF-8 are replaced."""
    return SensorValue(body.decode("utf-8", "replace"))


def to_document(body: Body) -> dict[str, Json]:
    """Return the body as JSON objects again. Raises ErrorAnswer when it cannot be written."""
    try:
        document: dict[str, Json] = msgspec.to_builtins(body, enc_hook=_instant_text)
    except (OverflowError, RecursionError) as error:  # a year beyond 9999, nesting beyond the stack
        raise bad_json(error) from None
    return document


def _read_instant(kind: type, value: object) -> Instant:
    if not isinstance(value, str):
        raise ValueError(f"expected UTCTime, encountered {type(value).__name__}")
    return parse_instant(value)


def _instant_text(value: object) -> str:
    if isinstance(value, Instant):
        return instant_text(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
