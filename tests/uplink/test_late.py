"""Frames that come after newer ones: accepted once if they were missed, whoever sends them; through a real spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.clocks.scale import boot_zero
from lora_post.lorawan.phy_payload import MType
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.metrics import Metrics
from lora_post.model import Device, FCntPolicy, Frame, Reading, RxInfo
from lora_post.observed.site_state import SiteState
from lora_post.run.pipeline import Pipeline
from lora_post.spool.gaps import gaps_in_memory
from lora_post.spool.ledger import Ledger, MemoryLedger, SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import reset_counter
from lora_post.times import StampUs
from lora_post.uplink.counters import MAX_GAP
from lora_post.uplink.model import Refusal, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.outcome_json import outcome_json
from lora_post.uplink.unlock import seal_lorawan
from lora_post.uplink.window import DOUBT_US, MAX_GAPS
from tests.support.build import KEYS, NOON_US, device
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import Site as NetworkSite
from tests.support.network_site import otaa
from tests.support.seal import ROOT_10

POND = device("pond")
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


class Gateway:
    """One that hands frames of one device to a pipeline; tells what became of each: FCnt, "late FCnt", or a check."""

    def __init__(self, ledger: Ledger) -> None:
        self.outcomes: list[Outcome] = []
        self._pipeline = Pipeline(ledger, decoded, Metrics(), self.outcomes.append)

    def hear(self, *fcnts: int, at_us: int, gateway: str = "gw1", keys: SessionKeys = KEYS) -> list[str]:
        frames = [
            Frame(gateway, StampUs(at_us), seal_lorawan(keys, POND.address or 0, fcnt, 2, b"%d" % fcnt), RxInfo())
            for fcnt in fcnts
        ]
        self._pipeline.handle(frames)
        return [became(outcome) for outcome in self.outcomes[-len(fcnts) :]]


def became(outcome: Outcome) -> str:
    if isinstance(outcome, Report):
        return f"{'late ' if outcome.uplink.is_late else ''}{outcome.uplink.fcnt}"
    assert isinstance(outcome, Refusal)
    return outcome.check


def decoded(uplink: Uplink) -> Report:
    return Report(uplink, (Reading("t", int(uplink.payload)),))


@pytest.fixture(params=["spool", "memory"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    if request.param == "memory":
        yield Gateway(MemoryLedger([POND]))
        return
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        yield Gateway(ledger_of(spool_file))


def ledger_of(spool_file: SpoolFile, *devices: Device) -> SpoolLedger:
    return SpoolLedger(spool_file, devices or [POND], QueueWriter(spool_file, ["waziup"], 1 << 30))


def test_frame_that_another_gateway_hands_in_later_is_accepted_once(gateway: Gateway) -> None:
    assert gateway.hear(10, 12, at_us=NOON_US) == ["10", "12"]
    assert gateway.hear(11, at_us=NOON_US + 2 * SECOND_US, gateway="gw2") == ["late 11"]
    assert gateway.hear(11, at_us=NOON_US + 3 * SECOND_US, gateway="gw3") == ["replay"]
    assert gateway.hear(13, at_us=NOON_US + 4 * SECOND_US) == ["13"]


def test_frame_in_the_same_group_is_accepted_late(gateway: Gateway) -> None:
    assert gateway.hear(10, 12, 11, 11, 13, at_us=NOON_US) == ["10", "12", "late 11", "replay", "13"]


def test_caught_frame_that_is_sent_again_later_is_a_replay(gateway: Gateway) -> None:
    gateway.hear(10, 12, at_us=NOON_US)
    assert gateway.hear(11, at_us=NOON_US + DOUBT_US + 1) == ["replay"]


def test_frame_that_a_gateway_kept_for_days_has_the_time_at_which_it_was_heard(gateway: Gateway) -> None:
    gateway.hear(10, at_us=NOON_US)
    gateway.hear(500, at_us=NOON_US + 5 * DAY_US)
    kept = [gateway.hear(fcnt, at_us=NOON_US + fcnt * SECOND_US, gateway="gw2") for fcnt in range(11, 500)]
    assert kept == [[f"late {fcnt}"] for fcnt in range(11, 500)]
    assert gateway.hear(*range(11, 501), at_us=NOON_US) == ["replay"] * 490
    assert gateway.hear(501, at_us=NOON_US + 6 * DAY_US) == ["501"]


def test_what_was_sent_before_the_first_contact_was_not_missed(gateway: Gateway) -> None:
    gateway.hear(10, at_us=NOON_US)
    assert gateway.hear(9, at_us=NOON_US) == ["replay"]


def test_counter_that_was_set_leaves_no_gap(gateway: Gateway) -> None:
    gateway.hear(10, 12 + MAX_GAP, at_us=NOON_US)
    assert gateway.hear(11, at_us=NOON_US) == ["replay"]
    gateway.hear(12 + 2 * MAX_GAP, at_us=NOON_US)
    assert gateway.hear(13 + MAX_GAP, at_us=NOON_US) == [f"late {13 + MAX_GAP}"]


def test_forged_frame_in_a_gap_takes_nothing_away(gateway: Gateway) -> None:
    gateway.hear(10, 12, at_us=NOON_US)
    assert gateway.hear(11, at_us=NOON_US, keys=SessionKeys(bytes(16), bytes(16))) == ["mic"]
    assert gateway.hear(11, at_us=NOON_US) == ["late 11"]


def test_time_that_is_not_known_is_compared_with_those_of_the_same_boot_only(gateway: Gateway) -> None:
    boot, next_boot = boot_zero(3), boot_zero(4)
    gateway.hear(10, 15, at_us=boot + SECOND_US)
    assert gateway.hear(11, at_us=boot) == ["late 11"]
    assert gateway.hear(12, at_us=NOON_US) == ["replay"]
    assert gateway.hear(12, at_us=next_boot) == ["replay"]
    gateway.hear(20, at_us=NOON_US)
    assert gateway.hear(16, at_us=boot) == ["replay"]
    assert gateway.hear(16, at_us=NOON_US) == ["late 16"]


@pytest.mark.parametrize("policy", [policy for policy in FCntPolicy if policy is not FCntPolicy.STRICT])
def test_counters_that_may_fall_back_leave_no_gaps(policy: FCntPolicy, tmp_path: Path) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        gateway = Gateway(ledger_of(spool_file, device("pond", fcnt=policy)))
        gateway.hear(200, 202, at_us=NOON_US)
        assert gateway.hear(201, at_us=NOON_US) == (["201"] if policy is FCntPolicy.UNCHECKED else ["replay"])


def test_gaps_outlive_the_process_and_end_with_their_session(tmp_path: Path) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        Gateway(ledger_of(spool_file)).hear(10, 14, at_us=NOON_US)
        assert Gateway(ledger_of(spool_file)).hear(11, at_us=NOON_US) == ["late 11"]
        assert reset_counter(spool_file, POND)
        gateway = Gateway(ledger_of(spool_file))
        gateway.hear(20, at_us=NOON_US)
        assert gateway.hear(12, at_us=NOON_US) == ["replay"]


def test_group_that_was_not_kept_missed_nothing(tmp_path: Path) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        ledger = ledger_of(spool_file)
        gateway = Gateway(ledger)
        gateway.hear(10, 12, at_us=NOON_US)
        uplink = Uplink(Frame("gw1", NOON_US, b"", RxInfo()), POND, 11, 2, b"11", True, is_late=True)
        with pytest.raises(ZeroDivisionError), ledger.group() as group:
            assert group.was_missed(uplink)
            raise ZeroDivisionError
        assert gateway.hear(11, at_us=NOON_US) == ["late 11"]


def test_join_ends_the_gaps_of_the_session_before(tmp_path: Path) -> None:
    site = NetworkSite(tmp_path / "spool.db", otaa(ROOT_10))
    with closing(site.store):
        end = JoiningDevice(ROOT_10)
        site.join(end)
        frames = [end.uplink(b"x") for _ in range(4)]
        for phy_payload in (frames[0], frames[3], frames[1]):
            assert site.hear(phy_payload, after_us=SECOND_US) == "uplink"
        assert gaps_in(site.store) == 1
        for _ in range(4):
            site.join(end)
            assert site.hear(end.uplink(b"x")) == "uplink"
        assert site.hear(frames[2]) == "unknown-device"
        assert gaps_in(site.store) == 0


def gaps_in(spool_file: SpoolFile) -> int:
    with spool_file.transaction() as db:
        (count,) = db.execute("SELECT count(*) FROM gap").fetchone()
    return int(count)


def test_late_frame_is_not_answered(tmp_path: Path) -> None:
    """Its device sent a newer one, and listens for the answer to that."""
    site = NetworkSite(tmp_path / "spool.db", device())
    with closing(site.store):
        for fcnt in (0, 2, 1):
            phy_payload = seal_lorawan(KEYS, POND.address or 0, fcnt, 2, b"x", mtype=MType.CONFIRMED_UP, fopts=b"\x02")
            assert site.hear(phy_payload, after_us=SECOND_US) == "uplink"
        assert len(site.gateway.sent) == 2


def test_page_counts_a_late_frame_as_not_missed_and_shows_the_newest_values(gateway: Gateway) -> None:
    state = SiteState([POND])
    gateway.hear(10, 14, at_us=NOON_US)
    gateway.hear(12, at_us=NOON_US - SECOND_US, gateway="gw2")
    for outcome in gateway.outcomes:
        state.hear(outcome)
    (view,) = state.devices()
    assert (view.missed, view.heard, view.gateway) == (2, 3, "gw1")
    assert [shown.value for shown in view.sensors] == [14]


def test_results_say_that_an_uplink_was_late(gateway: Gateway) -> None:
    gateway.hear(10, 12, 11, at_us=NOON_US)
    assert [outcome_json(outcome).get("late") for outcome in gateway.outcomes] == [None, None, True]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=60))
def test_each_frame_that_was_missed_is_taken_once(acts: list[tuple[bool, int]]) -> None:
    """Held against a set of numbers; the oldest gaps are given up."""
    gaps, missed, expected = gaps_in_memory(), set[int](), 0
    for is_jump, number in acts:
        if is_jump:
            first, last = expected, expected + number % 7
            gaps.open("pond", first, last, NOON_US)
            missed.update(range(first, last + 1))
            expected = last + 2
        else:
            assert gaps.take("pond", number, NOON_US) is (number in missed)
            missed.discard(number)


def test_so_many_gaps_are_kept_of_each_session() -> None:
    kept = gaps_in_memory()
    for number in range(0, 4 * MAX_GAPS, 2):
        kept.open("pond", number, number, NOON_US)
    kept.open("other", 0, 0, NOON_US)
    taken = [number for number in range(4 * MAX_GAPS) if kept.take("pond", number, NOON_US)]
    assert taken == list(range(2 * MAX_GAPS, 4 * MAX_GAPS, 2))
    assert kept.take("other", 0, NOON_US)
