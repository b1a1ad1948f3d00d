"""Devices and sensors are created when missing, and nobody else's are used; against a real server."""

from __future__ import annotations

import pytest

from lora_post.errors import NotSent
from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import Reading
from lora_post.net.http_client import Answer
from lora_post.sinks.waziup.client import DeviceBody, SensorBody, WaziupClient
from lora_post.sinks.waziup.sink import WaziupSink
from lora_post.sinks.waziup.stand_in import ORDERS
from lora_post.spool.facts import Facts
from lora_post.spool.lanes import parked
from lora_post.spool.upkeep import release
from tests.support.build import NOON_US, device, report
from tests.support.distrusted import Distrusted
from tests.support.lanes import ready_lanes
from tests.support.upload_site import DEMO, Site, context_of, end, work
from tests.support.waziup import Fault, Waziup


def test_first_value_of_a_new_device_costs_what_it_must(site: Site, server: Waziup) -> None:
    site.put(report(Reading("t", 1), Reading("h", 2)))
    work(site.uploader())
    assert server.days.seen == [
        "POST /auth/token",
        "GET /gateways/gw1",
        "POST /gateways",
        "GET /gateways/gw1",
        "PUT /gateways/gw1/heartbeat",
        "GET /devices/pond-7",
        "POST /devices",
        "GET /devices/pond-7",
        "POST /devices/pond-7/sensors/t/value",
        "POST /devices/pond-7/sensors/h/value",
    ]


def test_what_is_known_is_not_asked_again_after_a_restart(site: Site, server: Waziup) -> None:
    site.put_values("t", 1)
    uploader = site.uploader()
    work(uploader)
    end(uploader)
    server.days.seen.clear()
    site.put(report(Reading("t", 2), time_us=NOON_US + 60_000_000))
    work(site.uploader())
    assert server.days.seen == [
        "POST /auth/token",
        "PUT /gateways/gw1/heartbeat",
        "POST /devices/pond-7/sensors/t/value",
    ]


def test_sensor_that_appears_later_is_added_without_touching_the_others(site: Site, server: Waziup) -> None:
    uploader = site.uploader()
    site.put_values("t", 1)
    work(uploader)
    site.put_values("h", 5)
    work(uploader)
    found = server.get("/devices/pond-7")
    assert {s["id"]: s["value"]["value"] for s in found["sensors"]} == {"t": 1, "h": 5}  # type: ignore[index]


def test_device_deleted_on_the_server_is_made_again(site: Site, server: Waziup) -> None:
    uploader = site.uploader()
    site.put_values("t", 1)
    work(uploader)
    assert server.call("DELETE", "/devices/pond-7").status_code == 204
    site.put(report(Reading("t", 2), time_us=NOON_US + 60_000_000))
    work(uploader)
    assert server.values("pond-7", "t") == [2]


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_device_of_somebody_else_is_left_alone_and_the_rest_goes_on(
    site: Site, server: Waziup, visibility: str
) -> None:
    body = {"id": "pond-7", "visibility": visibility, "sensors": [{"id": "t"}]}
    assert server.call("POST", "/devices", user="alice", json=body).status_code == 204
    site.put_values("t", 1, 2)
    site.put_values("t", 3, device_id="pond-8")
    work(site.uploader())
    assert server.values("pond-7", "t") == []
    assert server.values("pond-8", "t") == [3]
    (held,) = parked(site.store)
    assert (held.device, held.name, held.readings) == ("pond-7", "t", 2)
    assert "another account" in str(held.why) or "belongs to alice" in str(held.why)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("step", ["POST /devices", "GET /devices/pond-7", "PUT .*/visibility", "PUT .*/owner"])
@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("is_killed", [True, pytest.param(False, marks=pytest.mark.long)], ids=["killed", "goes on"])
def test_device_that_the_server_gave_to_guest_is_taken_over_wherever_it_was_cut_off(
    site: Site, server: Waziup, step: str, *, is_done: bool, is_killed: bool
) -> None:
    """The answer to one of the steps is lost; lora-post goes on, or is killed right then."""
    cut = Fault(f"^{step}$", 0, work_first=is_done)
    site.put_values("t", 1)
    uploader = site.uploader(client=Distrusted(server, cut))
    work(uploader, lambda: not cut.times)
    if is_killed:
        uploader = site.uploader()
    work(uploader)
    found = server.get("/devices/pond-7")
    assert (found["owner"], found["visibility"]) == ("demo", "private")  # type: ignore[index]
    assert server.values("pond-7", "t") == [1]
    assert parked(site.store) == []


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("visibility", ["public", "private"])
def test_device_that_was_guests_before_is_taken_over_when_a_person_says_so(
    site: Site, server: Waziup, visibility: str
) -> None:
    body = {"id": "pond-7", "visibility": visibility}
    assert server.call("POST", "/devices", user="guest", json=body).status_code == 204
    site.put_values("t", 1)
    uploader = site.uploader()
    work(uploader)
    assert server.get("/devices/pond-7")["owner"] == "guest"  # type: ignore[index]
    (held,) = parked(site.store)
    assert "belongs to guest, not to demo" in held.why.what
    assert held.why.fix == "if it is yours, take it over: lora-post spool take-over pond-7"
    Facts(site.store, ORDERS).remember("pond-7", "yes")
    release(site.store, "pond-7", None)
    work(uploader)
    found = server.get("/devices/pond-7")
    assert (found["owner"], found["visibility"], found["gateway_id"]) == ("demo", "private", "gw1")  # type: ignore[index]
    assert server.values("pond-7", "t") == [1]


