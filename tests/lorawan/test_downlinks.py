from __future__ import annotations

import pytest

from lora_post.lorawan.downlinks import MAX_FOPTS, OVERHEAD, Content, seal_downlink
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
WAZIDEV = SessionKeys(*[bytes.fromhex("23158D3BBC31E6AF670D195B5AED5525")] * 2)
# brocaar/lorawan: phypayload_test.go; FOpts encrypted with the counter of downlinks without FPort, and with FPort
BRO = SessionKeys11(bytes(16), b"\2" * 16, b"\2" * 15 + b"\4", bytes(16))
BRO_2 = SessionKeys11(
    bytes(16),
    bytes.fromhex("01010101010101010101010101010100"),
    bytes.fromhex("01010101010101010101010101010200"),
    bytes(range(16, 0, -1)),
)
TIME = bytes.fromhex("0214010d34e06d531f")
NEW_CHANNELS = "0703184f84500704e85684500705b85e84500706886684500707586e8450"


@pytest.mark.parametrize(
    ("keys", "dev_addr", "fcnt", "content", "phy_payload"),
    [
        (
            LAB_4,
            0x01CAFE04,
            0,
            Content(TIME, 100, bytes.fromhex("008e01"), is_confirmed=True, acked_fcnt=0, adr=True),
            "a004feca01a900000214010d34e06d531f6436c079f603d300",
        ),
        (
            LAB_4,
            0x01CAFE04,
            1,
            Content(bytes.fromhex("0500d2ad840805060351ff0001"), adr=True),
            "6004feca018d01000500d2ad840805060351ff0001c5de5492",
        ),
        (
            LAB_4,
            0x01CAFE04,
            2,
            Content(fport=0, payload=bytes.fromhex(NEW_CHANNELS), adr=True),
            "6004feca018002000046a9fc417d703fb0ce8f8dccfc341a266ec0024c194bacb38b4b15b9b9ff7e8d7b2c",
        ),
        (LAB_4, 0x01CAFE04, 3, Content(), "6004feca01000300c3ecab8b"),
        (LAB_4, 0x01CAFE04, 4, Content(acked_fcnt=7), "6004feca012004000a55c592"),
        (LAB_4, 0x01CAFE04, 5, Content(b"", 100, b"\x00\x8e\x00", more=True), "6004feca01100500646b90f7f304cea4"),
        (LAB_4, 0x01CAFE04, 65536, Content(b"", 100, b"\x00\x8e\x01"), "6004feca0100000064c05181cb568405"),
        (WAZIDEV, 0x26011D87, 0, Content(b"", 100, b"\0\x87\xff\xaa\0"), "60871d012600000064e310bb80dd8c1a31e8"),
        (WAZIDEV, 0x26011D87, 1, Content(b"", 100, b"BUZZ"), "60871d01260001006466a409646e2f27a2"),
        (LAB_3, 0x02345678, 0, Content(b"\x0b\x01"), "60785634020200009f846a2fe745"),
        (
            LAB_3,
            0x02345678,
            0,
            Content(b"\x02\x14\x01", 2, b"\0\x87\xff\xaa\0", acked_fcnt=1),
            "60785634022300006fbcf0024e9b2ff53064cadc58",
        ),
        (LAB_3, 0x02345678, 1, Content(fport=0, payload=b"\x08\x05"), "6078563402000100005b27a9d627e5"),
        (BRO, 0x01020304, 0, Content(b"\x02\x07\x01"), "6004030201030000dfb4f1e24f1f9f"),
        (
            BRO_2,
            0x01020304,
            0,
            Content(b"\x02\x07\x01", 1, b"\1\2\3\4"),
            "600403020103000022ac0a01f0b468ddaa5ed13a",
        ),
    ],
)
def test_downlink_is_built_byte_for_byte(
    keys: AnySessionKeys, dev_addr: int, fcnt: int, content: Content, phy_payload: str
) -> None:
    sealed = seal_downlink(keys, dev_addr, fcnt, content)
    assert sealed.hex() == phy_payload
    assert len(sealed) == OVERHEAD + len(content.fopts + content.payload) - (content.fport is None)


def test_upper_half_of_the_counter_is_signed_and_not_sent() -> None:
    low, high = (seal_downlink(LAB_4, 0x01CAFE04, fcnt, Content()) for fcnt in (4, 65540))
    assert low[:-4] == high[:-4] and low[-4:] != high[-4:]


def test_acknowledged_counter_is_signed_in_1_1_only() -> None:
    for keys, differs in ((LAB_4, False), (LAB_3, True)):
        frames = {seal_downlink(keys, 5, 1, Content(acked_fcnt=acked)) for acked in (1, 2)}
        assert (len(frames) == 2) is differs


def test_more_commands_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="FOpts of 16 bytes"):
        seal_downlink(LAB_4, 5, 1, Content(bytes(MAX_FOPTS + 1)))
