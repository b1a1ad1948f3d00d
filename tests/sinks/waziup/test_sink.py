"""The Waziup sink with spool and uploader, against a real server: what goes over, and what answers mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event

import pytest

from lora_post.model import Reading
from lora_post.sandbox.endpoint import Settings
from lora_post.secret import Account, Secret
from lora_post.spool.lanes import parked
from tests.support.build import NOON_US, report
from tests.support.upload_site import IMPATIENT, Site, work
from tests.support.waziup import Fault, Waziup, waziup


def test_gateway_device_sensors_and_values_appear(site: Site, server: Waziup) -> None:
    site.put(
        report(Reading("temperature_3", 27.2, "°C", 3), Reading("relative_humidity_4", 60.5, "%", 4)),
        report(Reading("temperature_3", 27.5, "°C", 3), time_us=NOON_US + 60_000_000),
    )
    work(site.uploader())
    assert server.get("/gateways/gw1")["name"] == "Farm （north）"  # type: ignore[index]
    found = server.get("/devices/pond-7")
    assert (found["owner"], found["gateway_id"], found["visibility"], found["name"]) == (  # type: ignore[index]
        "demo",
        "gw1",
        "private",
        "Pond 7 （west）",
    )
    kinds = {s["id"]: (s["sensor_kind"], s["quantity_kind"], s["unit"]) for s in found["sensors"]}  # type: ignore[index]
    assert kinds["temperature_3"] == ("Thermometer", "Temperature", "DegreeCelsius")
    assert kinds["relative_humidity_4"] == ("HumiditySensor", "RelativeHumidity", "Percent")
    rows = server.rows("pond-7", "temperature_3")
    assert [(row["value"], row["timestamp"]) for row in rows] == [
        (27.2, "2026-03-01T12:00:00Z"),
        (27.5, "2026-03-01T12:01:00Z"),
    ]


def test_steady_state_is_one_request_for_a_value(site: Site, server: Waziup) -> None:
    uploader = site.uploader()
    site.put_values("t", 1)
    work(uploader)
    server.days.seen.clear()
    site.put(report(Reading("t", 2), time_us=NOON_US + 60_000_000))
    work(uploader)
    assert server.days.seen == ["POST /devices/pond-7/sensors/t/value"]


def test_simple_protocol_sends_to_public_devices_without_account(site: Site, server: Waziup) -> None:
    body = {"id": "pond-7", "visibility": "public", "sensors": [{"id": "t"}]}
    assert server.call("POST", "/devices", user="alice", json=body).status_code == 204
    server.days.seen.clear()
    site.put_values("t", 21.5)
    site.put_values("unknown", 1)
    site.put_values("t", 1, device_id="nowhere")
    work(site.uploader(None, provision=False))
    assert server.values("pond-7", "t") == [21.5]
    assert server.days.seen[0] == "GET /users/me"  # for the server's time
    assert sorted(server.days.seen[1:4]) == [
        "POST /devices/nowhere/sensors/t/value",
        "POST /devices/pond-7/sensors/t/value",
        "POST /devices/pond-7/sensors/unknown/value",
    ]
    assert {(held.device, held.name) for held in parked(site.store)} == {("pond-7", "unknown"), ("nowhere", "t")}
    assert all('provision = "auto"' in str(held.why) for held in parked(site.store))
    assert server.call("GET", "/devices/nowhere").status_code == 404


def test_private_device_is_parked_in_the_simple_protocol(site: Site, server: Waziup) -> None:
    body = {"id": "pond-7", "visibility": "private", "sensors": [{"id": "t"}]}
    server.call("POST", "/devices", user="alice", json=body)
    site.put_values("t", 21.5)
    work(site.uploader(None, provision=False))
    assert "is private and belongs to another account" in str(parked(site.store)[0].why)


@pytest.mark.usefixtures("no_waiting")
def test_number_beyond_64_bits_whose_confirmation_was_lost_is_not_sent_again(site: Site, server: Waziup) -> None:
    numbers = [2**63 - 1, 2**64, -(2**70), 1e19, 2**53 + 1, {"x": [2**64]}]
    server.days.faults.append(Fault(r"POST .*/values$", 500, work_first=True))
    site.put_values("t", *numbers)
    work(site.uploader())
    assert server.values("pond-7", "t") == [
        *(2**63 - 1, str(2**64), str(-(2**70)), "1e19", 2**53 + 1, {"x": [str(2**64)]})
    ]


@pytest.mark.usefixtures("no_waiting")
def test_value_whose_confirmation_was_lost_is_found_whatever_clock_a_proxy_has(site: Site, server: Waziup) -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    uploader = site.uploader()
    site.put_values("t", 1)
    work(uploader)
    site.clients[-1].clock.hear(in_an_hour)
    site.put(report(Reading("t", 2), time_us=NOON_US + 60_000_000))
    server.days.faults.append(Fault(r"POST .*/value$", 500, work_first=True))
    work(uploader)
    assert server.values("pond-7", "t") == [1, 2]


def test_short_lived_tokens_are_renewed_in_time(tmp_path: Path) -> None:
    with waziup(Settings(token_lifetime_s=2)) as server:
        site = Site(tmp_path, server.url)
        uploader = site.uploader()
        for index in range(8):
            site.put(report(Reading("t", index), time_us=NOON_US + index * 60_000_000))
            work(uploader)
            Event().wait(0.4)
        site.close()
        assert server.values("pond-7", "t") == list(range(8))
        assert server.days.seen.count("POST /auth/token") >= 2
        assert server.get("/devices/pond-7")["owner"] == "demo"  # type: ignore[index]


def test_wrong_password_waits_and_says_so_without_the_password(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    site.put_values("t", 1)
    uploader = site.uploader(Account("demo", Secret("open-sesame")))
    uploader.step()
    assert uploader.step() > 200
    assert "refuses user 'demo' or the password" in str(uploader.last_error)
    assert "sesame" not in caplog.text + str(uploader.last_error)
    assert server.days.seen == ["POST /auth/token"]


def test_wrong_address_is_told_apart_from_an_unknown_device(site: Site, server: Waziup) -> None:
    site.url = server.url.replace("v2", "v1")
    site.put_values("t", 1)
    uploader = site.uploader()
    uploader.step()
    assert "no Waziup API at this address" in str(uploader.last_error)


def test_names_that_would_overwrite_a_device_field_are_mapped(site: Site, server: Waziup) -> None:
    for name in ("owner", "visibility", "name", "T (°C)", "a/b", ".", ".."):
        site.put_values(name, 1)
    site.put_values("text", "<b>(ok)</b>")
    site.put_values("accelerometer_1", {"x": 1.0, "y": 0.0, "z": -2.0}, unit="g")
    work(site.uploader())
    found = server.get("/devices/pond-7")
    assert (found["owner"], found["visibility"]) == ("demo", "private")  # type: ignore[index]
    ids = {sensor["id"] for sensor in found["sensors"]}  # type: ignore[index]
    assert {"owner~", "visibility~", "name~", "T~20~28~c2~b0C~29", "a~2fb", "text", "~2e", "~2e~2e"} <= ids
    assert server.values("pond-7", "~2e~2e") == [1]
    assert server.values("pond-7", "text") == ["＜b＞（ok）＜/b＞"]
    assert server.values("pond-7", "accelerometer_1") == [{"x": 9.80665, "y": 0.0, "z": -19.6133}]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("status", [404, 502, 200])
def test_answer_of_something_in_between_is_not_taken_for_nothing_stored(
    site: Site, server: Waziup, status: int
) -> None:
    server.days.faults.append(Fault(r"POST .*/value$", 500, work_first=True))
    server.days.faults.append(Fault(r"GET .*/values$", status, times=4, body=b""))
    site.put_values("t", 1)
    work(site.uploader())
    assert server.values("pond-7", "t") == [1]


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 302])
def test_page_of_a_network_operator_is_no_confirmation(tmp_path: Path, server: Waziup, status: int) -> None:
    """Without an account there is no login that would have failed before."""
    server.call("POST", "/devices", user="alice", json={"id": "pond-7", "sensors": [{"id": "t"}]})
    site = Site(tmp_path, server.url, IMPATIENT)
    page = b"<html>Your credit is used up</html>"
    server.days.faults.append(Fault(r"/values?$", status, times=3, body=page))
    site.put_values("t", 1)
    work(site.uploader(None, provision=False))
    assert server.values("pond-7", "t") == [1]
    site.close()


def test_token_that_is_no_longer_believed_is_renewed(site: Site, server: Waziup) -> None:
    """A server that has forgotten its tokens, for example after a restart, may say 401."""
    server.days.faults.append(Fault(r"POST .*/value$", 401))
    site.put_values("t", 1)
    work(site.uploader())
    assert server.days.seen.count("POST /auth/token") == 2
    assert server.values("pond-7", "t") == [1]


@pytest.mark.parametrize("status", [400, 401, 500])
def test_password_that_the_server_sends_back_is_not_shown(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.days.faults.append(Fault(r"POST /auth/token$", status, body=b'cannot read {"password":"open-sesame"}'))
    uploader = site.uploader(Account("demo", Secret("open-sesame")))
    uploader.step()
    assert "cannot read" in str(uploader.last_error)
    assert "sesame" not in caplog.text + str(uploader.last_error)


@pytest.mark.usefixtures("no_waiting")
def test_hostile_answers_never_lose_or_double_a_value(site: Site, server: Waziup) -> None:
    nested = b"[" * 100_000
    for body in (b"", b"null", b"{}", b'[{"timestamp": 5}]', b'{"id": 5}', nested, b'[{"value": ' + nested):
        server.days.faults.append(Fault(r"^GET ", 200, body=body))
        server.days.faults.append(Fault(r"POST .*/value$", 500, work_first=len(body) % 2 == 0))
    site.put_values("t", *range(3))
    site.put_values("h", *range(2))
    work(site.uploader())
    assert server.values("pond-7", "t") == [0, 1, 2]
    assert server.values("pond-7", "h") == [0, 1]
