"""Name, place and visibility as the configuration says, when it changes; against a real server."""

from __future__ import annotations

import re
import subprocess

import pytest

from lora_post.model import Location, Reading
from tests.support.build import NOON_US, report
from tests.support.programs import program
from tests.support.upload_site import Site, WatchedUploader, work
from tests.support.waziup import Fault, Waziup

GARDEN = Location(48.1, 11.5)
FIELD = Location(-1, 36.0)
THINGS = {"/devices/pond-7": ("Pond 7 （west）", "pond_name"), "/gateways/gw1": ("Farm （north）", "gateway_name")}


def start(site: Site, **changes: object) -> WatchedUploader:
    """Start with a changed configuration."""
    site.changes |= changes
    return site.uploader()


def send(site: Site, uploader: WatchedUploader, value: int) -> None:
    site.put(report(Reading("t", value), time_us=NOON_US + value * 60_000_000))
    work(uploader)


def shown(server: Waziup, thing: str, field: str) -> object:
    return server.get(thing).get(field)  # type: ignore[attr-defined]


@pytest.mark.parametrize("thing", THINGS)
def test_place_is_told_when_a_thing_is_created(site: Site, server: Waziup, thing: str) -> None:
    uploader = start(site, pond_location=GARDEN, gateway_location=FIELD)
    send(site, uploader, 0)
    wanted = GARDEN if "devices" in thing else FIELD
    assert shown(server, thing, "location") == {"latitude": wanted.latitude, "longitude": wanted.longitude}
    assert not [line for line in server.days.seen if line.endswith(("/name", "/location"))]


@pytest.mark.parametrize("thing", THINGS)
def test_changed_name_and_place_are_carried_over_once_and_later_changes_on_the_dashboard_stay(
    site: Site, server: Waziup, thing: str
) -> None:
    send(site, start(site), 0)
    _, key = THINGS[thing]
    place = key.replace("name", "location")
    uploader = start(site, **{key: "New (name)", place: GARDEN})
    send(site, uploader, 1)
    assert shown(server, thing, "name") == "New （name）"
    assert shown(server, thing, "location") == {"latitude": 48.1, "longitude": 11.5}
    assert server.call("PUT", f"{thing}/name", user="demo", json="By hand").status_code == 204
    seen = len(server.days.seen)
    send(site, start(site), 2)
    assert not [line for line in server.days.seen[seen:] if line.startswith("GET ")]
    assert shown(server, thing, "name") == "By hand"
    send(site, start(site, **{place: FIELD}), 3)
    assert shown(server, thing, "location") == {"latitude": -1, "longitude": 36}
    assert shown(server, thing, "name") == "By hand"
    assert server.values("pond-7", "t") == [0, 1, 2, 3]


@pytest.mark.parametrize("thing", THINGS)
def test_thing_of_an_earlier_version_gets_the_name_of_the_configuration(site: Site, server: Waziup, thing: str) -> None:
    kind, _, name = thing[1:].partition("/")
    body = {"id": name, "name": "old", "gateway_id": "gw1", "location": {"latitude": 1, "longitude": 2}}
    assert server.call("POST", f"/{kind}", user="demo", json=body).ok
    send(site, start(site), 0)
    assert shown(server, thing, "name") == THINGS[thing][0]
    assert shown(server, thing, "location") == {"latitude": 1, "longitude": 2}


@pytest.mark.parametrize("thing", THINGS)
def test_name_that_the_configuration_leaves_out_is_left_alone(site: Site, server: Waziup, thing: str) -> None:
    kind, _, name = thing[1:].partition("/")
    assert server.call("POST", f"/{kind}", user="demo", json={"id": name, "name": "mine", "gateway_id": "gw1"}).ok
    send(site, start(site, **{THINGS[thing][1]: name}), 0)
    assert shown(server, thing, "name") == "mine"


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("status", [0, 400, 403, 500])
@pytest.mark.parametrize("thing", THINGS)
def test_name_that_cannot_be_changed_holds_up_no_reading(
    site: Site, server: Waziup, thing: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    send(site, start(site), 0)
    server.days.faults.append(Fault(f"^PUT {thing}/name$", status, times=99))
    uploader = start(site, **{THINGS[thing][1]: "New"})
    for value in (1, 2, 3):
        send(site, uploader, value)
    assert server.values("pond-7", "t") == [0, 1, 2, 3]
    assert server.days.seen.count(f"PUT {thing}/name") <= 2
    assert len([message for message in caplog.messages if "name is not changed on Waziup" in message]) == 1


def test_device_that_should_be_private_and_is_public_is_told_of_once_with_the_command(
    site: Site, server: Waziup, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"id": "pond-7", "gateway_id": "gw1"}
    assert server.call("POST", "/devices", user="demo", json=body).status_code == 204
    uploader = start(site)
    for value in range(3):
        send(site, uploader, value)
    (told,) = [message for message in caplog.messages if "is public on Waziup" in message]
    assert told.startswith("device pond-7 is public on Waziup (anybody may read it), and private in the configuration")
    program("curl")
    (command,) = re.findall(r"run: (curl .*/devices/pond-7/visibility .*)$", told)
    subprocess.run(["sh", "-c", command.replace("PASSWORD", "demo")], check=True)
    assert shown(server, "/devices/pond-7", "visibility") == "private"
