"""Actuators that devices announce, created in the sandbox."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_post.decoding.decode import decode
from lora_post.decoding.loading import load_decoder, shipped_folder
from lora_post.metrics import Metrics
from lora_post.model import Actuator, Decoded, Decoder, Reading
from lora_post.secret import Account
from lora_post.sinks.announced import MAX_ACTUATORS, Announced
from lora_post.sinks.waziup.client import WaziupClient
from lora_post.sinks.waziup.sink import WaziupSink
from lora_post.spool.facts import Facts
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report, Uplink
from tests.support.build import NOON_US, device, frame
from tests.support.upload_site import DEMO, WatchedUploader, context_of, work
from tests.support.waziup import Waziup, waziup

WAZIUP = "waziup"
POND = device(decoder="xlpp")
XLPP = load_decoder(shipped_folder() / "xlpp.py")
SWITCH_2 = "FB01 028E"


@pytest.fixture(scope="module")
def server() -> Iterator[Waziup]:
    with waziup() as server:
        yield server


class Gateway1:
    """A spool, and an uploader that hears of actuators."""

    def __init__(self, path: Path, server: Waziup, device_id: str, account: Account | None = DEMO) -> None:
        self.device = device(device_id, decoder="xlpp")
        self.store = SpoolFile(path / "spool.db")
        self.client = WaziupClient(server.url, account)
        self.announced = Announced()
        self.minute = 0
        context = context_of(self.store, WAZIUP, self.device, announced=self.announced)
        sink = WaziupSink(self.client, context, Facts(self.store, server.url), provision=True)
        self.uploader = WatchedUploader(Queue(self.store, WAZIUP), sink, Metrics())

    def hear(self, payload: str) -> None:
        self.minute += 1
        uplink = Uplink(
            frame(time_us=NOON_US + self.minute * 60_000_000), self.device, self.minute, 1, bytes.fromhex(payload), True
        )
        report = decode(uplink, XLPP)
        assert report.problem is None
        with self.store.transaction() as db:
            QueueWriter(self.store, [WAZIUP], 1 << 30).put(db, [report])
        self.announced.hear(report)
        work(self.uploader)

    def close(self) -> None:
        self.store.close()
        self.client.close()


@pytest.fixture
def gateway(tmp_path: Path, server: Waziup, request: pytest.FixtureRequest) -> Iterator[Gateway1]:
    here = Gateway1(tmp_path, server, f"pond-{request.node.name[5:25]}")
    yield here
    here.close()


def test_announced_actuator_is_created_once(gateway: Gateway1, server: Waziup) -> None:
    for _ in range(3):
        gateway.hear(SWITCH_2 + "00 67 00EB")
    there = server.get(f"/devices/{gateway.device.id}/actuators")
    assert isinstance(there, list)
    assert [(each["id"], each["actuator_kind"], each["actuator_value_type"]) for each in there] == [
        ("actuator_switch_2", "switch", "bool")
    ]
    path = f"POST /devices/{gateway.device.id}/actuators"
    assert sum(line == path for line in server.days.seen) == 1


def test_actuator_that_is_there_keeps_its_value(gateway: Gateway1, server: Waziup) -> None:
    gateway.hear("00 67 00EB")
    device_id = gateway.device.id
    server.call("POST", f"/devices/{device_id}/actuators", json={"id": "actuator_switch_2", "value": True})
    gateway.hear(SWITCH_2 + "00 67 00EC")
    there = server.get(f"/devices/{device_id}/actuators")
    assert isinstance(there, list)
    assert [each["value"] for each in there] == [True]


def test_actuators_that_cannot_be_created_hold_up_no_reading(
    gateway: Gateway1, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    server.days.hanging = ""
    gateway.hear("00 67 00EB")
    gateway.announced._of[gateway.device.id] = {"bad id;": Actuator("bad id;")}
    with caplog.at_level(logging.WARNING):
        gateway.hear("00 67 00EC")
    assert server.values(gateway.device.id, "temperature_0") == [23.5, 23.6]
    assert "is not created: status 400" in caplog.text


def test_a_device_has_a_limited_number_of_actuators() -> None:
    announced = Announced()
    uplink = Uplink(frame(), POND, 1, 1, b"x", True)
    for number in range(4 * MAX_ACTUATORS):
        announced.hear(Report(uplink, (), actuators=(Actuator(f"a{number}"),)))
    assert len(announced.of(POND.id)) == MAX_ACTUATORS


def test_actuators_that_are_not_as_they_should_be_are_left_out_with_a_warning() -> None:
    rubbish = ("x", Actuator(""), Actuator("good", "", "bool"), Actuator("bad", "", "maybe"))
    decoder = Decoder("d", lambda payload, fport: Decoded([Reading("x", 1)], (), None, rubbish), "", "", "", [])  # type: ignore[arg-type]
    report = decode(Uplink(frame(), POND, 1, 1, b"x", True), decoder)
    assert report.actuators == (Actuator("good", "", "bool"),)
    assert "left out: 3 actuators" in report.warnings[0]
    assert [reading.name for reading in report.readings] == ["x"]


def test_xlpp_announces_what_its_markers_list() -> None:
    uplink = Uplink(frame(), POND, 1, 1, bytes.fromhex("FC03 8E 34 C8"), True)
    assert decode(uplink, XLPP).actuators == (
        Actuator("actuator_switch_0", "switch", "bool"),
        Actuator("actuator_string_1", "string", "string"),
    )
