"""Write readings as Waziup wants them: sensor id, kinds and unit, JSON values.

Waziup keeps whole numbers in 64 bits and puts the largest one in the place of others (AesonBson 0.4.0, see the
sandbox). Such numbers go there as text, which it keeps as it is.
"""

from __future__ import annotations

import logging
import re
from typing import Final

import msgspec

from lora_post.clocks.scale import short_utc_text
from lora_post.model import Value
from lora_post.spool.model import Batch, Lane
from lora_post.waziup.kinds import SensorKind, describe, to_waziup_value
from lora_post.waziup.names import to_value

log = logging.getLogger(__name__)

_BEYOND = 2**63
# Values that go as they are, a comma behind each; 18 digits are always within.
_are_plain: Final = re.compile(rb"(?:(?:true|false|-?[0-9]{1,18}(?:\.[0-9]+)?),)*+").fullmatch
_MAX_TOLD = 1000

_told: set[tuple[str, str]] = set()


def kind_of(lane: Lane) -> SensorKind:
    """Return what Waziup calls such a sensor."""
    return describe(lane.name, lane.unit, lane.quantity, lane.channel)


def wire_values(batch: Batch) -> list[bytes]:
    """Return the queued JSON values of a batch as the server gets them; plain numbers are not even parsed."""
    factor = kind_of(batch.lane).factor
    if factor == 1 and _are_plain(b",".join((*batch.values, b""))):
        return list(batch.values)
    return [_wire(batch.lane, value, factor) for value in batch.values]


def value_objects(batch: Batch) -> list[bytes]:
    """Return a batch as the `{"value","timestamp"}` objects of Waziup, over HTTP and MQTT alike."""
    return [
        b'{"value":%b,"timestamp":"%b"}' % (value, short_utc_text(time).encode())
        for time, value in zip(batch.times_us, wire_values(batch), strict=True)
    ]


def kept_forms(batch: Batch) -> list[bytes]:
    """Return the values of a batch as they are compared with what a server has."""
    return [kept_form(msgspec.json.decode(value)) for value in wire_values(batch)]


def kept_form(value: object) -> bytes:
    """Return a JSON value in a form that is the same before and after a store, which may know only doubles."""
    return msgspec.json.encode(_in_doubles(value), order="sorted")


def _in_doubles(value: object) -> object:
    if isinstance(value, dict):
        return {key: _in_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_doubles(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return value
    return 0.0 if value == 0 and isinstance(value, float) else value  # -0.0 comes back as 0


def _wire(lane: Lane, value: bytes, factor: float) -> bytes:
    scaled = to_waziup_value(to_value(msgspec.json.decode(value)), factor)
    exact = _exact(scaled)
    if exact != scaled:
        _tell(lane)
    return msgspec.json.encode(exact)


def _exact(value: Value) -> Value:
    """Return a value with text in the place of numbers that the server would change."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, str) or -_BEYOND <= value < _BEYOND:
        return value
    return msgspec.json.encode(value).decode()


def _tell(lane: Lane) -> None:
    key = lane.device, lane.name
    if key not in _told and len(_told) < _MAX_TOLD:
        _told.add(key)
        log.warning("device=%s sensor=%s: a number beyond 64 bits, which Waziup cannot keep, is sent as text", *key)
