from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.clocks.scale import is_unknown
from lora_post.model import Frame, Reading, SensorRule
from lora_post.spool.boots import BootBook, Estimate, estimate_text, estimates
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.heard_twice import REPEAT_WINDOW_US
from lora_post.uplink.model import Report, Session, Uplink
from tests.support.build import device, frame, lowcost_device
from tests.support.clocks import Machine
from tests.support.keeping import keep
from tests.support.lanes import ready_lanes

POND = device()
NODE = lowcost_device()
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


class Gateway:
    """One lora-post on a machine: it keeps readings whose values are the true times at which they came."""

    def __init__(self, path: Path, machine: Machine) -> None:
        self.path = path
        self.machine = machine
        self.start()

    def start(self) -> None:
        self.spool_file = SpoolFile(self.path)
        self.clock = GatewayClock(self.machine)
        boots = BootBook(self.clock)
        with self.spool_file.transaction() as db:
            boots.enter(db)
        self.ledger = SpoolLedger(
            self.spool_file, [POND, NODE], QueueWriter(self.spool_file, ["waziup"], 1 << 30), boots
        )

    def stop(self) -> None:
        self.spool_file.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def lose_power(self, boot_id: str, off_s: float, up_s: float = 30) -> None:
        self.machine.reboot(boot_id, off_s, up_s)
        self.machine.start_in_1970()
        self.restart()

    def hear(self, problem: str | None = None) -> None:
        with self.ledger.group() as group:
            (heard,) = self.clock.stamp([frame(time_us=self.machine.wall_us())], Times.LIVE)
            assert isinstance(heard, Frame)
            readings = () if problem else (Reading("t", self.machine.true_us),)
            uplink = Uplink(heard, POND, 1, 2, b"\x01", True)
            keep(group, Report(uplink, readings, problem=problem), Session(POND, 1))

    def learn(self) -> None:
        """The server's answer, and what follows from it in the sender's thread."""
        offset_us = self.machine.booted_us
        self.clock.vouch(offset_us, offset_us)
        with self.spool_file.transaction() as db:
            BootBook(self.clock).follow(db)

    def times(self) -> list[tuple[int, int]]:
        """(time, true time) of all readings in the order in which they go out."""
        return [
            (time_us, int(value))
            for time_us, value in self.spool_file.rows("SELECT time_us, value FROM reading ORDER BY time_us")
        ]

    def ready(self) -> int:
        reader = Queue(self.spool_file, "waziup")
        return sum(len(batch.times_us) for lane in ready_lanes(reader) if (batch := reader.claim(lane, 1000)))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    machine = Machine()
    machine.start_in_1970()
    here = Gateway(tmp_path / "spool.db", machine)
    yield here
    here.stop()


def test_readings_wait_for_their_time_and_get_it(gateway: Gateway) -> None:
    for _ in range(3):
        gateway.hear()
        gateway.machine.pass_s(100)
    assert gateway.ready() == 0
    assert Queue(gateway.spool_file, "waziup").awaits_time()
    assert Queue(gateway.spool_file, "waziup").counts().queued == 3
    gateway.learn()
    gateway.hear()
    assert gateway.ready() == 4
    assert not Queue(gateway.spool_file, "waziup").awaits_time()
    assert all(time_us == true_us for time_us, true_us in gateway.times())
    assert estimates(gateway.spool_file) == []


def test_process_of_the_same_boot_goes_on_with_what_the_one_before_learned(gateway: Gateway) -> None:
    gateway.hear()
    gateway.learn()
    gateway.restart()
    gateway.machine.pass_s(10)
    gateway.hear()
    assert gateway.ready() == 2
    assert all(time_us == true_us for time_us, true_us in gateway.times())


def test_time_that_one_process_learns_is_known_to_the_other_at_the_next_frame(gateway: Gateway) -> None:
    other = Gateway(gateway.path, gateway.machine)
    other.hear()
    gateway.learn()
    gateway.machine.pass_s(1)
    other.hear()
    other.stop()
    assert gateway.ready() == 2
    assert all(time_us == true_us for time_us, true_us in gateway.times())


