"""A thousand devices at one DevAddr: the true one is found soon, and what fits none stays cheap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import BadMIC, StaleFCnt
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import Device, FCntPolicy, Frame, Link, RxInfo
from lora_post.uplink import unlock as unlock_module
from lora_post.uplink.model import Session, Uplink
from lora_post.uplink.sessions import SessionBook, session_key
from lora_post.uplink.shared_address import ALWAYS, CLOSE, FEW, NEIGHBOURS, TRIES_PER_SECOND, SharedAddress
from lora_post.uplink.unlock import seal_lorawan, unlock
from tests.support.build import KEYS, NOON_US, device

DEV_ADDR = 0x26011D87
MANY = 1_000


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Group:
    """Devices that share a DevAddr, and how many tries their frames have cost."""

    def __init__(self, next_fcnts: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.tries = Clock(), 0
        sessions = [Session(one(number), next_fcnt) for number, next_fcnt in enumerate(next_fcnts)]
        self.sessions = SharedAddress(sessions, self.clock)
        fits = unlock_module._fits

        def counted(*arguments: object) -> bool:
            self.tries += 1
            return fits(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(unlock_module, "_fits", counted)

    def send(self, keys: SessionKeys, fcnt: int) -> Uplink:
        uplink, session = unlock(frame(seal_lorawan(keys, DEV_ADDR, fcnt, 1, b"\x01")), lambda *_: self.sessions)
        self.sessions.put(session)
        return uplink


def one(number: int, **changes: object) -> Device:
    digest = sha256(number.to_bytes(4, "big")).digest()
    return device(f"d{number}", address=DEV_ADDR, keys=SessionKeys(digest[:16], digest[16:]), **changes)


def keys_of(number: int) -> SessionKeys:
    keys = one(number).keys
    assert isinstance(keys, SessionKeys)
    return keys


def frame(phy_payload: bytes) -> Frame:
    return Frame("gw1", NOON_US, phy_payload, RxInfo(), None)


@given(st.lists(st.integers(0, 1 << 20), min_size=1, max_size=40), st.integers(0, 0xFFFF), st.data())
def test_all_are_tried_once_the_closest_first(next_fcnts: list[int], fcnt16: int, data: st.DataObject) -> None:
    sessions = SharedAddress(Session(one(number), next_fcnt) for number, next_fcnt in enumerate(next_fcnts))
    for number in data.draw(st.lists(st.integers(0, len(next_fcnts) - 1), max_size=10)):
        sessions.put(Session(sessions[number].device, data.draw(st.integers(0, 1 << 20))))
    order = list(sessions.closest(fcnt16))
    assert Counter(map(id, order)) == Counter(map(id, sessions))
    gaps = [min(CLOSE, (fcnt16 - session.next_fcnt) & 0xFFFF) for session in order]
    close = [gap for gap in gaps if gap < CLOSE]
    assert gaps == close + [CLOSE] * (len(gaps) - len(close))


def test_of_those_that_expect_one_counter_the_one_heard_longest_ago_is_tried_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = Group([1] * MANY, monkeypatch)
    for number in range(MANY):  # each was heard once, one after the other
        if number % 10 != 7:  # and again, but for some
            group.send(keys_of(number), 1)
    assert group.tries < 1.2 * MANY
    group.tries = 0
    for number in range(MANY):  # those, too
        group.send(keys_of(number), 2)
    assert group.tries < 4 * MANY


@pytest.mark.parametrize("gap", [0, 1, CLOSE - 1])
def test_true_frame_is_found_in_few_tries_after_any_number_of_forged_ones(
    gap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(range(0, MANY * 7, 7), monkeypatch)
    for fcnt in range(200):
        with pytest.raises(BadMIC):
            group.send(KEYS, fcnt)
    before = group.tries
    assert group.send(keys_of(500), 3_500 + gap).device.id == "d500"
    assert group.tries - before <= CLOSE // 7 + 1
    assert group.send(keys_of(500), 3_501 + gap).device.id == "d500"


def test_forged_frames_share_so_many_tries_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(range(MANY), monkeypatch)
    with pytest.raises(BadMIC, match="was not tried"):
        group.send(KEYS, 40_000)
    assert group.tries == TRIES_PER_SECOND
    with pytest.raises(BadMIC, match=r"fits none of the 64 likeliest .* the rest was not tried"):
        group.send(KEYS, 40_000)
    assert group.tries == TRIES_PER_SECOND + ALWAYS
    group.clock.now += 0.25
    with pytest.raises(BadMIC, match="was not tried"):
        group.send(KEYS, 40_000)
    assert group.tries == TRIES_PER_SECOND + ALWAYS + TRIES_PER_SECOND // 4


def test_replayed_frame_is_paid_for_like_a_forged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group([40_000] * 100, monkeypatch)
    with pytest.raises(StaleFCnt):
        group.send(keys_of(99), 39_000)
    cost = group.tries
    assert cost > 100
    assert group.sessions.tries() == TRIES_PER_SECOND - cost


def test_copy_of_a_second_gateway_is_found_in_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group([0] * MANY, monkeypatch)
    sent = [(number, number % 3) for number in range(MANY - 50, MANY)]
    for number, fcnt in sent:
        group.send(keys_of(number), fcnt)
        before = group.tries
        with pytest.raises(StaleFCnt):
            group.send(keys_of(number), fcnt)
        assert group.tries - before <= NEIGHBOURS + 1
    assert group.sessions.tries() >= TRIES_PER_SECOND - len(sent) * (NEIGHBOURS + 1)


def test_true_frames_are_not_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group([0] * MANY, monkeypatch)
    for number in range(MANY - 100, MANY):
        group.send(keys_of(number), 40_000)
    assert group.tries > TRIES_PER_SECOND
    assert group.sessions.tries() == TRIES_PER_SECOND


@given(st.lists(st.tuples(st.integers(0, FEW * 2), st.integers(1, 3 << 16)), max_size=30), st.integers(1, FEW * 2 + 1))
def test_each_frame_is_of_the_device_that_sent_it(sent: list[tuple[int, int]], count: int) -> None:
    """Whether few or many devices have the address, nobody sees a difference."""
    devices = [
        one(number, fcnt=FCntPolicy.UNCHECKED if number % 3 == 0 else FCntPolicy.STRICT) for number in range(count)
    ]
    book, next_fcnts = SessionBook(devices), [0] * count
    for number, step in sent:
        number %= count
        fcnt = next_fcnts[number] + step - 1
        uplink, session = unlock(frame(seal_lorawan(keys_of(number), DEV_ADDR, fcnt, 1, b"\x01")), book.find)
        book.advance(session)
        assert (uplink.device.id, uplink.fcnt) == (f"d{number}", fcnt)
        next_fcnts[number] = fcnt + 1
    assert {s.device.id: s.next_fcnt for s in book.find(Link.LORAWAN, DEV_ADDR)} == {
        f"d{number}": next_fcnt for number, next_fcnt in enumerate(next_fcnts)
    }
    assert isinstance(book.find(Link.LORAWAN, DEV_ADDR), SharedAddress) is (count > FEW)
    book.load({session_key(devices[0]): 5}, {})
    assert book.find(Link.LORAWAN, DEV_ADDR)[0].next_fcnt == 5
