"""Who decides about devices of home gateways, as people are told."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lora_post.checks.fleet import check_fleet
from lora_post.config import parse_config
from lora_post.fleet.home.book import opened_log, owners_at_home
from lora_post.fleet.home.owners import MAX_NAMED, owner_lines, owners
from lora_post.fleet.log import ownership
from lora_post.fleet.log.entry import State, after, encode, new_id
from lora_post.fleet.log.ownership import given_back, released, taken_over
from lora_post.sinks.finding import Grade
from lora_post.times import WallUs

HOME = (
    '[gateway]\nid = "north"\n[spool]\npath = "spool.db"\n[network]\nregion = "EU868"\n'
    '[fleet]\nservers = ["tls://hub.example.org"]\nrole = ["gateway", "home"]\n'
    '[[device]]\nid = "pond"\naddress = 6\ndecoder = "text"\nhome = "north"\n'
)
NOW = WallUs(1_795_907_720_000_000)


@pytest.fixture(autouse=True)
def at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "now_us", lambda: NOW)


def said(*states: State) -> list[str]:
    return list(owner_lines(owners({f"log.0.d{n}": after(None, "a", each) for n, each in enumerate(states)})))


def test_each_owner_has_a_line_with_devices_and_times() -> None:
    home = given_back(None, [], "north", "").state
    away, by_hand = taken_over(home, is_held=False), taken_over(home, is_held=True)
    since = "since 2026-11-28 23:15"
    assert said(State(), home, away, by_hand, home) == [
        f"home gateway north decides: d1 {since}, d4 {since}",
        f"workers decide, taken over by a person: d3 {since}",
        f"workers decide, while home gateway north is away: d2 {since}",
    ]
    assert said(released(by_hand)) == []
    assert said(given_back(after(None, "a", away), [], "north", "").state) == [
        f"home gateway north decides: d0 {since}"
    ]
    (line,) = said(*[home] * (MAX_NAMED + 2))
    assert line.endswith(f"d4 {since}, and 2 more")


def test_names_in_a_log_are_only_text() -> None:
    (line,) = said(State(owner="\x1b[2Jnorth", decides_since_us=WallUs(1 << 62)))
    assert "\x1b" not in line and line.endswith("unknown")


def test_check_on_a_home_gateway_tells_who_decides(tmp_path: Path) -> None:
    config = parse_config(HOME, tmp_path / "lora-post.toml", {})
    assert config.fleet is not None
    assert owners_at_home(config.spool_path) == []
    assert not list(tmp_path.iterdir())
    home = given_back(None, [], "north", "").state
    with closing(opened_log(config.spool_path)) as log:
        log.append([("log.0.pond", encode(after(None, new_id(), taken_over(home, is_held=False))))])
    grade, text = next(
        (each.verdict, each.text) for each in check_fleet(config, config.fleet, offline=True) if "decide" in each.text
    )
    assert grade is Grade.WARNING
    assert text.startswith("workers decide, while home gateway north is away: pond since")
