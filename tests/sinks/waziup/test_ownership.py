"""Whose a device is, while days pass: nobody else's gets our readings, and ours gets them again by itself."""

from __future__ import annotations

import pytest

from lora_post.spool.lanes import parked
from lora_post.spool.upkeep import release
from tests.support.moved_time import World
from tests.support.waziup import Fault

POND = "/devices/pond-7"


def give(world: World, owner: str) -> None:
    assert world.server.call("PUT", f"{POND}/owner", json=owner).status_code == 204


def send(world: World, value: int) -> None:
    world.hear("gw1", value)
    world.drain("gw1")


@pytest.fixture
def running(world: World, visibility: str) -> World:
    """A gateway that has sent a reading to a device which others may see, or not."""
    world.visibility = visibility
    world.gateway("gw1")
    send(world, 0)
    return world


@pytest.mark.parametrize(("visibility", "noticed_h"), [("private", 0), ("public", 4)])
def test_device_that_is_given_away_gets_nothing_more_and_goes_on_by_itself_when_it_comes_back(
    running: World, noticed_h: int
) -> None:
    world = running
    give(world, "alice")
    heard = [0]
    for hour in range(30):
        send(world, 1 + hour)
        heard.append(1 + hour)
        world.pass_h(1)
    got = world.values()
    assert len(got) <= 1 + noticed_h
    (held,) = parked(world.sites["gw1"].store)
    assert held.readings == len(heard) - len(got)
    assert "belongs to alice, not to demo" in held.why.what or "private device of another account" in held.why.what
    assert held.why.fix.endswith("lora-post spool move pond-7 NEW-ID")
    give(world, "demo")
    world.pass_h(25)
    world.drain("gw1")
    assert world.values() == heard
    send(world, 99)
    assert world.values() == [*heard, 99]


@pytest.mark.parametrize("visibility", ["private"])
def test_refused_device_that_is_public_and_another_account_s_by_then_gets_nothing_when_it_is_released(
    running: World,
) -> None:
    world = running
    give(world, "alice")
    send(world, 1)
    assert world.server.call("PUT", f"{POND}/visibility", json="public").status_code == 204
    for value in (2, 3):
        release(world.sites["gw1"].store, None, None)
        send(world, value)
    assert world.values() == [0]
    (held,) = parked(world.sites["gw1"].store)
    assert (held.readings, "belongs to alice, not to demo" in held.why.what) == (3, True)


@pytest.mark.parametrize(
    ("visibility", "a_day"), [("private", 24 / 20), pytest.param("public", 24 / 3, marks=pytest.mark.long)]
)
def test_looks_are_few(running: World, a_day: float) -> None:
    world, days = running, 3
    world.days.seen.clear()
    for hour in range(24 * days):
        world.pass_h(1)
        send(world, 1 + hour)
        if hour % 10 == 0:
            world.restart("gw1")
    assert world.days.seen.count(f"GET {POND}") <= a_day * days


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_device_that_is_refused_for_a_moment_goes_on_at_once(running: World) -> None:
    """The token is not believed twice in a row."""
    world = running
    world.days.faults.append(Fault("^POST .*/value$", 403, times=2))
    send(world, 1)
    assert world.values() == [0, 1]
    assert parked(world.sites["gw1"].store) == []
