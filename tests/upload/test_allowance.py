"""Whether sending is allowed just now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_post.config.upload import DAY_S, RESERVE_BYTES, UploadRules, Window
from lora_post.net.traffic import Traffic
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.upload.allowance import KEEP_DAYS, SAVE_EVERY_BYTES, UploadAllowance

NOON = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1))
MEGABYTE = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpoolFile]:
    store = SpoolFile(tmp_path / "spool.db")
    yield store
    store.close()


def allowance(
    store: SpoolFile, rules: UploadRules, traffic: Traffic | None = None, clock: Clock | None = None
) -> UploadAllowance:
    return UploadAllowance(rules, traffic or Traffic(), store, "waziup", clock or Clock())


def test_without_rules_nothing_is_held_up(store: SpoolFile) -> None:
    free = allowance(store, UploadRules())
    assert free.closed() is None
    assert free.held_s(1, lambda: WallUs(int(NOON * 1e6)), lambda: False) == 0.0


def test_outside_of_the_schedule_it_is_closed_until_the_window_opens(store: SpoolFile) -> None:
    clock = Clock()
    scheduled = allowance(store, UploadRules((Window(13 * 3600, 14 * 3600),)), clock=clock)
    closed = scheduled.closed()
    assert closed is not None
    assert closed.wait_s == 3600
    clock.now += 3600
    assert scheduled.closed() is None


def test_day_s_bytes_last_until_midnight(store: SpoolFile) -> None:
    traffic, clock = Traffic(), Clock()
    limited = allowance(store, UploadRules(max_bytes_per_day=MEGABYTE), traffic, clock)
    assert limited.closed() is None
    traffic.bytes += MEGABYTE - RESERVE_BYTES
    assert limited.closed() is None
    traffic.bytes += 1
    closed = limited.closed()
    assert closed is not None
    assert closed.wait_s == DAY_S / 2
    clock.now += closed.wait_s
    assert limited.closed() is None


def test_restart_does_not_give_the_day_its_bytes_back(store: SpoolFile) -> None:
    traffic = Traffic()
    first = allowance(store, UploadRules(max_bytes_per_day=MEGABYTE), traffic)
    first.closed()
    traffic.bytes = MEGABYTE
    first.closed()  # saved at once, because it is much
    assert allowance(store, UploadRules(max_bytes_per_day=MEGABYTE)).closed() is not None


def test_few_bytes_are_saved_at_the_end(store: SpoolFile) -> None:
    traffic = Traffic()
    first = allowance(store, UploadRules(max_bytes_per_day=MEGABYTE), traffic)
    first.closed()
    traffic.bytes = SAVE_EVERY_BYTES - 1
    first.closed()
    assert Facts(store, "traffic waziup").recall() == {}
    first.save()
    assert Facts(store, "traffic waziup").recall() == {"2026-03-01": str(SAVE_EVERY_BYTES - 1)}


def test_days_do_not_pile_up(store: SpoolFile) -> None:
    traffic, clock = Traffic(), Clock()
    limited = allowance(store, UploadRules(max_bytes_per_day=MEGABYTE), traffic, clock)
    for _ in range(KEEP_DAYS + 10):
        limited.closed()
        traffic.bytes += SAVE_EVERY_BYTES
        limited.closed()
        clock.now += DAY_S
    assert len(Facts(store, "traffic waziup").recall()) == KEEP_DAYS


def test_day_whose_number_is_damaged_begins_at_nothing(store: SpoolFile) -> None:
    Facts(store, "traffic waziup").remember("2026-03-01", "12\ufffd45")
    assert allowance(store, UploadRules(max_bytes_per_day=MEGABYTE)).closed() is None


def test_readings_are_held_until_the_oldest_is_old_enough_and_then_all_go(store: SpoolFile) -> None:
    clock = Clock()
    holding = allowance(store, UploadRules(hold_s=600.0), clock=clock)
    old, young = WallUs(int(NOON * 1e6)), WallUs(int((NOON + 500) * 1e6))
    assert holding.held_s(0, lambda: WallUs(0), lambda: False) == 0.0
    assert holding.held_s(1, lambda: old, lambda: False) == 610.0
    clock.now += 600
    # The sensor's next reading may be a little late.
    assert holding.held_s(2, lambda: old, lambda: False) == 10.0
    clock.now += 10
    assert holding.held_s(2, lambda: old, lambda: False) == 0.0
    assert holding.held_s(1, lambda: young, lambda: False) == 0.0
    assert holding.held_s(0, lambda: WallUs(0), lambda: False) == 0.0
    assert holding.held_s(1, lambda: young, lambda: False) == 500.0


def test_full_batch_goes_out_at_once(store: SpoolFile) -> None:
    holding = allowance(store, UploadRules(hold_s=600.0))
    assert holding.held_s(1, lambda: WallUs(int(NOON * 1e6)), lambda: True) == 0.0


def test_nothing_is_held_any_longer_once_the_input_has_ended(store: SpoolFile) -> None:
    holding = allowance(store, UploadRules(hold_s=600.0))
    holding.hold_no_longer()
    assert holding.held_s(1, lambda: WallUs(int(NOON * 1e6)), lambda: False) == 0.0


def test_clock_that_was_set_back_does_not_make_readings_wait_for_the_future(store: SpoolFile) -> None:
    holding = allowance(store, UploadRules(hold_s=600.0))
    assert holding.held_s(1, lambda: WallUs(int((NOON + DAY_S) * 1e6)), lambda: False) == 0.0
