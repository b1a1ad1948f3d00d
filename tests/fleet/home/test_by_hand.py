"""What a person changes of a device about which a home gateway decides, and who decides."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.fleet.errors import FleetError
from lora_post.fleet.home.book import opened_log
from lora_post.fleet.home.by_hand import hand_over
from lora_post.fleet.hub.link import Link as HubLink
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.log.by_hand import change_by_hand, with_down_counter, without_nonces
from lora_post.fleet.log.entry import Entry, Joins, State, after, encode, new_id
from lora_post.fleet.log.sqlite_log import SqliteLog
from lora_post.fleet.log.view import View
from lora_post.model import Device, Link
from tests.support.memory_log import MemoryLog
from tests.support.seal import ROOT_10

BUOY = Device("buoy", "buoy", Link.LORAWAN, None, "cayenne-lpp", root=ROOT_10, home="north")
BEGUN = after(None, new_id(), State(joins=Joins(ROOT_10.fingerprint, (7, 8)), owner="north"), "own")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(opened_log(tmp_path / "spool.db")) as found:
        yield found


def valid(log: SqliteLog | MemoryLog) -> list[Entry]:
    return [read.entry for read in View("log.").catch_up(log) if read.is_valid]


def test_nonces_are_reset_on_the_home_gateway_without_a_link(own: SqliteLog) -> None:
    view = View(log_subject(BUOY))
    with pytest.raises(FleetError, match="does not decide about it"):
        change_by_hand(own, view, BUOY, without_nonces, "north")
    own.append([(log_subject(BUOY), encode(BEGUN))])
    with pytest.raises(FleetError, match="home gateway north decides about it") as refused:
        change_by_hand(own, View(log_subject(BUOY)), BUOY, without_nonces)  # at the hub
    assert "do it there" in refused.value.fix
    assert change_by_hand(own, view, BUOY, without_nonces, "north")
    assert not change_by_hand(own, view, BUOY, without_nonces, "north")
    *_, last = valid(own)
    assert last.state.joins is not None
    assert (last.kind, last.epoch, last.state.owner, last.state.joins.dev_nonces) == ("set", 1, "north", ())
    assert not change_by_hand(own, view, BUOY, with_down_counter(9), "north")  # there is no session


def test_log_of_a_home_gateway_is_for_its_owner_alone(own: SqliteLog, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "spool.home.db").stat().st_mode) == 0o600


class Quiet(HubLink):
    """A link over which the home gateway is told to look."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def say(self, subject: str, data: bytes) -> None:
        self.told.append(subject)


def test_handed_over_and_back_once() -> None:
    log, link = MemoryLog(), Quiet()
    with pytest.raises(FleetError, match="nothing was heard of it yet"):
        hand_over(link, log, BUOY, to_workers=True)
    log.append([(log_subject(BUOY), encode(replace(BEGUN, state=State(owner="north"))))])
    said = [hand_over(link, log, BUOY, to_workers=each) for each in (True, True, False, False)]
    assert said == [
        "buoy: workers decide about it from epoch 2 on, until it is given back",
        "buoy: workers decide about it already",
        "buoy: gateway north takes it as soon as it has a link",
        "buoy: nobody has taken it over by hand",
    ]
    assert [(each.epoch, each.state.owner, each.state.is_held) for each in valid(log)] == [
        (1, "north", False),
        (2, "", True),
        (3, "", False),
    ]
    assert link.told == ["offer.north"] * 4
