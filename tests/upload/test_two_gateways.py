"""Two gateways of one account that hear the same device, each with a lora-post of its own; days pass in no time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from lora_post.clocks.scale import parse_utc
from lora_post.sinks.waziup.stand_in import ORDERS
from lora_post.spool.facts import Facts
from lora_post.spool.lanes import parked
from lora_post.spool.upkeep import release
from tests.support.moved_time import HOUR_US, World
from tests.support.upload_site import Site
from tests.support.waziup import Fault


@pytest.fixture
def both(world: World) -> World:
    """The first has sent, and both have heard the second uplink."""
    for name in ("first", "second"):
        world.gateway(name)
    world.hear("first", 1)
    world.drain("first")
    for name, apart_s in (("first", 0.0), ("second", 0.8)):
        world.hear(name, 2, apart_s=apart_s)
    return world


def test_second_gateway_keeps_its_readings_back_and_says_so_once(both: World, caplog: pytest.LogCaptureFixture) -> None:
    both.drain("first")
    both.drain("second")
    assert both.values() == [1, 2]
    for day in range(3, 6):
        for name in ("second", "first"):
            both.hear(name, day)
            both.drain(name)
        both.pass_h(24)
    assert both.values() == [1, 2, 3, 4, 5]
    assert both.named() == "first"
    said = [message for message in caplog.messages if "gateway first sends the readings of device pond-7" in message]
    assert len(said) == 1
    assert "lora-post spool take-over pond-7" in said[0]
    assert str(parked(both.sites["second"].store)[0].why) in said[0]


def test_what_the_other_has_sent_leaves_the_queue_and_what_only_we_heard_stays(both: World) -> None:
    both.drain("second")
    both.drain("first")
    for value in (3, 4, 5):
        both.pass_h(1)
        both.hear("second", value, apart_s=-3)
        if value != 4:
            both.hear("first", value)
    both.drain("first")
    both.drain("second")
    both.pass_h(24)
    both.hear("first", 6)
    both.drain("first")
    both.drain("second")
    assert both.values() == [1, 2, 3, 5, 6]
    assert both.kept("second") == 1


def test_both_hear_a_new_device_at_once(world: World) -> None:
    for name in ("first", "second"):
        world.gateway(name)
        world.hear(name, 1)
    for _ in range(8):
        for name in ("first", "second"):
            world.uploaders[name].step()
    for name in ("first", "second"):
        world.drain(name)
    assert world.values() == [1]


@pytest.mark.parametrize("is_ordered", [False, True])
def test_stand_in_takes_over_when_the_other_is_gone_and_sends_what_that_one_had_not(
    both: World, *, is_ordered: bool
) -> None:
    both.drain("second")
    both.drain("first")
    for value in range(3, 6):
        both.pass_h(1)
        both.hear("second", value, apart_s=2)
        if value == 3:
            both.hear("first", value)
            both.drain("first")
    site = both.sites["second"]
    if is_ordered:
        Facts(site.store, ORDERS).remember("pond-7", "yes")
        release(site.store, "pond-7", None)
    else:
        for day in range(4):
            both.drain("second")
            # On the third day it names us, and the other one may not have looked yet.
            assert (both.values(), both.named()) == ([1, 2, 3], "second" if day == 3 else "first")
            both.pass_h(25)
    both.drain("second")
    assert both.named() == "second"
    assert both.values() == [1, 2, 3, 4, 5]
    both.hear("second", 6)
    both.drain("second")
    assert both.values()[-1] == 6


def test_who_comes_back_with_a_backlog_sends_nothing_that_the_stand_in_has_sent(both: World) -> None:
    """The first was without a link for a week."""
    both.drain("first")
    for day in range(3, 10):
        both.pass_h(24)
        for name in ("first", "second"):
            both.hear(name, day, apart_s=0.5 if name == "first" else 0)
        both.drain("second")
    assert both.values() == list(range(1, 10))
    both.drain("first")
    assert both.values() == list(range(1, 10))
    assert both.kept("first") == 0 or both.sites["first"].queue().counts().queued == 0


def test_gateway_with_another_id_goes_on_with_its_devices(world: World) -> None:
    site = world.gateway("old")
    world.hear("old", 1)
    world.drain("old")
    site.gateway_id = "new"
    world.restart("old")
    world.hear("old", 2)
    world.drain("old")
    assert world.values() == [1, 2]
    assert world.named() == "new"


def test_device_made_on_the_dashboard_names_this_gateway_from_its_first_reading_on(world: World) -> None:
    for named in (None, "dashboard"):
        assert world.server.call("POST", "/devices", user="demo", json={"id": "pond-7", "gateway_id": named}).ok
        world.pass_h(80)
        name = f"gateway-{named is None}"
        world.gateway(name)
        world.hear(name, 1)
        world.drain(name)
        assert world.values() == [1]
        assert world.named() == name
        world.server.call("DELETE", "/devices/pond-7")


def test_known_device_that_the_server_cannot_show_still_gets_its_values(world: World) -> None:
    world.gateway("first")
    world.hear("first", 1)
    world.drain("first")
    world.pass_h(21)
    world.days.faults.append(Fault(r"GET /devices/pond-7$", 500, times=3))
    world.hear("first", 2)
    world.drain("first")
    assert world.values() == [1, 2]


@pytest.mark.parametrize(
    ("seed", "days"), [(0, 5), *(pytest.param(seed, 20, marks=pytest.mark.long) for seed in range(4))]
)
def test_whatever_two_gateways_miss_and_how_long_they_are_without_a_link_nothing_is_doubled_or_lost(
    world: World, seed: int, days: int
) -> None:
    """Uplinks every three hours for days; each may be missed by one; each gateway is offline for up to days."""
    chance = Random(seed)
    names = ("first", "second")
    for name in names:
        world.gateway(name)
    offline_until = dict.fromkeys(names, 0)
    heard: Counter[int] = Counter()
    for hour in range(0, days * 24, 3):
        for name in names:
            if chance.random() < 0.8 or (name == "second" and not heard[hour]):
                world.hear(name, hour, apart_s=chance.uniform(-3, 3))
                world.hear(name, 7, apart_s=chance.uniform(-3, 3), sensor="always")
                heard[hour] += 1
            if chance.random() < 0.02:
                offline_until[name] = hour + chance.choice((5, 20, 60, 120))
            if chance.random() < 0.02:
                world.restart(name)
            if hour >= offline_until[name]:
                world.drain(name)
        world.pass_h(3)
    for _ in range(6):  # all is well in the end
        for name in names:
            world.drain(name)
        world.pass_h(25)
    got = Counter(world.values())
    assert [value for value, count in got.items() if count > 1] == []
    queued = {value for name in names for value in _queued(world.sites[name])}
    assert set(heard) - set(got) <= queued
    assert len(set(heard) - set(got)) < len(heard) / 3
    rows = world.server.rows("pond-7", "always")
    times = sorted(parse_utc(str(row["timestamp"])) for row in rows)
    assert all(later - earlier > HOUR_US for earlier, later in pairwise(times))


def _queued(site: Site) -> set[int]:
    rows = site.store.rows("SELECT value FROM reading JOIN lane ON lane.id = lane WHERE name = 't'")
    return {int(value) for (value,) in rows}
