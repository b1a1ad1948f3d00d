"""Two uploaders never take one entry, whoever stops, goes on late or reads slowly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.hub.link import REQUEST_S, Link
from lora_post.fleet.hub.raw import Raw, hand_in
from lora_post.fleet.hub.subjects import address_of, raw_subject
from lora_post.fleet.log.streams import ensure_streams
from lora_post.fleet.uploader import turns
from lora_post.fleet.uploader.turns import SILENT_S, SUBJECT, Silence, Turn, Turns
from lora_post.model import Frame
from lora_post.times import WallUs
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, SCRIPT, dev_addr, keys, started, wait_until
from tests.support.fleet_worker import RX
from tests.support.memory_log import MemoryLog
from tests.support.nats_servers import nats_servers
from tests.support.paths import ROOT

HURRIED_FLEET = (*SCRIPT, str(ROOT / "tests" / "support" / "hurried_fleet.py"))


class Uploader:
    """What an uploader does with the log."""

    def __init__(self, log: MemoryLog, name: str) -> None:
        self.log = log
        self.me = Turn(name, name)
        self.position = 0
        self.taken: list[int] = []
        self.start()

    def start(self) -> None:
        """Start, or start again: it remembers only what it has taken, and how far it has read."""
        self.turns = Turns(self.me)
        self.turns.begin_first(self.log)

    def step(self, count: int) -> None:
        found = self.log.read("log.", self.position)[:count]
        self.turns.follow(found)
        for each in found:
            self.position = each.position
            if each.subject != SUBJECT and self.turns.has(each.position):
                self.taken.append(each.position)


@pytest.mark.parametrize("seed", range(20))
def test_each_entry_is_taken_once(seed: int) -> None:
    chance, log = Random(seed), MemoryLog()
    written = [place for place in log.append([("log.0.d", b"before the first turn")]) if place]
    uploaders = [Uploader(log, name) for name in "abc"]
    for _ in range(300):
        one = chance.choice(uploaders)
        what = chance.random()
        if what < 0.4:
            written += [place for place in log.append([("log.0.d", b"x")] * chance.randrange(3)) if place]
        elif what < 0.9:
            one.step(chance.randrange(10))
        elif what < 0.94:
            one.start()
        elif what < 0.95:
            for each in uploaders:  # all at once
                each.start()
        elif what < 0.97 and one.turns.is_mine:  # it trims
            behind = one.turns.unread_from({each.turns._mine.name: each.position for each in uploaders})
            until = one.position if behind is None else min(one.position, behind)
            log.trim("log.0.d", until)
        else:
            one.turns.begin(log)  # it believes that the other one is gone
    for one in uploaders:
        one.step(1000)
    assert Counter(position for one in uploaders for position in one.taken) == Counter(written)
    assert len({one.turns.last for one in uploaders}) == 1


def test_what_the_first_one_has_not_read_stays_until_it_has() -> None:
    log = MemoryLog()
    first, second = Uploader(log, "a b"), Uploader(log, "c")
    log.append([("log.0.d", b"x")] * 3)
    second.step(9)
    second.turns.begin(log)
    second.step(9)
    assert second.turns.unread_from({"a~20b": first.position, "c": second.position}) == first.position
    assert second.turns.unread_from({}) == 1  # the hub has lost what it said: all that was logged in its turn stays
    first.step(9)
    assert second.turns.unread_from({"a~20b": first.position, "c": second.position}) is None


def test_what_is_no_turn_is_passed_over() -> None:
    log = MemoryLog()
    one = Uploader(log, "a")
    log.append([(SUBJECT, b"nonsense"), (SUBJECT, b"\xff")])
    one.step(9)
    assert one.turns.is_mine and one.turns.has(99)


def test_uploader_that_says_something_keeps_its_turn() -> None:
    silence = Silence()
    assert not any(silence.is_over("a", position, 60.0 * position) for position in range(5))
    assert not silence.is_over("a", 4, 240 + SILENT_S - 1)
    assert silence.is_over("a", 4, 240 + SILENT_S)
    assert not silence.is_over("b", 4, 900.0)


@pytest.mark.long
def test_second_uploader_waits_and_takes_over_and_the_first_one_waits_when_it_is_back(tmp_path: Path) -> None:
    def write(name: str, role: str) -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f'[gateway]\nid = "{name}"\n[spool]\npath = "{name}.db"\n[json_lines]\npath = "{name}.jsonl"\n'
            f'[fleet]\nservers = ["{nodes.urls[0]}"]\nrole = {role}\nreplicas = 1\n'
            f'[[device]]\nid = "d"\ndev_addr = "{dev_addr(1):08x}"\ndecoder = "cayenne-lpp"\n'
            f'nwk_skey = "{"01" * 16}"\napp_skey = "{"81" * 16}"\n'
        )
        path.chmod(0o600)
        return path

    def lines(*names: str) -> list[float]:
        paths = [tmp_path / f"{name}.jsonl" for name in names]
        return [json.loads(line)["value"] for path in paths if path.exists() for line in path.read_text().splitlines()]

    with nats_servers(tmp_path) as nodes:
        fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1)
        with closing(Link(fleet, "gw")) as link:
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)

            def hear(fcnt: int) -> None:
                phy_payload = seal_lorawan(keys(1), dev_addr(1), fcnt, 2, bytes((1, 2)) + fcnt.to_bytes(2))
                frame = Frame("gw", WallUs(1_790_000_000_000_000 + fcnt), phy_payload, RX)
                part, address = address_of(frame)
                raw = Raw.of(frame, fcnt, "gw", kept=True, age_us=None)
                link.call(link.inbox.store(raw_subject(part, [address], "gw"), hand_in("s", [raw]), REQUEST_S))

            def until(true: Callable[[], bool]) -> None:
                wait_until(true, f"{lines('a')} {lines('b')}")

            configs = {name: str(write(name, role)) for name, role in
                       (("w", '"worker"'), ("a", '"uploader"'), ("b", '"uploader"'))}  # fmt: skip

            def runs(name: str):  # type: ignore[no-untyped-def]
                return started("run", "-q", "-c", configs[name], command=HURRIED_FLEET)

            with runs("w"), runs("a") as first:
                hear(0)
                until(lambda: lines("a") == [0.0])
                with runs("b"):
                    hear(1)
                    until(lambda: lines("a") == [0.0, 0.01])
                    first.kill()
                    first.wait(PATIENCE_S)
                    until(lambda: _turn(link) == "b")
                    hear(2)
                    until(lambda: lines("b") == [0.02])
                    with runs("a"):
                        hear(3)
                        until(lambda: len(lines("a", "b")) == 4)
            assert sorted(lines("a", "b")) == [0.0, 0.01, 0.02, 0.03]
            assert lines("b") == [0.02, 0.03]


def _turn(link: Link) -> str:
    found = link.call(link.inbox.next("LP_LOG", turns.SUBJECT, 1, REQUEST_S))
    position = 1
    name = ""
    while found:
        name, position = json.loads(found.data)["name"], found.seq + 1
        found = link.call(link.inbox.next("LP_LOG", turns.SUBJECT, position, REQUEST_S))
    return name
