"""The layout of PHYPayloads, the frame counter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import FrameError
from lora_post.lorawan.phy_payload import (
    MAX_PHY_PAYLOAD,
    MType,
    build_data_frame,
    describe,
    full_fcnt,
    message_type,
    parse_data_frame,
)
from tests.support.lorawan_vectors import VECTORS, Vector

DATA_TYPES = [MType.UNCONFIRMED_UP, MType.UNCONFIRMED_DOWN, MType.CONFIRMED_UP, MType.CONFIRMED_DOWN]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_known_frame_is_taken_apart(vector: Vector) -> None:
    frame = parse_data_frame(vector.phy)
    assert frame.mtype is vector.mtype
    assert frame.dev_addr == vector.dev_addr
    assert frame.fctrl == vector.fctrl
    assert frame.fcnt16 == vector.fcnt & 0xFFFF
    assert frame.fopts == vector.fopts
    assert frame.fport == vector.fport
    assert frame.frm_payload == vector.frm_payload
    assert frame.mic == vector.mic
    assert frame.signed == vector.phy[:-4]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_known_frame_is_built_again(vector: Vector) -> None:
    signed = build_data_frame(
        mtype=vector.mtype,
        dev_addr=vector.dev_addr,
        fcnt=vector.fcnt,
        fport=vector.fport,
        frm_payload=vector.frm_payload,
        fopts=vector.fopts,
        flags=vector.fctrl & 0xF0,
    )
    assert signed + vector.mic == vector.phy


def test_1_1_frame_with_encrypted_fopts_has_the_same_layout() -> None:
    frame = parse_data_frame(bytes.fromhex("40e277cc0121d0019e02765419b6db0d96ea"))
    assert (frame.dev_addr, frame.fcnt16, frame.fopts.hex(), frame.fport) == (0x01CC77E2, 464, "9e", 2)
    assert frame.frm_payload.hex() == "765419b6"


@given(
    mtype=st.sampled_from(DATA_TYPES),
    dev_addr=st.integers(0, 0xFFFF_FFFF),
    fcnt=st.integers(0, 0xFFFF),
    fport=st.none() | st.integers(0, 255),
    frm_payload=st.binary(max_size=220),
    fopts=st.binary(max_size=15),
    flags=st.integers(0, 15).map(lambda n: n << 4),
    mic=st.binary(min_size=4, max_size=4),
)
def test_parse_undoes_build(
    mtype: MType, dev_addr: int, fcnt: int, fport: int | None, frm_payload: bytes, fopts: bytes, flags: int, mic: bytes
) -> None:
    frm_payload = b"" if fport is None else frm_payload
    fopts = b"" if fport == 0 else fopts
    signed = build_data_frame(
        mtype=mtype,
        dev_addr=dev_addr,
        fcnt=fcnt,
        fport=fport,
        frm_payload=frm_payload,
        fopts=fopts,
        flags=flags,
    )
    frame = parse_data_frame(signed + mic)
    assert (frame.mtype, frame.dev_addr, frame.fcnt16, frame.fport) == (mtype, dev_addr, fcnt, fport)
    assert (frame.frm_payload, frame.fopts, frame.fctrl & 0xF0) == (frm_payload, fopts, flags)
    assert (frame.signed, frame.mic) == (signed, mic)


data_frames = st.builds(
    lambda mtype, rfu, rest: bytes([mtype << 5 | rfu << 2]) + rest,
    st.sampled_from(DATA_TYPES),
    st.sampled_from([0, 0, 0, 5]),
    st.binary(min_size=5, max_size=60),
)


@given(data_frames | st.binary(max_size=300))
def test_any_bytes_are_refused_or_build_back_to_themselves(phy: bytes) -> None:
    try:
        frame = parse_data_frame(phy)
    except FrameError:
        return
    assert frame.signed + frame.mic == phy
    built = build_data_frame(
        mtype=frame.mtype,
        dev_addr=frame.dev_addr,
        fcnt=frame.fcnt16,
        fport=frame.fport,
        frm_payload=frame.frm_payload,
        fopts=frame.fopts,
        flags=frame.fctrl & 0xF0,
    )
    assert built[1:] == frame.signed[1:]
    assert built[0] == frame.signed[0] & 0xE3, "the reserved bits of MHDR are ignored"


@pytest.mark.parametrize(
    ("phy", "text"),
    [
        ("", "a LoRaWAN data frame has at least 12 bytes, this one 0"),
        ("4000000000000000000000", "a LoRaWAN data frame has at least 12 bytes, this one 11"),
        ("40" + "00" * 255, "a LoRaWAN frame has at most 255 bytes, this one 256"),
        ("410000000000000000000000", "major version 1, want 0"),
        ("000000000000000000000000", "join-request, want a data frame"),
        ("e00000000000000000000000", "proprietary frame, want a data frame"),
        ("400000000001000000000000", "FOpts are longer than the frame: 1 of 12 bytes"),
        ("40000000000f0000000000000000000000", "15 of 17 bytes"),
        ("4000000000010000020002aabbccdd", "MAC commands in FOpts and in FPort 0"),
    ],
)
def test_malformed_frame_is_refused_with_the_reason(phy: str, text: str) -> None:
    with pytest.raises(FrameError) as caught:
        parse_data_frame(bytes.fromhex(phy))
    assert text in str(caught.value)


def test_longest_frame_is_accepted() -> None:
    frame = parse_data_frame(b"\x40" + bytes(7) + b"\x01" + bytes(MAX_PHY_PAYLOAD - 9))
    assert len(frame.frm_payload) == 242


@pytest.mark.parametrize(
    "changes",
    [
        {"mtype": MType.JOIN_REQUEST},
        {"fopts": bytes(16)},
        {"flags": 0x81},
        {"frm_payload": b"x"},
        {"fport": 0, "fopts": b"\x02"},
        {"fport": 1, "frm_payload": bytes(243)},
    ],
)
def test_what_the_layout_cannot_hold_is_not_built(changes: dict[str, object]) -> None:
    fields: dict[str, object] = {"mtype": MType.UNCONFIRMED_UP, "dev_addr": 1, "fcnt": 1}
    with pytest.raises(ValueError):
        build_data_frame(**(fields | changes))  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_full_fcnt_recovers_every_counter_less_than_65536_ahead(next_fcnt: int, ahead: int) -> None:
    assert full_fcnt(next_fcnt, (next_fcnt + ahead) & 0xFFFF) == next_fcnt + ahead


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_full_fcnt_never_goes_back_and_keeps_the_bits_on_air(next_fcnt: int, fcnt16: int) -> None:
    fcnt = full_fcnt(next_fcnt, fcnt16)
    assert next_fcnt <= fcnt < next_fcnt + 65536
    assert fcnt & 0xFFFF == fcnt16


@pytest.mark.parametrize(
    ("mhdr", "mtype"),
    [
        (0x00, MType.JOIN_REQUEST),
        (0x20, MType.JOIN_ACCEPT),
        (0x40, MType.UNCONFIRMED_UP),
        (0x60, MType.UNCONFIRMED_DOWN),
        (0x80, MType.CONFIRMED_UP),
        (0xA0, MType.CONFIRMED_DOWN),
        (0xC0, MType.REJOIN_REQUEST),
        (0xE0, MType.PROPRIETARY),
        (0x5C, MType.UNCONFIRMED_UP),
    ],
)
def test_message_type_is_in_the_upper_bits_of_mhdr(mhdr: int, mtype: MType) -> None:
    assert message_type(bytes((mhdr,))) is mtype


@pytest.mark.parametrize("phy", [b"", b"\x01", b"\x42", b"\xff"])
def test_other_major_versions_and_nothing_are_no_lorawan(phy: bytes) -> None:
    with pytest.raises(FrameError):
        message_type(phy)


@pytest.mark.parametrize(
    ("phy", "text"),
    [
        (
            "007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a",
            "join-request from DevEUI 008b1a90c8d4a8b2, JoinEUI 70b3d57ed0019a7c, DevNonce a017",
        ),
        ("0000", "join-request of 2 bytes"),
        ("20b830e77c6491c12c8992fe502f005af1", "join-accept of 17 bytes"),
        ("60241f042602f5000801017e78e8b406f9d994cea1908b7fc0", "unconfirmed downlink to DevAddr 26041f24, FCnt 245"),
        ("80035cab018407000206c80a0a95dd9f5d156334a55c1c4ad733", "confirmed uplink from DevAddr 01ab5c03, FCnt 7"),
        ("a0241f04", "confirmed downlink of 4 bytes"),
        ("c00001000001ffeeddccbbaa020500e269d6c6", "rejoin-request type 0 from DevEUI 02aabbccddeeff01"),
        (
            "c00101000000dec0edfe01ffeeddccbbaa020100cd983d82",
            "rejoin-request type 1 from DevEUI 02aabbccddeeff01, JoinEUI feedc0de00000001",
        ),
        ("c00201000001ffeeddccbbaa020600f3da6254", "rejoin-request type 2 from DevEUI 02aabbccddeeff01"),
        ("c00301000001ffeeddccbbaa020600f3da6254", "rejoin-request of 19 bytes"),
        ("e050494e47", "proprietary frame of 5 bytes"),
    ],
)
def test_message_is_described_as_far_as_it_can_be_read(phy: str, text: str) -> None:
    assert describe(bytes.fromhex(phy)) == text


@given(st.binary(max_size=40))
def test_describing_any_bytes_gives_text_or_frame_error(phy: bytes) -> None:
    try:
        text = describe(phy)
    except FrameError:
        return
    assert text.isprintable()
