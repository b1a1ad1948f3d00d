"""Joins overheard, from frames to the uplinks of the session, with a real store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.errors import FrameError, UnlockError, UsedNonce
from lora_post.explain.frame import explain
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys, SessionKeys11
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame, Link, RxInfo
from lora_post.run.outcome_log import OutcomeLog
from lora_post.run.pipeline import Pipeline
from lora_post.spool.boots import BootBook
from lora_post.spool.ledger import MemoryLedger, SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import reset_counter
from lora_post.uplink.join_state import Join, Joiner, JoinState
from lora_post.uplink.joins import ANSWER_WINDOW_US, KEEP_NONCES, KEEP_SESSIONS, KEEP_UNPROVED, hear_join, is_join
from lora_post.uplink.model import Refusal, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import NOON_US, device
from tests.support.clocks import Machine
from tests.support.seal import ROOT_10, ROOT_11, join_accept, join_request, seal_11

DEV_ADDR = 0x02345678
BUOY = device("buoy", address=None, keys=None, root=ROOT_10)
RAFT = device("raft", address=None, keys=None, root=RootKeys(ROOT_10.dev_eui + 1, ROOT_10.join_eui, bytes(16)))
SECOND_US = 1_000_000


class Site:
    """A pipeline with a spool; what became of each frame in a word."""

    def __init__(self, path: Path, *devices: Device) -> None:
        self.path, self.devices = path, devices
        self.metrics = Metrics()
        self.time_us = NOON_US
        self.outcome: Outcome | None = None
        self.store: SpoolFile | None = None
        self.start()

    def start(self) -> None:
        if self.store is not None:
            self.store.close()
        self.store = SpoolFile(self.path)
        ledger = SpoolLedger(self.store, self.devices, QueueWriter(self.store, ["waziup"], 1 << 30))
        self.pipeline = Pipeline(ledger, lambda uplink: Report(uplink, ()), self.metrics, self._hear)

    def _hear(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def hear(self, phy: bytes, after_us: int = SECOND_US) -> object:
        self.time_us += after_us
        self.pipeline.handle([Frame("gw1", self.time_us, phy, RxInfo(sf=7, bw_khz=125.0))])
        if isinstance(self.outcome, Join):
            return self.outcome.message
        assert isinstance(self.outcome, (Report, Refusal))
        return self.outcome.check if isinstance(self.outcome, Refusal) else self.outcome.uplink.fcnt

    def join(self, root: RootKeys, dev_nonce: int, *, dev_addr: int = DEV_ADDR, join_nonce: int | None = None) -> None:
        nonce = dev_nonce if join_nonce is None else join_nonce
        assert self.hear(join_request(root, dev_nonce)) == "join-request"
        assert self.hear(join_accept(root, dev_nonce, dev_addr, join_nonce=nonce)) == "join-accept"


def uplink(root: RootKeys, dev_nonce: int, fcnt: int, *, dev_addr: int = DEV_ADDR) -> bytes:
    """An uplink in the session of a join whose two nonces are equal."""
    keys = root.session_keys(dev_nonce, 1, dev_nonce, opt_neg=root.is_11)
    if isinstance(keys, SessionKeys11):
        return seal_11(keys, dev_addr, fcnt, 2, b"x")
    return seal_lorawan(keys, dev_addr, fcnt, 2, b"x")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", BUOY)
    yield site
    assert site.store is not None
    site.store.close()


@pytest.mark.parametrize("root", [ROOT_10, ROOT_11], ids=["1.0", "1.1"])
def test_uplinks_after_a_join_are_accepted_also_after_a_restart(root: RootKeys, tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", device("buoy", address=None, keys=None, root=root))
    assert site.hear(uplink(root, 1, 0)) == "unknown-device"
    site.join(root, 1)
    assert [site.hear(uplink(root, 1, fcnt)) for fcnt in (0, 1)] == [0, 1]
    assert isinstance(site.outcome, Report)
    assert (site.outcome.uplink.device.id, site.outcome.uplink.device.address) == ("buoy", DEV_ADDR)
    site.start()
    assert [site.hear(uplink(root, 1, fcnt)) for fcnt in (1, 2)] == ["replay", 2]
    assert site.metrics.labels("joins") == {"join-accept": 1, "join-request": 1}
    assert site.store is not None
    site.store.close()


def test_restart_between_request_and_answer_does_not_matter(site: Site) -> None:
    assert site.hear(join_request(ROOT_10, 5)) == "join-request"
    site.start()
    assert site.hear(join_accept(ROOT_10, 5, DEV_ADDR, join_nonce=5)) == "join-accept"
    assert site.hear(uplink(ROOT_10, 5, 0)) == 0


def test_answer_is_known_when_the_time_was_learned_after_the_request(tmp_path: Path) -> None:
    machine = Machine()
    machine.start_in_1970()
    store = SpoolFile(tmp_path / "spool.db")
    clock = GatewayClock(machine)
    ledger = SpoolLedger(store, [BUOY], QueueWriter(store, ["waziup"], 1 << 30), BootBook(clock))
    heard: list[Outcome] = []
    pipeline = Pipeline(ledger, _never, Metrics(), heard.append, clock).taking(Times.LIVE)
    for phy in (join_request(ROOT_10, 1), join_accept(ROOT_10, 1, DEV_ADDR)):
        pipeline.handle([Frame("gw1", machine.wall_us(), phy, RxInfo())])
        machine.pass_s(6)
        clock.vouch(machine.booted_us, machine.booted_us)
    store.close()
    assert [each.message for each in heard if isinstance(each, Join)] == ["join-request", "join-accept"]


def test_next_join_begins_a_new_session_and_the_one_before_lives_on_for_a_while(site: Site) -> None:
    for nonce in range(1, KEEP_SESSIONS + 2):
        site.join(ROOT_10, nonce, dev_addr=DEV_ADDR + nonce)
        assert site.hear(uplink(ROOT_10, nonce, 0, dev_addr=DEV_ADDR + nonce)) == 0
    assert site.hear(uplink(ROOT_10, 1, 1, dev_addr=DEV_ADDR + 1)) == "unknown-device"
    assert site.hear(uplink(ROOT_10, 2, 1, dev_addr=DEV_ADDR + 2)) == 1
    assert site.store is not None
    assert len(site.store.rows("SELECT * FROM session")) == KEEP_SESSIONS


def test_recorded_joins_are_refused_and_change_nothing(site: Site) -> None:
    site.join(ROOT_10, 1)
    site.join(ROOT_10, 2)
    assert site.hear(join_request(ROOT_10, 1)) == "join-replay"
    assert site.hear(join_accept(ROOT_10, 1, DEV_ADDR, join_nonce=1)) == "join-replay"
    assert site.hear(join_request(ROOT_10, 2)) == "join-replay"
    assert site.hear(uplink(ROOT_10, 2, 0)) == 0


def test_recorded_answer_to_a_new_request_does_not_cut_the_device_off(site: Site) -> None:
    old = join_accept(ROOT_10, 99, DEV_ADDR, join_nonce=0x999)
    assert site.hear(join_request(ROOT_10, 1)) == "join-request"
    assert site.hear(old) == "join-accept"
    assert site.hear(join_accept(ROOT_10, 1, DEV_ADDR, join_nonce=1)) == "join-accept"
    assert site.hear(uplink(ROOT_10, 1, 0)) == 0


def test_recorded_answers_end_no_session_that_an_uplink_has_proved(site: Site) -> None:
    site.join(ROOT_10, 1)
    assert site.hear(uplink(ROOT_10, 1, 0)) == 0
    assert site.hear(join_request(ROOT_10, 2)) == "join-request"
    for nonce in range(100, 100 + 2 * KEEP_UNPROVED):
        assert site.hear(join_accept(ROOT_10, 99, DEV_ADDR, join_nonce=nonce)) == "join-accept"
    site.start()
    assert site.hear(uplink(ROOT_10, 1, 1)) == 1
    assert site.hear(join_accept(ROOT_10, 2, DEV_ADDR, join_nonce=2)) == "join-accept"
    for nonce in range(200, 200 + KEEP_UNPROVED - 1):
        assert site.hear(join_accept(ROOT_10, 99, DEV_ADDR, join_nonce=nonce)) == "join-accept"
    assert site.hear(uplink(ROOT_10, 2, 0)) == 0
    assert site.hear(uplink(ROOT_10, 1, 2)) == 2
    site.start()
    assert [site.hear(uplink(ROOT_10, 2, fcnt)) for fcnt in (0, 1)] == ["replay", 1]


@pytest.mark.parametrize("after_us", [ANSWER_WINDOW_US + 1, -ANSWER_WINDOW_US - 1])
def test_answer_that_comes_at_another_time_is_none(after_us: int, site: Site) -> None:
    site.hear(join_request(ROOT_10, 1))
    assert site.hear(join_accept(ROOT_10, 1, DEV_ADDR), after_us) == "not-uplink"


def test_answer_is_matched_with_the_device_that_asked(tmp_path: Path) -> None:
    roots = [RootKeys(n, 7, bytes([n]) * 16) for n in (1, 2, 3)]
    site = Site(tmp_path / "spool.db", *(device(f"d{n}", address=None, keys=None, root=r) for n, r in enumerate(roots)))
    for root in roots:
        assert site.hear(join_request(root, 4)) == "join-request"
    for root in roots:
        assert site.hear(join_accept(root, 4, DEV_ADDR, join_nonce=4)) == "join-accept"
    for n, root in enumerate(roots):  # all of them under one DevAddr, so that the MIC has to tell
        assert site.hear(uplink(root, 4, 0)) == 0
        assert isinstance(site.outcome, Report) and site.outcome.uplink.device.id == f"d{n}"
    assert site.store is not None
    site.store.close()


def test_device_with_other_root_keys_starts_from_nothing(site: Site) -> None:
    site.join(ROOT_10, 1)
    site.devices = (device("buoy", address=None, keys=None, root=ROOT_11),)
    site.start()
    assert site.hear(uplink(ROOT_10, 1, 0)) == "unknown-device"
    assert site.hear(join_request(ROOT_11, 1)) == "join-request"


def test_counter_of_a_joined_device_can_be_reset_while_it_is_heard(site: Site, tmp_path: Path) -> None:
    site.join(ROOT_10, 1)
    assert [site.hear(uplink(ROOT_10, 1, fcnt)) for fcnt in (500, 3)] == [500, "replay"]
    other = SpoolFile(tmp_path / "spool.db")
    assert reset_counter(other, BUOY)
    assert not reset_counter(other, BUOY)
    other.close()
    assert site.hear(uplink(ROOT_10, 1, 3)) == 3


def test_what_is_remembered_is_bounded() -> None:
    joiner = Joiner(BUOY)
    for nonce in range(KEEP_NONCES + 9):
        for phy in (join_request(ROOT_10, nonce), join_accept(ROOT_10, nonce, DEV_ADDR, join_nonce=nonce)):
            _, joiner = hear_join(Frame("gw1", 0, phy, RxInfo()), {ROOT_10.dev_eui: joiner})
    state = joiner.state
    assert len(state.dev_nonces) == len(state.join_nonces) == KEEP_NONCES
    assert len(state.sessions) == KEEP_UNPROVED
    for nonce in (0, 8, KEEP_NONCES + 8):
        with pytest.raises(UsedNonce):
            hear_join(Frame("gw1", 0, join_request(ROOT_10, nonce), RxInfo()), {ROOT_10.dev_eui: joiner})


def test_same_verdicts_in_a_dry_run() -> None:
    outcomes: list[Outcome] = []
    pipeline = Pipeline(MemoryLedger([BUOY]), lambda uplink: Report(uplink, ()), Metrics(), outcomes.append)
    frames = [join_request(ROOT_10, 1), join_accept(ROOT_10, 1, DEV_ADDR, join_nonce=1), uplink(ROOT_10, 1, 0)]
    pipeline.handle([Frame("gw1", NOON_US, phy, RxInfo()) for phy in frames])
    assert [type(outcome) for outcome in outcomes] == [Join, Join, Report]


def test_log_and_texts_tell_of_a_join_and_no_secret(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    log = OutcomeLog()
    with caplog.at_level(logging.DEBUG):
        for phy in (join_request(ROOT_10, 1), join_accept(ROOT_10, 1, DEV_ADDR, join_nonce=1), uplink(ROOT_10, 1, 0)):
            site.hear(phy)
            assert site.outcome is not None
            log(site.outcome)
    assert "join-request device=buoy: DevNonce 0001" in caplog.text
    assert "join-accept device=buoy: DevAddr 02345678" in caplog.text
    keys = ROOT_10.session_keys(1, 1, 1, opt_neg=False)
    assert isinstance(keys, SessionKeys)
    state = JoinState(sessions=())
    shown = caplog.text + repr(site.outcome) + repr(state) + repr(keys) + repr(BUOY)
    assert not any(key.hex() in shown or repr(key) in shown for key in (*ROOT_10.secrets, *keys.secrets))


@given(st.binary(max_size=40), st.sampled_from([None, *Link]))
def test_no_bytes_raise_anything_else(data: bytes, link: Link | None) -> None:
    frame = Frame("gw1", 0, data, RxInfo(), link)
    joiners = {ROOT_10.dev_eui: Joiner(BUOY, JoinState((1,), (), 0))}
    if is_join(frame):
        with pytest.raises((UnlockError, FrameError)):
            hear_join(frame, joiners)


@given(st.integers(0, 22 * 8 + 7))
def test_any_flipped_bit_of_a_join_request_is_refused(bit: int) -> None:
    phy = bytearray(join_request(ROOT_10, 1))
    phy[bit // 8] ^= 1 << bit % 8
    outcomes: list[Outcome] = []
    pipeline = Pipeline(MemoryLedger([BUOY]), _never, Metrics(), outcomes.append)
    pipeline.handle([Frame("gw1", 0, bytes(phy), RxInfo(), Link.LORAWAN)])
    assert isinstance(outcomes[0], Refusal)


def _never(uplink: Uplink) -> Report:
    raise AssertionError(uplink)


@pytest.mark.parametrize(
    ("joining", "who"),
    [
        ((), None),
        ((BUOY,), "buoy"),
        ((BUOY, RAFT), "one of 2 devices"),
    ],
)
def test_uplink_after_a_join_that_was_not_heard_names_who_it_may_be(
    tmp_path: Path, joining: tuple[Device, ...], who: str | None
) -> None:
    site = Site(tmp_path / "spool.db", device(), *joining)
    phy_payload = seal_lorawan(SessionKeys(bytes(16), bytes(16)), DEV_ADDR, 1, 1, b"x")
    site.pipeline.handle([Frame("gw1", NOON_US, phy_payload, RxInfo())])
    assert isinstance(site.outcome, Refusal)
    hint = f"; or, if it is {who} (OTAA) after a join that was not heard, see docs/devices.md, Joining" if who else ""
    assert (
        site.outcome.fix
        == f'add a [[device]] with dev_addr = "{DEV_ADDR:08x}": lora-post devices add {DEV_ADDR:08x}{hint}'
    )
    explained = explain(site.outcome.frame, lambda link, address: [], joining).outcome
    assert isinstance(explained, Refusal)
    assert explained.fix == site.outcome.fix
