from __future__ import annotations

from lora_post.fleet.log.entry import Accepted, Counters, Entry, State, after, encode
from lora_post.fleet.log.loss import read_anew
from lora_post.fleet.log.streams import LOG_BYTES
from lora_post.fleet.log.trim import KEEP_US, MANY, Trimmer, keep_us
from lora_post.fleet.log.view import View
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs
from tests.support.memory_log import MemoryLog

DAY_US = 86_400_000_000
NOW = WallUs(100 * DAY_US)
READ = 1 << 40


def filled(log: MemoryLog, days: int) -> None:
    """Append an entry of two devices a day, and a void one."""
    last: dict[str, Entry] = {}
    for day in range(days):
        for device in ("a", "b"):
            up = Accepted(device, Frame("gw", WallUs(NOW - (days - day) * DAY_US), b"", RxInfo()), day)
            entry = after(last.get(device), f"{device}{day}", State(Counters(down=day)), up=up)
            void = Entry(f"v{device}{day}", "nobody", 1, State(), up=up)
            log.append([(f"log.0.{device}", encode(each)) for each in (entry, void)])
            last[device] = entry


def known(log: MemoryLog) -> dict[str, Entry]:
    view = View("log.")
    list(view.catch_up(log))
    return {subject: fold.last for subject, fold in view.folds.items() if fold.last}


def test_a_week_stays_and_the_fold_is_the_same() -> None:
    log = MemoryLog()
    filled(log, 20)
    before = known(log)
    assert Trimmer(log).step(READ, NOW, many=1) == 2
    assert known(log) == before
    assert len(log.entries) == 2 * 2 * KEEP_US // DAY_US
    assert read_anew(log, "log.", before)[1] == {}
    assert Trimmer(log).step(READ, NOW, many=1) == 0


def test_frame_that_says_it_is_from_the_future_does_not_keep_all_behind_it() -> None:
    """A gateway's clock was 30 years ahead: nothing was deleted for 30 years."""
    log = MemoryLog()
    up = Accepted("c", Frame("gw", WallUs(NOW + 30 * 365 * DAY_US), b"", RxInfo()), 0)
    log.append([("log.0.c", encode(after(None, "c0", State(), up=up)))])
    filled(log, 20)
    assert Trimmer(log).step(READ, NOW, many=1) == 2
    assert len(log.entries) == 1 + 2 * 2 * KEEP_US // DAY_US


def test_what_an_uploader_has_not_read_stays() -> None:
    log = MemoryLog()
    filled(log, 20)
    assert Trimmer(log).step(0, NOW, many=1) == 0
    assert len(log.entries) == 80
    Trimmer(log).step(9, NOW, many=1)
    assert [each.position for each in log.entries][:3] == [7, 8, 9]  # b is read up to 7, a up to 9


def test_device_that_is_silent_for_long_keeps_its_newest() -> None:
    log = MemoryLog()
    filled(log, 3)
    Trimmer(log).step(READ, WallUs(NOW + 50 * DAY_US), many=1)
    assert {subject: entry.state.own.down for subject, entry in known(log).items()} == {"log.0.a": 2, "log.0.b": 2}


def test_log_is_read_once_and_entries_go_together() -> None:
    log = MemoryLog()
    filled(log, MANY)
    trimmer, at, gone = Trimmer(log), NOW, []
    before = known(log)
    for _ in range(2 * MANY):
        gone.append(trimmer.step(READ, at))
        at = WallUs(at + DAY_US)
    assert sum(gone) == 2 * (2 * MANY // MANY - 1)
    assert known(log) == before
    assert trimmer._view.position == log.entries[-1].position


def test_log_without_room_for_a_week_keeps_less() -> None:
    assert keep_us(1) == KEEP_US
    assert keep_us(LOG_BYTES // 2) == KEEP_US
    assert keep_us(LOG_BYTES) == KEEP_US // 2