def test_what_a_device_has_can_be_asked_while_another_sensor_of_it_is_in_trouble(site: Site, server: Waziup) -> None:
    site.put_values("t", 1, 2)
    site.put_values("h", 3)
    spool, sink = site.queue(), site.sink()
    first, other = (spool.claim(lane, 10) for lane in ready_lanes(spool))
    assert first is not None
    assert other is not None
    server.call("POST", "/devices", user="demo", json={"id": "pond-7", "visibility": "private"})
    sink.send(first)
    assert server.call("DELETE", "/devices/pond-7/sensors/h").status_code == 204
    server.days.faults.append(Fault(r"GET /devices/pond-7$", 500))
    with pytest.raises(NotSent):
        sink.send(other)
    assert sink.stored(first, sink.clock_us()) == list(first.times_us)


class Picky(WaziupClient):
    """A server that does not take a sensor called `bad`."""

    def post_device(self, device: DeviceBody) -> Answer:
        if any(sensor.id == "bad" for sensor in device.sensors):
            return Answer(400, b"Error from Orion: no")
        return super().post_device(device)

    def post_sensor(self, device_id: str, sensor: SensorBody) -> Answer:
        return Answer(400, b"Error from Orion: no") if sensor.id == "bad" else super().post_sensor(device_id, sensor)


@pytest.mark.parametrize("is_new", [True, False])
def test_sensor_that_cannot_be_created_does_not_park_the_others_of_its_device(
    site: Site, server: Waziup, is_new: bool
) -> None:
    if not is_new:
        server.call("POST", "/devices", user="demo", json={"id": "pond-7", "sensors": [{"id": "other"}]})
    site.put(report(Reading("t", 1), Reading("bad", 2), Reading("h", 3)))
    work(site.uploader(client=Picky(server.url)))
    assert (server.values("pond-7", "t"), server.values("pond-7", "h")) == ([1], [3])
    assert [(held.name, held.readings) for held in parked(site.store)] == [("bad", 1)]


def test_device_that_has_left_the_configuration_is_created_private(site: Site, server: Waziup) -> None:
    site.put_values("t", 1, device_id="pond-8")
    work(site.uploader(visibility="public"))
    assert server.get("/devices/pond-8")["visibility"] == "private"  # type: ignore[index]


def test_created_device_says_which_sensor_it_is_and_one_that_is_there_keeps_its_own_words(
    site: Site, server: Waziup
) -> None:
    root = RootKeys(0x70B3D57ED0000001, 0, bytes(16))
    context = context_of(site.store, "waziup", device(root=root), device("pond-8"))
    server.call("POST", "/devices", user="demo", json={"id": "pond-8", "meta": {"by": "hand"}})
    site.put_values("t", 1)
    site.put_values("t", 1, device_id="pond-8")
    client = WaziupClient(site.url)
    client.account = DEMO
    sink = WaziupSink(client, context, Facts(site.store, site.url), provision=True)
    spool = site.queue()
    for lane in ready_lanes(spool):
        batch = spool.claim(lane, 10)
        assert batch is not None
        sink.send(batch)
    made = {"dev_eui": "70b3d57ed0000001", "decoder": "cayenne-lpp"}
    assert server.get("/devices/pond-7")["meta"] == made  # type: ignore[index]
    assert server.get("/devices/pond-8")["meta"] == {"by": "hand"}  # type: ignore[index]


def sensor(server: Waziup, sensor_id: str) -> dict[str, object]:
    found = server.get(f"/devices/pond-7/sensors/{sensor_id}")
    assert isinstance(found, dict)
    return found


def later(minutes: int) -> int:
    return NOON_US + minutes * 60_000_000


@pytest.mark.parametrize("is_restarted", [False, True])
def test_unit_that_changes_here_changes_on_the_server(site: Site, server: Waziup, *, is_restarted: bool) -> None:
    uploader = site.uploader()
    site.put(report(Reading("x_min", 20, "min"), Reading("y", 1, "V")))
    work(uploader)
    assert sensor(server, "x_min")["unit"] == "MinuteTime"
    site.put(report(Reading("x_min", 21, "A", quantity="ElectricCurrent"), time_us=later(1)))
    if is_restarted:
        end(uploader)
        uploader = site.uploader()
    server.days.seen.clear()
    work(uploader)
    found = sensor(server, "x_min")
    assert (found["unit"], found["quantity_kind"]) == ("Ampere", "ElectricCurrent")
    assert server.values("pond-7", "x_min") == [20, 21]
    assert sensor(server, "y")["unit"] == "Volt"
    assert [line for line in server.days.seen if line.startswith("PUT /devices")] == [
        f"PUT /devices/pond-7/sensors/x_min/{field}" for field in ("sensor_kind", "quantity_kind", "unit")
    ]
    site.put(report(Reading("x_min", 22, "A"), time_us=later(2)))
    server.days.seen.clear()
    work(uploader)
    assert [line for line in server.days.seen if "/devices" in line] == ["POST /devices/pond-7/sensors/x_min/value"]


def test_unit_that_a_person_has_set_on_the_dashboard_stays(site: Site, server: Waziup) -> None:
    uploader = site.uploader()
    site.put(report(Reading("x", 20, "min")))
    work(uploader)
    assert server.call("PUT", "/devices/pond-7/sensors/x/unit", json="Kelvin").status_code == 204
    site.put(report(Reading("x", 21, "A"), time_us=later(1)))
    work(uploader)
    assert sensor(server, "x")["unit"] == "Kelvin"
    assert server.values("pond-7", "x") == [20, 21]
