"""Devices that wait for an answer do not wait behind those that do not."""

from __future__ import annotations

from lora_post.lorawan.phy_payload import MType, build_data_frame
from lora_post.model import Frame, Heard, Link, Noise, NoiseReason, RxInfo
from lora_post.run.answered_first import answered_first
from lora_post.times import StampUs
from tests.support.build import NOON_US
from tests.support.seal import signed_join_request

NOISE = Noise(NoiseReason.DEFECT, 1, "")
JOIN = signed_join_request(0x70B3D57ED0000000, 2, 3) + bytes(4)


def frame(phy_payload: bytes, link: Link | None = None) -> Frame:
    return Frame("gw1", StampUs(NOON_US), phy_payload, RxInfo(), link)


def uplink(addr: int, fcnt: int, mtype: MType = MType.UNCONFIRMED_UP, flags: int = 0, fopts: bytes = b"") -> Frame:
    signed = build_data_frame(mtype=mtype, dev_addr=addr, fcnt=fcnt, flags=flags, fopts=fopts, fport=1, frm_payload=b"")
    return frame(signed + bytes(4))


def parts(*events: Heard, most: int = 100) -> list[list[Heard]]:
    return [list(part) for part in answered_first(events, most)]


def test_devices_that_want_an_answer_are_taken_before_the_others() -> None:
    quiet, confirmed = uplink(1, 1), uplink(2, 1, MType.CONFIRMED_UP)
    asking, alive, join = uplink(3, 1, fopts=b"\x02"), uplink(4, 1, flags=0x40), frame(JOIN)
    assert parts(quiet, confirmed, NOISE, asking, alive, join) == [[confirmed, asking, alive, join], [quiet, NOISE]]


def test_frames_of_one_device_stay_in_their_order() -> None:
    before, confirmed, after = uplink(2, 1), uplink(2, 2, MType.CONFIRMED_UP), uplink(2, 3)
    assert parts(uplink(1, 1), before, uplink(1, 2), confirmed, after)[0] == [before, confirmed, after]


def test_without_such_a_device_all_are_taken_together_and_in_their_order() -> None:
    events = [uplink(1, 1), NOISE, frame(b""), frame(b"\x83" * 20), frame(bytes([0x40] * 3))]
    assert parts(*events) == [events]
    only = [uplink(1, 1, MType.CONFIRMED_UP), uplink(1, 2)]
    assert parts(*only) == [only]


def test_lowcost_headers_are_not_read_as_lorawan() -> None:
    events = [uplink(1, 1), frame(b"\x80" * 20, Link.LOWCOST)]
    assert parts(*events) == [events]


def test_parts_have_a_bound() -> None:
    many = [uplink(1, fcnt) for fcnt in range(5)] + [uplink(2, fcnt, MType.CONFIRMED_UP) for fcnt in range(3)]
    assert [len(part) for part in parts(*many, most=2)] == [2, 1, 2, 2, 1]


def test_the_same_frame_twice_stays_twice() -> None:
    confirmed = uplink(2, 1, MType.CONFIRMED_UP)
    assert parts(uplink(1, 1), confirmed, confirmed)[0] == [confirmed, confirmed]