def test_readings_across_two_reboots_without_time_are_placed_in_order_and_marked(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.learn()
    gateway.hear()
    known_us = gateway.machine.true_us
    for boot_id in ("boot-2", "boot-3"):
        gateway.lose_power(boot_id, off_s=3600, up_s=60)
        gateway.hear()
        gateway.machine.pass_s(600)
        gateway.hear()
    gateway.lose_power("boot-4", off_s=1800)
    gateway.hear()
    assert gateway.ready() == 1
    gateway.learn()
    assert gateway.ready() == 6
    first, *estimated, last = gateway.times()
    assert first[0] == first[1]
    assert last[0] == last[1]
    assert [true_us for _, true_us in estimated] == sorted(true_us for _, true_us in estimated)
    # Relative times inside a boot are right; it ended when the next one began at the latest.
    assert estimated[1][0] - estimated[0][0] == estimated[3][0] - estimated[2][0] == 600_000_000
    assert estimated[3][0] == gateway.machine.booted_us
    assert estimated[1][0] == gateway.machine.booted_us - 660_000_000
    slack_us = gateway.machine.booted_us - 2 * 660_000_000 - known_us
    for time_us, true_us in estimated:
        assert known_us <= time_us - slack_us <= true_us <= time_us
    assert estimates(gateway.spool_file) == [
        Estimate(2, gateway.machine.booted_us - 660_000_000, slack_us),
        Estimate(2, gateway.machine.booted_us, slack_us),
    ]
    warnings = [message for message in caplog.messages if "estimated" in message]
    assert warnings == [estimate_text(each) for each in reversed(estimates(gateway.spool_file))]


def test_estimate_without_a_known_moment_before_it_says_so(gateway: Gateway) -> None:
    gateway.hear()
    gateway.lose_power("boot-2", off_s=10)
    gateway.learn()
    (estimate,) = estimates(gateway.spool_file)
    assert estimate.early_us is None
    assert "older by an unknown time" in estimate_text(estimate)


def test_payload_without_reading_gets_its_time_too(gateway: Gateway) -> None:
    gateway.hear(problem="no decoder")
    ((time_us,),) = gateway.spool_file.rows("SELECT time_us FROM undecoded")
    assert is_unknown(time_us)
    gateway.learn()
    assert gateway.spool_file.rows("SELECT time_us FROM undecoded") == [(gateway.machine.true_us,)]


def test_repeat_is_recognised_across_the_moment_when_the_time_is_learned(gateway: Gateway) -> None:
    def is_repeat() -> bool:
        with gateway.ledger.group() as group:
            (heard,) = gateway.clock.stamp([frame(time_us=gateway.machine.wall_us())], Times.LIVE)
            assert isinstance(heard, Frame)
            return group.is_repeat(Uplink(heard, NODE, 5, None, b"\\!T/1", False), REPEAT_WINDOW_US)

    assert not is_repeat()
    gateway.machine.pass_s(4)
    gateway.learn()
    assert is_repeat()


@pytest.mark.parametrize(("how", "more"), [("while it runs", 1), ("at a start", 0)])
def test_what_was_kept_while_the_clock_was_ahead_does_not_end_thinning(how: str, more: int, tmp_path: Path) -> None:
    rule = SensorRule("t", deadband=0.5)
    of = device(sensors=(rule,))
    machine = Machine(wall_error_us=HOUR_US * 24 * 30, is_vouched_for=True)
    gateway = Gateway(tmp_path / "spool.db", machine)
    kept = []

    def hear() -> None:
        ledger = SpoolLedger(
            gateway.spool_file, [of], QueueWriter(gateway.spool_file, ["waziup"], 1 << 30), BootBook(gateway.clock)
        )
        for _ in range(3):
            machine.pass_s(60)
            with ledger.group() as group:
                (heard,) = gateway.clock.stamp([frame(time_us=machine.wall_us())], Times.LIVE)
                assert isinstance(heard, Frame)
                uplink = Uplink(heard, of, 1, 2, b"", True)
                keep(group, Report(uplink, (Reading("t", 20.0),)), Session(of, 1))
        kept.append(Queue(gateway.spool_file, "waziup").counts().queued)

    hear()
    machine.wall_error_us = 0
    if how == "at a start":
        gateway.restart()
    hear()
    assert kept == [1, 1 + more]  # the frame by which the correction is noticed is kept
    gateway.stop()


def test_readings_that_would_meet_are_moved_apart(gateway: Gateway) -> None:
    gateway.hear()
    writer = QueueWriter(gateway.spool_file, ["waziup"], 1 << 30)
    uplink = Uplink(frame(time_us=gateway.machine.true_us), POND, 1, 2, b"\x01", True)
    with gateway.spool_file.transaction() as db:
        writer.put(db, [Report(uplink, (Reading("t", 1),))])
    gateway.learn()
    true_us = gateway.machine.true_us
    assert gateway.times() == [(true_us, 1), (true_us + 1000, true_us)]


class Life(RuleBasedStateMachine):
    """Boots, power cuts, restarts, readings and moments of learning the time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.machine = Machine()
        self.machine.start_in_1970()
        self.gateway = Gateway(Path(self.folder.name) / "spool.db", self.machine)
        self.boots = 1
        self.true_times: list[int] = []
        self.exact_boots = {1: False}
        self.boot_of: dict[int, int] = {}

    @rule(seconds=st.integers(1, 100_000))
    def wait(self, seconds: int) -> None:
        self.machine.pass_s(seconds)

    @rule()
    def hear(self) -> None:
        self.machine.pass_s(1)
        self.gateway.hear()
        self.true_times.append(self.machine.true_us)
        self.boot_of[self.machine.true_us] = self.boots

    @rule()
    def learn(self) -> None:
        self.gateway.learn()
        self.exact_boots[self.boots] = True

    @rule()
    def restart(self) -> None:
        self.gateway.restart()

    @rule(off_s=st.integers(1, 100_000), up_s=st.integers(0, 100))
    def lose_power(self, off_s: int, up_s: int) -> None:
        self.boots += 1
        self.exact_boots[self.boots] = False
        self.gateway.lose_power(f"boot-{self.boots}", off_s, up_s)

    @precondition(lambda self: self.exact_boots[self.boots])
    @invariant()
    def nothing_waits_once_the_time_is_known(self) -> None:
        assert not any(is_unknown(time_us) for time_us, _ in self.gateway.times())

    @invariant()
    def nothing_is_lost_doubled_or_reordered(self) -> None:
        assert [true_us for _, true_us in self.gateway.times()] == self.true_times

    @invariant()
    def times_are_right_or_unknown_or_estimated_and_not_in_the_future(self) -> None:
        for time_us, true_us in self.gateway.times():
            if self.exact_boots[self.boot_of[true_us]]:
                assert time_us == true_us
            elif not is_unknown(time_us):
                assert true_us <= time_us <= self.machine.true_us

    def teardown(self) -> None:
        self.gateway.stop()
        self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(stateful_step_count=25)
