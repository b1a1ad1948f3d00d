"""Devices that move: their place on Waziup follows their positions; against a real server."""

from __future__ import annotations

import pytest

from lora_post.model import Location, Reading, Value
from lora_post.sinks.waziup.moves import MOVED_M, metres_between, read_place
from tests.support.build import NOON_US, report
from tests.support.upload_site import Site, work
from tests.support.waziup import Fault, Waziup

MOVED = "PUT /devices/pond-7/location"


def go(site: Site, *places: tuple[float, float], name: str = "position", first: int = 0) -> None:
    """Send positions one after the other, each in a batch of its own."""
    uploader = site.uploader()
    for number, (latitude, longitude) in enumerate(places, start=first):
        value: Value = {"latitude": latitude, "longitude": longitude, "altitude": 500}
        site.put(report(Reading(name, value, quantity="Position"), time_us=NOON_US + number * 60_000_000))
        work(uploader)


def told(server: Waziup) -> int:
    return sum(MOVED in line for line in server.days.seen)


def place(server: Waziup) -> object:
    return server.get("/devices/pond-7").get("location")  # type: ignore[attr-defined]


def test_place_follows_a_device_that_moves_and_small_steps_cost_nothing(site: Site, server: Waziup) -> None:
    site.changes["pond_moves"] = True
    go(site, (48.1, 11.5), (48.1001, 11.5001), (48.2, 11.5), (48.2, 11.5))
    assert place(server) == {"latitude": 48.2, "longitude": 11.5}
    assert told(server) == 2


def test_place_of_another_device_stays(site: Site, server: Waziup) -> None:
    go(site, (48.1, 11.5))
    assert (place(server), told(server)) == (None, 0)


def test_older_position_does_not_take_a_device_back(site: Site, server: Waziup) -> None:
    site.changes["pond_moves"] = True
    uploader = site.uploader()
    for latitude, minutes in ((48.2, 60), (48.1, 0)):
        value: Value = {"latitude": latitude, "longitude": 11.5}
        site.put(report(Reading("gps", value, quantity="Position"), time_us=NOON_US + minutes * 60_000_000))
        work(uploader)
    assert place(server) == {"latitude": 48.2, "longitude": 11.5}


def test_server_that_refuses_a_place_gets_the_readings(site: Site, server: Waziup) -> None:
    site.changes["pond_moves"] = True
    go(site, (48.1, 11.5))
    server.days.faults.append(Fault("^PUT /devices/pond-7/location$", 500, times=99))
    go(site, (48.2, 11.5), (48.3, 11.5), first=1)
    assert len(server.values("pond-7", "position")) == 3


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"latitude":48.1,"longitude":11.5}', Location(48.1, 11.5)),
        (b'{"latitude":48.1,"longitude":11.5,"altitude":3}', Location(48.1, 11.5)),
        (b'{"latitude":0,"longitude":0}', None),
        (b'{"latitude":91,"longitude":0}', None),
        (b'{"latitude":1,"longitude":181}', None),
        (b'{"latitude":1}', None),
        (b"21.5", None),
        (b'"here"', None),
    ],
)
def test_places_are_told_from_other_values(value: bytes, found: Location | None) -> None:
    assert read_place(value) == found


def test_distances_are_right_enough() -> None:
    assert metres_between(Location(48.1, 11.5), Location(48.1, 11.5)) == 0
    assert metres_between(Location(0, 0), Location(1, 0)) == pytest.approx(111_000, rel=0.01)
    assert metres_between(Location(60, 0), Location(60, 1)) == pytest.approx(55_800, rel=0.01)
    assert metres_between(Location(48.1, 11.5), Location(48.101, 11.5)) > MOVED_M
