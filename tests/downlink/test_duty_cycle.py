"""The air time of gateways: it goes on over restarts, and can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.clocks.system import SystemClock
from lora_post.command import Moment
from lora_post.config import parse_config
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.transmit import Window
from lora_post.lorawan.region import load_region
from lora_post.metrics import Metrics
from lora_post.run.delivery import open_delivery
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import AIR_TIME
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report
from tests.support.build import NOON_US
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import Site, otaa
from tests.support.seal import ROOT_10

REGION = load_region("EU868")
RX1 = Window("RX1", 0, REGION.rx1(868_100_000, 12, 125_000))  # type: ignore[arg-type]
SLOW = 33  # bytes at SF12: 1.81 s, of the 36 s that an hour has
HOUR = 3600.0


class Board:
    """A machine that may be restarted: its clocks."""

    def __init__(self) -> None:
        self.seconds, self.boot, self.wall_us = 0.0, "boot-1", NOON_US + 0

    def duty_cycle(self) -> DutyCycle:
        return DutyCycle(REGION, lambda: self.seconds)

    def now(self) -> Moment:
        return Moment(round(self.wall_us + self.seconds * 1e6), self.boot, round(self.seconds * 1e6))


@pytest.fixture
def board() -> Board:
    return Board()


def sent(duty_cycle: DutyCycle) -> int:
    """How many more frames go; they are spent."""
    count = 0
    while duty_cycle.within("gw1", [RX1], SLOW):
        duty_cycle.spend("gw1", RX1, SLOW)
        count += 1
    return count


def test_hour_goes_on_after_a_restart(board: Board) -> None:
    first = board.duty_cycle()
    assert sent(first) == 19
    board.seconds = 1800.0
    again = board.duty_cycle()
    assert again.restore(first.changes(board.now()), board.now()) == []
    assert sent(again) == 0
    board.seconds = HOUR
    assert sent(again) == 19


@pytest.mark.parametrize(("passed_s", "is_clock_set", "more"), [(1200, True, 0), (4000, True, 19), (4000, False, 0)])
def test_hour_goes_on_after_a_power_cut(board: Board, passed_s: float, is_clock_set: bool, more: int) -> None:
    first = board.duty_cycle()
    sent(first)
    kept = first.changes(board.now())
    board.seconds, board.boot = 10.0, "boot-2"
    board.wall_us = NOON_US + round(passed_s * 1e6) if is_clock_set else 0
    again = board.duty_cycle()
    again.restore(kept, board.now())
    assert sent(again) == more


def test_clock_that_was_put_back_does_not_make_frames_of_the_future(board: Board) -> None:
    first = board.duty_cycle()
    sent(first)
    kept = first.changes(board.now())
    board.boot, board.wall_us = "boot-2", NOON_US - 86_400_000_000
    again = board.duty_cycle()
    again.restore(kept, board.now())
    assert sent(again) == 0
    board.seconds = HOUR
    assert sent(again) == 19


def test_what_is_kept_is_short_however_much_was_sent(board: Board) -> None:
    first = board.duty_cycle()
    for _ in range(700):
        board.seconds += 5.0
        first.spend("gw1", RX1, 13)
    (text,) = first.changes(board.now()).values()
    assert len(text) < 400
    (before,), again = first.used(), board.duty_cycle()
    again.restore({"gw1 868000000": text}, board.now())
    (after,) = again.used()
    assert after.used == pytest.approx(before.used, rel=0.05)
    assert first.changes(board.now()) == {}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"at":{},"spent":[]}', '{"at":{"wall_us":1,"boot":"","boot_us":1},"spent":[[0,1e999]]}']
)
def test_damaged_rows_and_old_ones_are_told_to_be_over(board: Board, text: str) -> None:
    duty_cycle = board.duty_cycle()
    assert duty_cycle.restore({"gw1 868000000": text, "gw1 band": "{}"}, board.now()) == ["gw1 868000000", "gw1 band"]
    assert list(duty_cycle.used()) == []


def test_use_is_told_by_gateway_and_sub_band(board: Board) -> None:
    duty_cycle = board.duty_cycle()
    board.seconds = 60.0
    sent(duty_cycle)
    duty_cycle.spend("gw2", RX1, SLOW)
    board.seconds = 600.0
    full, little = duty_cycle.used()
    assert (full.gateway, full.sub_band.text, full.is_full) == ("gw1", "868–868.6 MHz", True)
    assert full.more_in_s == HOUR - 540
    assert (little.gateway, little.is_full, round(little.used, 2)) == ("gw2", False, 0.05)


def test_air_time_is_in_the_file_before_the_frame_leaves(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10))
    assert site.hear(JoiningDevice(ROOT_10).request()) == "join-request"
    assert len(site.gateway.sent) == 1
    assert list(Facts(site.store, AIR_TIME).recall()) == ["gw1 868000000"]


CONFIG = """
[gateway]
id = "gw1"
[network]
region = "EU868"
[json_lines]
path = "out"
[spool]
path = "spool.db"
[[input]]
url = "udp://127.0.0.1:1700"
"""


def test_run_goes_on_with_what_the_file_has(tmp_path: Path, board: Board) -> None:
    clock = SystemClock()
    before, store = board.duty_cycle(), SpoolFile(tmp_path / "spool.db")
    sent(before)
    facts = Facts(store, AIR_TIME)
    facts.change(before.changes(Moment(clock.wall_us(), clock.boot_id, clock.boot_us())) | {"old 868000000": "{}"})
    path = tmp_path / "site.toml"
    config = parse_config(CONFIG, path, {})
    delivery = open_delivery(config, lambda uplink: Report(uplink, ()), Metrics(), lambda outcome: None)
    (used,) = delivery.air_time()
    assert (used.gateway, used.is_full) == ("gw1", True)
    assert list(Facts(store, AIR_TIME).recall()) == ["gw1 868000000"]


@pytest.mark.parametrize("at", ["0", "-5", "9" * 400])
@pytest.mark.parametrize("age", ["-5", "9" * 400, "-" + "9" * 400])
def test_damaged_numbers_in_the_spool_stop_no_start(at: str, age: str) -> None:
    text = f'{{"at":{{"wall_us":{at},"boot":"b","boot_us":{at}}},"spent":[[{age},10]]}}'
    duty_cycle = DutyCycle(load_region("EU868"))
    keys = {"gw1 868000000", "", " ", "x y"}
    assert {"", " ", "x y"} <= set(duty_cycle.restore(dict.fromkeys(keys, text), Moment(1, "b", 1))) <= keys
