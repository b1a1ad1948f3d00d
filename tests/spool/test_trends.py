"""What devices sent is kept for plots: over restarts, bounded, and at almost no cost in writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.clocks.scale import boot_zero, slot_range
from lora_post.model import Reading
from lora_post.spool import trends
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.trend_book import MAX_AT_ONCE, TrendBook
from lora_post.spool.trends import KEEP_S, LONG_S, MAX_SENSORS, SHORT_S
from lora_post.times import WallUs
from lora_post.uplink.model import Report
from tests.support.build import NOON_US, device, report

QUARTER_US = SHORT_S * 1_000_000
POND = device()


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as found:
        yield found


def sent(fcnt: int, value: float, quarter: float = 0, device_id: str = "pond-7") -> Report:
    made = report(Reading("t", value), time_us=NOON_US + int(quarter * QUARTER_US), of=device(device_id))
    return replace(made, uplink=replace(made.uplink, fcnt=fcnt))


def hear(ledger: SpoolLedger, *reports: Report) -> None:
    for each in reports:
        with ledger.group() as group:
            group.reports.append(each)


def ledger_of(spool_file: SpoolFile) -> SpoolLedger:
    return SpoolLedger(spool_file, [POND], QueueWriter(spool_file, ["waziup"], 1 << 30))


def rows(spool_file: SpoolFile, span_s: int = SHORT_S) -> list[tuple[int, int, int, float | None, trends.Means]]:
    """Start in quarters of an hour since noon, heard, missed, signal, means."""
    found = trends.load(spool_file, "pond-7", span_s, WallUs(0))
    return [((row.time_us - NOON_US) // QUARTER_US, row.heard, row.missed, row.rssi_dbm, row.means) for row in found]


def test_means_are_kept_over_restarts_and_a_quarter_of_an_hour_that_was_cut_goes_on(spool_file: SpoolFile) -> None:
    first = ledger_of(spool_file)
    hear(first, sent(1, 20.0), sent(2, 21.0, 0.5), sent(5, 30.0, 1), sent(6, 31.0, 1.2))
    assert rows(spool_file) == [(0, 2, 0, -50.0, {"t": 20.5})]
    first.finish()
    again = ledger_of(spool_file)
    hear(again, sent(7, 31.5, 1.5), sent(8, 40.0, 9))
    again.finish()
    assert rows(spool_file) == [
        (0, 2, 0, -50.0, {"t": 20.5}),
        (1, 3, 2, -50.0, {"t": 31.0}),
        (9, 1, 0, -50.0, {"t": 40.0}),
    ]
    assert rows(spool_file, LONG_S) == [(0, 5, 2, -50.0, {"t": 25.75}), (8, 1, 0, -50.0, {"t": 40.0})]


def test_history_rides_on_commits_that_happen_anyway_once_in_a_quarter_of_an_hour(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    written = []
    for fcnt in range(60):
        before = spool_file.db.total_changes
        hear(ledger, sent(fcnt, 20.0, fcnt / 15))
        written.append(spool_file.db.total_changes - before)
    usual = min(written)
    first, *others = [fcnt for fcnt, changes in enumerate(written) if changes > usual]
    assert (first, others) == (0, [15, 30, 45])  # with the first one the sensor gets its lane


def test_what_was_not_committed_is_not_in_it_and_nothing_is_in_it_twice(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    hear(ledger, sent(1, 20.0))
    with pytest.raises(RuntimeError), ledger.group() as group:
        group.reports.append(sent(2, 99.0, 1))
        raise RuntimeError
    hear(ledger, sent(2, 30.0, 1))
    ledger.finish()
    ledger.finish()
    assert rows(spool_file) == [(0, 1, 0, -50.0, {"t": 20.0}), (1, 1, 0, -50.0, {"t": 30.0})]


def test_days_that_come_in_one_group_are_plotted(spool_file: SpoolFile) -> None:
    book = TrendBook()
    book.hear([report(Reading("t", 1), time_us=NOON_US + quarter * QUARTER_US) for quarter in range(192)])
    book.saved()
    with spool_file.transaction() as db:
        book.save(db, is_last=True)
    assert len(trends.load(spool_file, "pond-7", LONG_S, WallUs(0))) in (24, 25)


def test_rows_are_bounded_by_age_and_number(spool_file: SpoolFile, monkeypatch: pytest.MonkeyPatch) -> None:
    book = TrendBook()
    hour_us = 4 * QUARTER_US
    for hour in range(40 * 24):
        many = [Reading(f"s{number}", number) for number in range(MAX_SENSORS + 5)]
        book.hear([report(*many, time_us=NOON_US + hour * hour_us)])
        with spool_file.transaction() as db:
            book.save(db)
        book.saved()
    for span_s, count in ((SHORT_S, 26), (LONG_S, 373)):
        found = trends.load(spool_file, "pond-7", span_s, WallUs(0))
        assert abs(len(found) - count) <= 1
        assert found[-1].time_us - found[0].time_us <= KEEP_S[span_s] * 1_000_000
        assert len(found[-1].means) == MAX_SENSORS
    monkeypatch.setattr(trends, "MAX_ROWS", 200)
    book = TrendBook()  # as after a start
    for hour in (961, 962):
        book.hear([report(Reading("t", 1), time_us=NOON_US + hour * hour_us)])
        book.saved()
    with spool_file.transaction() as db:
        book.save(db)
        assert db.execute("SELECT count(*) FROM trend").fetchone()[0] <= 200
    assert len(trends.load(spool_file, "pond-7", SHORT_S, WallUs(0))) > 20  # the newest stay


def test_clock_that_is_ahead_for_hours_makes_nothing_old(spool_file: SpoolFile) -> None:
    """Half an hour in 2056 was enough to empty the plots."""
    book = TrendBook()
    leap = 30 * 365 * 96
    quarters = [*range(40), *range(leap, leap + 40), *range(60, 100)]
    for quarter in quarters:
        book.hear([sent(quarter, 20.0, quarter)])
        with spool_file.transaction() as db:
            book.save(db)
        book.saved()
    found = {quarter for quarter, *_ in rows(spool_file)}
    assert found >= {*range(40), *range(60, 99)}


def write_all(spool_file: SpoolFile, devices: int, first: int) -> tuple[int, int]:
    """Steps of SQLite, and commits, for eight quarters of an hour of so many devices."""
    book, steps, commits = TrendBook(), 0, 0

    def count() -> None:
        nonlocal steps
        steps += 1

    spool_file.db.set_progress_handler(count, 1)
    for quarter in range(first, first + 8):
        book.hear([sent(quarter, 20.0, quarter, f"d{number}") for number in range(devices)])
        book.saved()
        while book._over:
            with spool_file.transaction() as db:
                book.save(db)
            book.saved()
            commits += 1
    spool_file.db.set_progress_handler(None, 1)
    return steps, commits


def test_a_device_costs_the_same_among_many_and_no_commit_waits_for_all(spool_file: SpoolFile) -> None:
    few, _ = write_all(spool_file, 20, first=0)
    many, commits = write_all(spool_file, 100, first=16)
    assert many / 100 < 1.2 * few / 20
    assert commits >= 7 * 100 / MAX_AT_ONCE


def test_history_goes_on_when_the_time_becomes_known(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    early = [report(Reading("t", 1), time_us=boot_zero(3) + quarter * QUARTER_US) for quarter in (0, 1)]
    hear(ledger, *early, sent(3, 20.0), sent(4, 21.0, 1))
    ledger.finish()
    assert [(quarter, means) for quarter, *_, means in rows(spool_file)] == [(0, {"t": 20.0}), (1, {"t": 21.0})]


def test_times_that_become_known_move(spool_file: SpoolFile) -> None:
    book = TrendBook()
    zero = boot_zero(3)
    for quarter in (1, 2, 3):
        book.hear([report(Reading("t", quarter), time_us=zero + quarter * QUARTER_US)])
        book.saved()
    with spool_file.transaction() as db:
        book.save(db, is_last=True)
    assert rows(spool_file) == []  # not at a time in the far future
    with spool_file.transaction() as db:
        trends.shift(db, *slot_range(3), NOON_US - zero)
    found = [(quarter, means["t"]) for quarter, *_, means in rows(spool_file)]
    assert [mean for _, mean in found] == [1.0, 2.0, 3.0]
    assert all(abs(quarter - mean) <= 1 for quarter, mean in found)  # a boot begins within a quarter of an hour


def test_lost_bit_costs_its_row_only(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    hear(ledger, sent(1, 20.0), sent(2, 21.0, 1), sent(3, 22.0, 2))
    ledger.finish()
    with spool_file.transaction() as db:
        db.execute("UPDATE trend SET means = x'ff00' WHERE slot = (SELECT min(slot) FROM trend WHERE span_s = 900)")
    assert len(rows(spool_file)) == 2


@given(st.lists(st.tuples(st.floats(), st.integers(-(10**6), 10**6), st.integers(0, 9)), max_size=30))
def test_any_values_at_any_times_are_taken(values: list[tuple[float, int, int]]) -> None:
    book = TrendBook()
    for value, second, fcnt in values:
        book.hear([sent(fcnt, value, second / SHORT_S)])
    book.saved()
    spans = [span for each in book._open.values() for span in each.values()]
    assert sum(span.heard for span in spans) == len(values)
    assert len(spans) <= len(values)


def test_two_hours_are_whole_though_the_power_went_and_though_many_were_late(spool_file: SpoolFile) -> None:
    for quarter in range(0, 240, 5):
        ledger = ledger_of(spool_file)  # nobody has called `finish`
        hear(
            ledger,
            *(sent(quarter + part, quarter + part, quarter + part) for part in range(5)),
            sent(0, 0, quarter + 5),
        )
    book = TrendBook()
    book.hear([sent(0, 1.0, 240, f"d{number}") for number in range(3 * MAX_AT_ONCE)])
    book.saved()
    hear(ledger_of(spool_file), sent(241, 241, 241))
    found = trends.load(spool_file, "pond-7", LONG_S, WallUs(0))
    assert [row.means["t"] for row in found[1:-1]] == [mean + 3.5 for mean in range(found_first(found), 232, 8)]


def found_first(found: list[trends.Row]) -> int:
    return (found[1].time_us - NOON_US) // QUARTER_US


def test_frame_of_unknown_time_among_others_costs_them_nothing(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    lost = report(Reading("t", 99), time_us=boot_zero(3))
    with ledger.group() as group:
        group.reports += [sent(1, 20.0), lost, sent(2, 21.0, 0.5), lost]
    hear(ledger, lost, sent(3, 30.0, 1))
    ledger.finish()
    assert [(quarter, heard, means) for quarter, heard, *_, means in rows(spool_file)] == [
        (0, 2, {"t": 20.5}),
        (1, 1, {"t": 30.0}),
    ]


def test_clock_that_was_ahead_stops_no_plots_and_takes_no_history(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    hear(ledger, *(sent(quarter, 20.0, quarter) for quarter in range(5)))
    hear(ledger, sent(5, 20.0, 5 + 365 * 96), *(sent(quarter, 20.0, quarter) for quarter in range(6, 9)))
    assert [quarter for quarter, *_ in rows(spool_file)] == [0, 1, 2, 3, 4, 6, 7, 5 + 365 * 96]


def test_days_that_come_beside_fresh_frames_are_plotted(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    for quarter in range(8):
        hear(ledger, sent(quarter, 30.0, 400 + quarter / 100), sent(quarter, 20.0, quarter, "barn-2"))
    ledger.finish()
    found = trends.load(spool_file, "barn-2", LONG_S, WallUs(0))
    assert (sum(row.heard for row in found), {row.means["t"] for row in found}) == (8, {20.0})


def test_two_hours_of_an_earlier_version_are_not_counted_twice(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    hear(ledger, *(sent(quarter, 20.0, quarter) for quarter in range(9)))
    before = rows(spool_file, LONG_S)
    with spool_file.transaction() as db:  # as it wrote them, beside the quarters of an hour
        db.execute(
            "INSERT INTO trend SELECT 7200, slot / 8, device, sum(heard), 0, -50.0, NULL, means FROM trend GROUP BY 2"
        )
    assert rows(spool_file, LONG_S) == before
    hear(ledger, *(sent(quarter, 20.0, quarter) for quarter in (200, 201, 202)))
    assert rows(spool_file, LONG_S)[: len(before)] == before


def test_the_oldest_of_many_rows_go_and_no_more_than_needed(spool_file: SpoolFile) -> None:
    book = TrendBook()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trends, "MAX_ROWS", 100)
        for quarter in range(30):
            book.hear([sent(quarter, 20.0, quarter, f"d{number}") for number in range(9)])
            book.saved()
            with spool_file.transaction() as db:
                book.save(db)
                assert trends.count(db) <= 100
            book.saved()
    counts = dict(spool_file.db.execute("SELECT slot - (SELECT max(slot) FROM trend), count(*) FROM trend GROUP BY 1"))
    assert counts == {-11: 1} | dict.fromkeys(range(-10, 1), 9)


def test_rows_that_lost_a_bit_hold_up_no_others(spool_file: SpoolFile) -> None:
    ledger = ledger_of(spool_file)
    hear(
        ledger,
        *(sent(quarter, 20.0, quarter, device_id) for quarter in range(30) for device_id in ("barn-2", "pond-7")),
    )
    with spool_file.transaction() as db:
        db.execute("UPDATE trend SET means = x'ff00' WHERE device = 'barn-2' AND slot % 8 = 1")
        db.execute("UPDATE trend SET heard = 'much', rssi_dbm = 'loud' WHERE device = 'barn-2' AND slot % 8 = 2")
        db.execute("UPDATE trend SET device = CAST(device AS BLOB) WHERE device = 'barn-2' AND slot % 8 = 3")
        db.execute("UPDATE OR REPLACE trend SET slot = slot + 0.5 WHERE device = 'barn-2' AND slot % 8 = 4")
        db.execute("UPDATE OR REPLACE trend SET slot = -1 WHERE device = 'barn-2' AND slot % 8 = 5")
        db.execute("UPDATE trend SET heard = ?1, missed = -?1 WHERE device = 'barn-2' AND slot % 8 > 5", (2**63 - 1,))
    hear(ledger, sent(31, 20.0, 30, "barn-2"), *(sent(quarter, 20.0, quarter, "barn-2") for quarter in range(30)))
    for quarter in range(200, 260):
        hear(ledger, sent(quarter, 20.0, quarter))
    assert spool_file.rows(
        "SELECT count(*) FROM trend WHERE span_s = 900 AND slot < ?", (NOON_US // QUARTER_US + 100,)
    ) == [(0,)]
    found = [row.means for row in trends.load(spool_file, "barn-2", LONG_S, WallUs(0))]
    assert found == [{"t": 20.0}] * len(found) != []
