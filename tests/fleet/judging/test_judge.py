"""What a frame changes in the session of its device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.judge import Judge, report_of
from lora_post.fleet.log.acceptance import Proposal
from lora_post.fleet.log.entry import Reception, State
from lora_post.fleet.log.inheritance import inherited
from lora_post.fleet.log.recent import MAX_RECENT, is_recent, with_frame
from lora_post.model import Device, FCntPolicy, Frame, Link, RxInfo
from lora_post.times import WallUs
from lora_post.uplink.model import Copy, Refusal, Report, Uplink
from lora_post.uplink.sessions import downlink_key, session_key
from lora_post.uplink.unlock import seal_lorawan, seal_lowcost
from tests.support.command import dev_addr, keys

S = 1_000_000
T0 = 1_790_000_000 * S
POND = Device("pond", "pond", Link.LORAWAN, dev_addr(1), "cayenne-lpp", keys(1))
WRAPS = replace(POND, id="wraps", address=dev_addr(2), keys=keys(2), fcnt=FCntPolicy.SIXTEEN_BIT)
SHED = Device("shed", "shed", Link.LOWCOST, 6, "text")
BARN = Device("barn", "barn", Link.LOWCOST, 7, "text", keys(7))
LPP = bytes((1, 2, 0, 5))


class Log:
    """The states that a log has."""

    def __init__(self, counters: Mapping[str, int] | None = None) -> None:
        self.states = inherited([POND, WRAPS, SHED, BARN], counters or {}, {}, 0)
        decode = Decoding([POND, WRAPS, SHED, BARN], load_folder(shipped_folder()).decoders).decode
        self.judge = Judge([POND, WRAPS, SHED, BARN], decode)

    def hear(self, phy_payload: bytes, at_s: float, *, again: bool = False) -> Proposal | None:
        """Judge a frame; take over what it changes."""
        frame = Frame("gw1", WallUs(T0 + round(at_s * S)), phy_payload, RxInfo())
        self.heard = Copied(phy_payload, 0, {Reception("gw1", "s", 1): frame}, {}, is_offered_again=again)
        proposal = self.judge.judge(self.heard, lambda subject: self.states.get(subject, State()))
        if proposal is not None:
            self.states[proposal.subject] = proposal.state
            assert isinstance(self.heard.outcome, Report)
            self.judge.accepted(self.heard.outcome)
        return proposal


def lorawan(device: Device, fcnt: int) -> bytes:
    assert device.address is not None
    return seal_lorawan(keys(device.address & 0xFF), device.address, fcnt, 2, LPP)


def test_frame_that_waited_at_a_gateway_is_accepted_once_in_its_place() -> None:
    for device in (POND, WRAPS):
        log = Log()
        for fcnt in (0, 1, 5):
            assert log.hear(lorawan(device, fcnt), fcnt)
        late = log.hear(lorawan(device, 3), 3)
        assert late is not None
        assert late.up is not None
        assert late.up.is_late
        report = report_of(late.up, device)
        assert (report.uplink.fcnt, report.readings[0].value) == (3, 0.05)
        assert log.hear(lorawan(device, 3), 3) is None
        assert log.states[log_subject(device)].own.window.up == 6


def test_box_that_has_become_a_worker_goes_on_with_its_counters() -> None:
    key = session_key(POND)
    log = Log({key: 40, downlink_key(key): 12})
    assert log.hear(lorawan(POND, 39), 0) is None
    assert isinstance(log.heard.outcome, Refusal)
    assert log.hear(lorawan(POND, 42), 0)
    assert log.hear(lorawan(POND, 41), -1)
    state = log.states[log_subject(POND)]
    assert (state.own.window.up, state.own.down) == (43, 12)
    assert log.hear(lorawan(WRAPS, 0), 0)


def test_recording_is_refused_and_says_so() -> None:
    log = Log()
    for fcnt in (0, 5):
        log.hear(lorawan(POND, fcnt), fcnt)
    assert log.hear(lorawan(POND, 3), 900, again=True) is None
    assert isinstance(log.heard.outcome, Refusal)
    assert "a recording" in log.heard.outcome.detail


def test_recording_that_waits_beside_the_frame_itself_does_not_cost_it() -> None:
    log = Log()
    log.hear(lorawan(POND, 5), 5)
    data = lorawan(POND, 3)
    at = [Frame("gw1", WallUs(T0 + second * S), data, RxInfo(snr_db=snr)) for second, snr in ((3, 1.0), (900, 9.0))]
    copied = Copied(data, 0, {Reception("gw1", "s", number): frame for number, frame in enumerate(at)}, {})
    proposal = log.judge.judge(copied, lambda subject: log.states[subject])
    assert proposal is not None
    assert proposal.up is not None
    assert proposal.up.frame == at[0]


def test_late_packet_of_lowcostloragw_with_aes() -> None:
    log = Log()
    packets = [seal_lowcost(keys(7), 7, fcnt, b"\\!TC/5", seq=fcnt) for fcnt in range(3)]
    assert log.hear(packets[0], 0)
    assert log.hear(packets[2], 2)
    assert log.hear(packets[1], 1)
    assert log.hear(packets[1], 1) is None


def test_copy_is_no_replay_and_what_a_gateway_offers_again_is_neither() -> None:
    log = Log()
    data = lorawan(POND, 7)
    log.hear(data, 0)
    frame = Frame("gw2", WallUs(T0 + S), data, RxInfo())
    copied = Copied(data, 0, {Reception("gw2", "s", 9): frame}, {})
    assert log.judge.judge(copied, lambda subject: log.states[subject]) is None
    assert isinstance(copied.outcome, Copy)
    assert log.hear(data, 0) is None
    assert isinstance(log.heard.outcome, Refusal)
    assert log.hear(data, 0, again=True) is None
    assert log.heard.outcome is None


def test_frame_without_mic_is_known_by_what_it_says_and_when() -> None:
    log = Log()
    packet = bytes((1, 0x10, 6, 9)) + b"\\!TC/20"
    assert log.hear(packet, 0)
    assert log.hear(packet, 10) is None
    assert log.hear(packet, 3600)  # it says the same once more
    assert log.hear(packet, 3) is None  # another gateway's copy of the first, an hour late


def test_memory_of_frames_without_mic_is_bounded_and_doubts_what_is_older() -> None:
    recent = b""
    for at in range(MAX_RECENT + 40):
        recent = with_frame(recent, at << 40 | at, WallUs(T0 + at * 60 * S))
    assert len(recent) == 8 * MAX_RECENT
    assert is_recent(recent, 41, WallUs(T0 + 41 * 60 * S), 20 * S)
    assert not is_recent(recent, 999, WallUs(T0 + 41 * 60 * S), 20 * S)
    live = WallUs(T0 + (MAX_RECENT + 41) * 60 * S)
    assert not is_recent(recent, 999, live, 86_400 * S)  # also where the memory does not reach so far back
    for gone_s in (39 * 60, 40 * 60 + 19):  # a copy of the last one that went, by another clock
        assert is_recent(recent, 39, WallUs(T0 + gone_s * S), 20 * S)
    assert is_recent(recent, 999, WallUs(T0), 20 * S)


def test_unknown_and_damaged_frames_are_refused() -> None:
    log = Log()
    for phy_payload in (lorawan(replace(POND, address=dev_addr(9)), 1), lorawan(POND, 1)[:-1] + b"x", b"\x40"):
        assert log.hear(phy_payload, 0) is None
        assert isinstance(log.heard.outcome, Refusal)


class Together(Decoding):
    """Decoders that say what they were told of, and what they were asked for."""

    def __init__(self, devices: list[Device]) -> None:
        super().__init__(devices, load_folder(shipped_folder()).decoders)
        self.expected: list[tuple[str, int]] = []
        self.decoded: list[tuple[str, int]] = []

    def expect(self, uplinks: Sequence[Uplink]) -> None:
        self.expected += [(each.device.id, each.fcnt) for each in uplinks]
        super().expect(uplinks)

    def __call__(self, uplink: Uplink) -> Report:
        self.decoded.append((uplink.device.id, uplink.fcnt))
        return self.decode(uplink)


def test_frames_that_wait_together_are_told_to_the_decoders_before() -> None:
    """What is refused, or is no uplink, is left out; nothing is remembered of them."""
    restarting = replace(POND, id="restarting", address=dev_addr(9), keys=keys(9), fcnt=FCntPolicy.RESTARTS)
    decoding = Together([POND, restarting])
    judge = Judge([POND, restarting], decoding)
    uplinks = [lorawan(POND, 5), lorawan(restarting, 7), lorawan(POND, 6)]
    others = [lorawan(POND, 6)[:-1] + b"\0", b"\x40", b"", bytes(23), lorawan(WRAPS, 1)]
    frames = [
        Copied(each, 0, {Reception("gw1", "s", number): Frame("gw1", WallUs(T0), each, RxInfo())})
        for number, each in enumerate([*uplinks, *others])
    ]
    for _ in range(2):
        judge.expect(frames, lambda subject: State())
    assert decoding.expected == 2 * [("pond", 5), ("restarting", 7), ("pond", 6)]
    for frame in frames:
        judge.judge(frame, lambda subject: State())
    assert 2 * decoding.decoded == decoding.expected
