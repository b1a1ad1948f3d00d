from __future__ import annotations

import pytest

from lora_post.lorawan.downlinks import MAX_FOPTS, seal_answer
from lora_post.lorawan.session_keys import AnySessionKeys, SessionKeys, SessionKeys11

LAB_4 = SessionKeys(
    bytes.fromhex("f90302d157949f6cd3975084f6ff6eed"), bytes.fromhex("0527e9917869d37abafabb65fa2c1345")
)
LAB_3 = SessionKeys11(
    *map(
        bytes.fromhex,
        (
            "4436c7179753210af580522fe34c0a78",
            "199b81393a74813153260761277831a8",
            "1ac3e909a3c126a605ce57c5fd92958b",
            "208deb3597ae123e7ca25b6b9d217c3a",
        ),
    )
)
# brocaar/lorawan: phypayload_test.go, FOpts encrypted with the counter of downlinks without FPort
BRO = SessionKeys11(bytes(16), b"\2" * 16, b"\2" * 15 + b"\4", bytes(16))


@pytest.mark.parametrize(
    ("keys", "dev_addr", "fcnt", "fopts", "acked", "phy_payload"),
    [
        (LAB_4, 0x01CAFE04, 3, "", None, "6004feca01000300c3ecab8b"),
        (LAB_4, 0x01CAFE04, 4, "", 7, "6004feca012004000a55c592"),
        (LAB_3, 0x02345678, 0, "0b01", None, "60785634020200009f846a2fe745"),
        (BRO, 0x01020304, 0, "020701", None, "6004030201030000dfb4f1e24f1f9f"),
    ],
)
def test_answer_is_built_byte_for_byte(
    keys: AnySessionKeys, dev_addr: int, fcnt: int, fopts: str, acked: int | None, phy_payload: str
) -> None:
    assert seal_answer(keys, dev_addr, fcnt, bytes.fromhex(fopts), acked).hex() == phy_payload


def test_upper_half_of_the_counter_is_signed_and_not_sent() -> None:
    low, high = (seal_answer(LAB_4, 0x01CAFE04, fcnt, b"", None) for fcnt in (4, 65540))
    assert low[:-4] == high[:-4] and low[-4:] != high[-4:]


def test_acknowledged_counter_is_signed_in_1_1_only() -> None:
    for keys, differs in ((LAB_4, False), (LAB_3, True)):
        frames = {seal_answer(keys, 5, 1, b"", acked) for acked in (1, 2)}
        assert (len(frames) == 2) is differs


def test_more_commands_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="FOpts of 16 bytes"):
        seal_answer(LAB_4, 5, 1, bytes(MAX_FOPTS + 1), None)
