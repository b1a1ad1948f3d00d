"""The time from the server's answers, with a real server whose clock is this machine's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.clocks.scale import parse_utc
from lora_post.config import Config, parse_config
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.formats import FORMATS
from lora_post.formats.lowcost_gw import LowcostParser
from lora_post.metrics import Metrics
from lora_post.run.delivery import Delivery, open_delivery
from lora_post.sandbox.endpoint import Settings
from lora_post.spool.boots import BootBook, estimates
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.unlock import seal_lorawan
from lora_post.upload.server_time import ServerTime
from tests.support.clocks import BOOTED_US, Machine
from tests.support.command import DEVICES, counting_packet, dev_addr, keys, write_site
from tests.support.ports import free_port
from tests.support.waziup import Fault, Waziup, waziup

HOUR_US = 3_600_000_000
SECOND_US = 1_000_000


@pytest.mark.parametrize("took_us", [0, 800_000, 9_000_000])
def test_clock_that_the_date_allows_is_confirmed(took_us: int) -> None:
    machine = Machine()
    clock = GatewayClock(machine)
    ServerTime(clock, BootBook(clock)).on_date("Mon, 21 Sep 2026 14:13:49 GMT", took_us)
    assert clock.offset_us == BOOTED_US


class Board:
    """A machine without battery, started in 1970. Real time passes, and what is skipped; the server knows the truth."""

    def __init__(self, boot_id: str = "boot-1") -> None:
        self.boot_id = boot_id
        self._began_us = time.monotonic_ns() // 1000
        self.skipped_us = 20 * SECOND_US

    def passed_us(self) -> int:
        """Real time since it began."""
        return time.monotonic_ns() // 1000 - self._began_us

    def boot_us(self) -> int:
        return self.passed_us() + self.skipped_us

    def wall_us(self) -> int:
        return self.boot_us()

    def vouches(self) -> bool:
        return False


def true_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def server() -> Iterator[Waziup]:
    with waziup(Settings(users={"demo": "demo", "admin": "admin"})) as running:
        yield running


def site(folder: Path, url: str) -> Config:
    path = write_site(folder, url)
    return parse_config(path.read_text(), path, {})


def delivery(config: Config, board: Board) -> Delivery:
    decode = Decoding(config.devices, load_folder(shipped_folder()).decoders).decode
    return open_delivery(config, decode, Metrics(), lambda outcome: None, system=board)


def is_since(board: Board, time_us: int) -> bool:
    """Whether a moment is after the start of a board, and not in the future."""
    return -SECOND_US < true_us() - time_us < board.passed_us() + SECOND_US


def hour_later(earlier_us: int, later_us: int, board: Board) -> bool:
    """Whether an hour is between, and what has really passed at most."""
    return -SECOND_US < later_us - earlier_us - HOUR_US < board.passed_us() + SECOND_US


def hear(to: Delivery, board: Board, fcnt: int) -> None:
    """A frame as the radio program on this board prints it, with the board's idea of the time."""
    printed = counting_packet(fcnt, start_us=board.wall_us(), step_us=0)
    to.pipeline.taking(Times.PIPED).handle(LowcostParser("gw1", UTC).feed(printed, board.wall_us()))


def hear_line(to: Delivery, board: Board, fcnt: int) -> None:
    """The same without any time."""
    index, count = fcnt % DEVICES, fcnt // DEVICES
    payload = bytes((1, 2)) + count.to_bytes(2)
    line = seal_lorawan(keys(index), dev_addr(index), count, 2, payload).hex().encode() + b"\n"
    to.pipeline.taking(Times.LIVE).handle(FORMATS["lines"]("gw1", UTC).feed(line, board.wall_us()))


def send(one: Delivery) -> None:
    with one:
        one.drain(30, Event())
    assert not any(counts.undelivered for counts in one.counts().values())


def arrived(server: Waziup, index: int) -> list[tuple[object, int]]:
    rows = server.rows(f"counter-{index}", "analog_in_1")
    return [(row["value"], parse_utc(str(row["timestamp"]))) for row in rows]


