"""Reading history: rows in the order of reception, filtered by the time of reception.

Source: Waziup/wazicloud-api: src/Waziup/SensorData.hs.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, json

from lora_post.sandbox.access import Scope, demand
from lora_post.sandbox.endpoint import Call, Endpoint, Reply, json_reply
from lora_post.sandbox.entities import Entity, calibration
from lora_post.sandbox.errors import ErrorAnswer, bad_parameter
from lora_post.sandbox.instants import second_text
from lora_post.sandbox.media import CSV, JSON
from lora_post.sandbox.queries import Query, boolean, ids, instant, integer
from lora_post.sandbox.routes.devices import allowed_device, find_device
from lora_post.sandbox.rules import CalibLinear, calibrate
from lora_post.sandbox.state import Range, Row
from lora_post.sandbox.views import device_resource

_COLUMNS = "device_id,sensor_id,value,timestamp,date_received"
_DEFAULT_LIMIT = 20
_WORD32 = 2**32  # the database driver's type for limit and offset; negative numbers become huge


def get_values(call: Call) -> Reply:
    """Return the history of one sensor; an unknown sensor has an empty one."""
    wanted, calibrated = _range(call.query), boolean(call.query, "calibrated")
    entity = allowed_device(call, Scope.VIEW, Scope.DATA_VIEW)
    return _rows(call, [entity], [call.ids["sensor"]], wanted, calibrated is not False)


def get_sensors_data(call: Call) -> Reply:
    """Return the history of several devices and sensors in one list."""
    devices, sensors = ids(call.query, "device_id"), ids(call.query, "sensor_id")
    wanted, calibrated = _range(call.query), boolean(call.query, "calibrated")
    if devices is None:
        raise ErrorAnswer(400, "parameters 'devices' must be present")
    entities = [find_device(call.state, device) for device in devices]
    for entity in entities:
        demand(call.user, device_resource(entity), Scope.VIEW, Scope.DATA_VIEW)
    return _rows(call, entities, sensors, wanted, calibrated is not False)


def _range(query: Query) -> Range:
    limit, offset = integer(query, "limit"), integer(query, "offset")
    sort = query.get("sort")
    if sort not in (None, "asc", "dsc"):
        raise bad_parameter("sort", 'Wrong sort parameter. Acceptable are "asc" or "dsc"')
    start, end = instant(query, "date_from"), instant(query, "date_to")
    return Range(
        limit=_DEFAULT_LIMIT if limit is None else limit % _WORD32,
        offset=(offset or 0) % _WORD32,
        newest_first=sort == "dsc",
        from_s=None if start is None else start.second,
        to_s=None if end is None else end.second,
    )


def _rows(
    call: Call, entities: Sequence[Entity], sensors: Sequence[str] | None, wanted: Range, calibrated: bool
) -> Reply:
    rows = call.state.history([entity.id for entity in entities], sensors, wanted)
    lines = _lines(entities) if calibrated else {}
    values = [_value(row, lines.get((row.device, row.sensor))) for row in rows]
    if call.media == JSON:
        return json_reply([_row_json(row, value) for row, value in zip(rows, values, strict=True)])
    table = [_row_csv(row, value) for row, value in zip(rows, values, strict=True)]
    return Reply(200, "".join(f"{line}\r\n" for line in (_COLUMNS, *table)).encode(), CSV)


def _lines(entities: Sequence[Entity]) -> dict[tuple[str, str], CalibLinear]:
    """Return the calibrations in force, by device and sensor."""
    attributes = ((entity.id, name, item) for entity in entities for name, item in entity.attributes.items())
    lines = {(device, name): calibration(item) for device, name, item in attributes if item.type == "Sensor"}
    return {key: line for key, line in lines.items() if line is not None}


def _value(row: Row, line: CalibLinear | None) -> str:
    """Return the value as JSON text; what has no calibration need not be read."""
    return row.value if line is None else json.encode(calibrate(json.decode(row.value), line)).decode()


def _row_json(row: Row, value: str) -> dict[str, object]:
    fields: dict[str, object] = {"device_id": row.device, "sensor_id": row.sensor, "value": Raw(value)}
    if row.time is not None:
        fields["timestamp"] = row.time
    return fields | {"date_received": second_text(row.received_s)}


def _row_csv(row: Row, value: str) -> str:
    return ",".join((row.device, row.sensor, value, row.time or "", second_text(row.received_s)))


ENDPOINTS = (
    Endpoint("GET", "devices/{device}/sensors/{sensor}/values", get_values, offers=(JSON, CSV)),
    Endpoint("GET", "sensors_data", get_sensors_data, offers=(JSON, CSV)),
)
