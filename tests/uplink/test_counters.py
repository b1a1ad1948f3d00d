"""Counter policies, from frames to verdicts through the pipeline and a real store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.metrics import Metrics
from lora_post.model import Device, FCntPolicy, Frame, Link, RxInfo
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import Ledger, MemoryLedger, SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.counters import RESTART_BELOW, stale
from lora_post.uplink.heard_twice import REPEAT_WINDOW_US, RESTART_WINDOW_US, SENT_AGAIN_US
from lora_post.uplink.model import Refusal, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan, seal_lowcost
from tests.support.build import KEYS, NOON_US, device, lowcost_device

POND = device("pond")
MINUTE_US = 60_000_000


def under(policy: str, of: Device = POND) -> Device:
    return replace(of, fcnt=FCntPolicy(policy))


class Site:
    """One device behind a pipeline; what became of each frame as FCnt, or as the check that refused it."""

    def __init__(self, ledger: Ledger, of: Device) -> None:
        self._device = of
        self._outcomes: list[Outcome] = []
        self.pipeline = Pipeline(ledger, undecoded, Metrics(), self._outcomes.append)
        self.time_us = NOON_US
        self.detail = self.fix = ""

    def hear(self, fcnt: int, payload: bytes = b"x", after_us: int = MINUTE_US, *, fcnt16: bool = False) -> object:
        self.time_us += after_us
        keys = self._device.keys
        assert keys is not None and self._device.address is not None
        if self._device.link is Link.LOWCOST:
            phy = seal_lowcost(keys, self._device.address, fcnt, payload)
        else:
            phy = seal_lorawan(keys, self._device.address, fcnt & 0xFFFF if fcnt16 else fcnt, 2, payload)
        return self.hear_bytes(phy)

    def hear_bytes(self, phy: bytes) -> object:
        self.pipeline.handle([Frame("gw1", self.time_us, phy, RxInfo())])
        outcome = self._outcomes.pop()
        if isinstance(outcome, Report):
            return outcome.uplink.fcnt
        assert isinstance(outcome, Refusal)
        self.detail, self.fix = outcome.detail, outcome.fix
        return outcome.check


def undecoded(uplink: Uplink) -> Report:
    return Report(uplink, ())


@pytest.fixture(params=["spool", "memory"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Device], Site]:
    def build(of: Device) -> Site:
        if request.param == "memory":
            return Site(MemoryLedger([of]), of)
        store = SpoolFile(tmp_path / "spool.db")
        request.addfinalizer(store.close)
        return Site(SpoolLedger(store, [of], QueueWriter(store, ["waziup"], 1 << 30)), of)

    return build


# strict


def test_strict_device_that_restarts_is_refused_with_the_setting_that_would_accept_it(
    site: Callable[[Device], Site],
) -> None:
    heard = site(POND)
    assert heard.hear(5000) == 5000
    assert heard.hear(0) == "replay"
    assert 'fcnt = "restarts"' in heard.fix and "lora-post spool reset-counter pond" in heard.fix
    assert heard.hear(4000) == "replay"
    assert 'fcnt = "restarts"' not in heard.fix


def test_strict_device_with_16_bits_is_refused_with_the_setting_that_would_accept_it(
    site: Callable[[Device], Site],
) -> None:
    heard = site(POND)
    assert heard.hear(65535) == 65535
    assert heard.hear(0) == "replay"
    assert 'fcnt = "16bit"' in heard.fix


# 16bit


@pytest.mark.parametrize("of", [POND, lowcost_device(keys=KEYS)], ids=["LoRaWAN", "LowCostLoRaGw"])
def test_16_bit_device_counts_round_and_round(of: Device, site: Callable[[Device], Site]) -> None:
    heard = site(under("16bit", of))
    counters = [0, 1, 30_000, 60_000, 65_535, 0, 1, 20_000, 50_000, 4464, 30_000, 60_000, 3]
    assert [heard.hear(fcnt, fcnt16=True) for fcnt in counters] == counters
    assert heard.hear(60_000, fcnt16=True) == "replay"


def test_frame_that_its_device_sends_again_is_a_repeat_for_a_while(site: Callable[[Device], Site]) -> None:
    heard = site(under("strict"))
    assert heard.hear(7) == 7
    for after_us in (3_000_000, 30_000_000, SENT_AGAIN_US - 33_000_000):
        assert (heard.hear(7, after_us=after_us), heard.fix) == ("repeat", "")
    assert heard.hear(7, b"other", after_us=-1_000_000) == "replay"
    assert heard.hear(7, after_us=1_000_001) == "replay"
    assert heard.hear(8) == 8


def test_16_bit_device_s_old_frames_are_refused(site: Callable[[Device], Site]) -> None:
    heard = site(under("16bit"))
    assert [heard.hear(fcnt) for fcnt in (40_000, 65_535, 0, 10)] == [40_000, 65_535, 0, 10]
    assert [heard.hear(fcnt) for fcnt in (10, 9, 0, 65_535, 40_000)] == ["repeat", *["replay"] * 4]
    assert heard.hear(11) == 11


# restarts


def test_restarted_device_is_accepted_from_small_counters_only(site: Callable[[Device], Site]) -> None:
    heard = site(under("restarts"))
    assert heard.hear(5000) == 5000
    assert heard.hear(RESTART_BELOW) == "replay"
    assert [heard.hear(fcnt) for fcnt in (RESTART_BELOW - 1, 0, 1, 2)] == [RESTART_BELOW - 1, 0, 1, 2]
    assert heard.hear(4000) == 4000


def test_frame_of_this_run_is_no_restart(site: Callable[[Device], Site]) -> None:
    heard = site(under("restarts"))
    assert [heard.hear(fcnt) for fcnt in (0, 1, 2)] == [0, 1, 2]
    assert [heard.hear(fcnt) for fcnt in (2, 1, 0)] == ["repeat"] * 3
    assert heard.hear(3) == 3


def test_restart_with_the_very_same_payloads_is_seen_after_an_hour(site: Callable[[Device], Site]) -> None:
    heard = site(under("restarts"))
    assert [heard.hear(fcnt) for fcnt in (0, 1)] == [0, 1]
    assert heard.hear(0, after_us=RESTART_WINDOW_US) == 0


def test_device_that_restarts_at_once_is_heard_when_it_says_something_new(site: Callable[[Device], Site]) -> None:
    heard = site(under("restarts"))
    assert [heard.hear(0, payload) for payload in (b"a", b"b", b"b", b"c")] == [0, 0, "repeat", 0]


def test_restart_whose_first_frames_were_missed_is_proved_by_three_new_frames(site: Callable[[Device], Site]) -> None:
    heard = site(under("restarts"))
    assert [heard.hear(fcnt) for fcnt in (1000, 1001)] == [1000, 1001]
    assert [heard.hear(fcnt) for fcnt in (150, 151, 152, 153)] == ["replay", "replay", 152, 153]
    assert [heard.hear(fcnt) for fcnt in (150, 151, 152)] == ["replay"] * 3


@pytest.mark.parametrize(
    "counters",
    [
        (150, 151, 1002, 152, 153),
        (150, 150, 150, 151),
        (152, 151, 150),
        (150, 151, 252, 253),
        (998, 999, 1000, 1001, 998, 999, 1000),
    ],
    ids=["the old count goes on", "copies", "falling", "far apart", "accepted ones, twice"],
)
def test_no_restart_is_proved(counters: tuple[int, ...], site: Callable[[Device], Site]) -> None:
    heard = site(under("restarts"))
    assert [heard.hear(fcnt) for fcnt in (997, 998, 999, 1000, 1001)] == [997, 998, 999, 1000, 1001]
    assert {heard.hear(fcnt, after_us=0) for fcnt in counters if fcnt != 1002 or heard.hear(1002) != 1002} == {"replay"}


def test_recording_proves_no_restart_after_a_start_of_the_program(tmp_path: Path) -> None:
    of = under("restarts")
    with closing(SpoolFile(tmp_path / "spool.db")) as store:
        first = Site(SpoolLedger(store, [of], QueueWriter(store, ["waziup"], 1 << 30)), of)
        assert [first.hear(fcnt) for fcnt in (200, 201, 202, 203, 5000)] == [200, 201, 202, 203, 5000]
        assert [first.hear(fcnt) for fcnt in (300, 301)] == ["replay", "replay"]
        again = Site(SpoolLedger(store, [of], QueueWriter(store, ["waziup"], 1 << 30)), of)
        again.time_us += 365 * 24 * 60 * MINUTE_US
        assert [again.hear(fcnt) for fcnt in (200, 201, 202, 203, 300, 301)] == ["replay"] * 6


def test_capture_of_restarts_can_be_fed_again(tmp_path: Path) -> None:
    of = under("restarts")
    frames = [
        Frame("gw1", NOON_US + n * MINUTE_US, seal_lorawan(KEYS, POND.address, fcnt, 2, b"%d" % n), RxInfo())
        for n, fcnt in enumerate([RESTART_BELOW, 5000, 0, 1, 2, 0, 1, 2, 3])
    ]
    with closing(SpoolFile(tmp_path / "spool.db")) as store:
        for accepted in (9, 0):
            outcomes: list[Outcome] = []
            ledger = SpoolLedger(store, [of], QueueWriter(store, ["waziup"], 1 << 30))
            Pipeline(ledger, undecoded, Metrics(), outcomes.append).handle(frames)
            assert sum(isinstance(outcome, Report) for outcome in outcomes) == accepted
        assert Queue(store, "waziup").counts().queued == 0


# unchecked


def test_unchecked_device_is_accepted_with_any_counter(site: Callable[[Device], Site]) -> None:
    heard = site(under("unchecked"))
    counters = [70_000, 3, 3, 65_536, 0, 9, 70_000]
    assert [heard.hear(fcnt) for fcnt in counters] == counters


def test_unchecked_frame_is_still_taken_once_in_a_while(site: Callable[[Device], Site]) -> None:
    heard = site(under("unchecked"))
    assert heard.hear(7) == 7
    assert heard.hear(7, after_us=REPEAT_WINDOW_US) == "repeat"
    assert heard.hear(7, b"other", after_us=0) == 7
    assert heard.hear(7, after_us=1) == 7


@pytest.mark.parametrize("policy", list(FCntPolicy))
def test_forged_frame_is_refused_under_any_policy(policy: FCntPolicy, site: Callable[[Device], Site]) -> None:
    heard = site(replace(POND, fcnt=policy))
    phy = seal_lorawan(KEYS, POND.address, 7, 2, b"x")
    assert heard.hear_bytes(phy[:-1] + bytes((phy[-1] ^ 1,))) == "mic"


def test_refusal_names_its_device() -> None:
    assert stale(POND, 1, 2).device == "pond"
