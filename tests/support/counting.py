"""What the devices of the counting site must have brought to the server."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.command import DEVICES, Admin

START_US = 1_790_000_000_000_000


def stamp(fcnt: int) -> str:
    moment = datetime.fromtimestamp(START_US // 1_000_000 + fcnt, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def expected(frames: int, index: int) -> list[tuple[object, object]]:
    return [(fcnt // DEVICES / 100, stamp(fcnt)) for fcnt in range(index, frames, DEVICES)]


def assert_everything_arrived_once(admin: Admin, frames: int) -> None:
    for index in range(DEVICES):
        assert admin.rows(f"counter-{index}", "analog_in_1") == expected(frames, index)
        device = next(d for d in admin.get("/devices") if d["id"] == f"counter-{index}")
        sensors = {s["id"]: s.get("quantity_kind") for s in device["sensors"]}  # type: ignore[attr-defined]
        assert sensors == {"analog_in_1": "Other", "temperature_2": "Temperature"}
        assert device["owner"] == "demo"
        assert device["gateway_id"] == "gw1"