@pytest.mark.parametrize("hearing", [hear, hear_line])
def test_board_that_believes_it_is_1970_sends_every_value_with_its_right_time(
    tmp_path: Path, server: Waziup, hearing: object
) -> None:
    board = Board()
    one = delivery(site(tmp_path, server.url), board)
    heard = []
    for fcnt in range(0, 4 * DEVICES, DEVICES):
        hearing(one, board, fcnt)  # type: ignore[operator]
        heard.append(board.boot_us())
        board.skipped_us += HOUR_US
    booted_us = true_us() - board.boot_us()
    send(one)
    found = arrived(server, 0)
    assert [value for value, _ in found] == [0, 0.01, 0.02, 0.03]
    for (_, time_us), boot_us in zip(found, heard, strict=True):
        assert abs(time_us - (booted_us + boot_us)) < 2 * SECOND_US
    assert all(hour_later(earlier_us, later_us, board) for (_, earlier_us), (_, later_us) in pairwise(found))


def test_frames_that_come_after_the_time_was_learned_are_stamped_at_once(tmp_path: Path, server: Waziup) -> None:
    board = Board()
    one = delivery(site(tmp_path, server.url), board)
    with one:
        hear(one, board, 0)
        one.drain(30, Event())
        board.skipped_us += HOUR_US
        hear(one, board, DEVICES)
        one.drain(30, Event())
    (_, first_us), (_, second_us) = arrived(server, 0)
    assert is_since(board, first_us)
    assert hour_later(first_us, second_us, board)


def test_two_reboots_without_server_then_everything_arrives_once_in_order(tmp_path: Path, server: Waziup) -> None:
    config, whole = site(tmp_path, f"http://127.0.0.1:{free_port()}/api/v2"), Board()
    for boot, fcnts in (("boot-1", (0, 3)), ("boot-2", (6,))):
        board = Board(boot)
        with delivery(config, board) as one:
            for fcnt in fcnts:
                hear(one, board, fcnt)
                board.skipped_us += HOUR_US
    config = site(tmp_path, server.url)
    board = Board("boot-3")
    one = delivery(config, board)
    hear(one, board, 9)
    booted_us = true_us() - board.boot_us()
    send(one)
    found = arrived(server, 0)
    assert [value for value, _ in found] == [0, 0.01, 0.02, 0.03]
    times = [time_us for _, time_us in found]
    assert times == sorted(times)
    assert hour_later(times[0], times[1], whole)
    assert times[2] < booted_us + SECOND_US < times[3]
    store = SpoolFile(config.spool_path)
    assert [each.readings for each in estimates(store)] == [4, 2]  # two sensors a frame
    store.close()


def test_simple_protocol_asks_for_the_time_once_when_readings_wait_for_it(tmp_path: Path, server: Waziup) -> None:
    path = write_site(tmp_path, server.url)
    text = path.read_text().replace("[[device]]", '[[device]]\nvisibility = "public"')
    board = Board()
    one = delivery(parse_config(text, path, {}), board)
    hear(one, board, 0)
    send(one)
    server.days.seen.clear()
    board = Board("boot-2")
    simple = text.replace('username = "demo"\npassword = "demo"', 'provision = "never"')
    one = delivery(parse_config(simple, path, {}), board)
    hear(one, board, 3)
    hear(one, board, 6)
    send(one)
    assert server.days.seen.count("GET /users/me") == 1
    assert [value for value, _ in arrived(server, 0)] == [0, 0.01, 0.02]


def test_page_of_a_network_operator_is_not_asked_for_the_time(tmp_path: Path, server: Waziup) -> None:
    headers = [(b"content-type", b"text/html"), (b"date", b"Mon, 21 Sep 2099 14:13:20 GMT")]
    server.days.faults.append(Fault("POST /auth/token", 200, headers=headers, body=b"<html>Pay first</html>"))
    board = Board()
    one = delivery(site(tmp_path, server.url), board)
    hear(one, board, 0)
    send(one)
    ((_, time_us),) = arrived(server, 0)
    assert is_since(board, time_us)
