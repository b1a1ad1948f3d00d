"""LoRaWAN 1.1 uplinks. The first vector is of anthonykirby/lora-packet (MIC tests), the others are built."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.errors import BadMIC, FrameError, StaleFCnt, UnlockError
from lora_post.lorawan.session_keys import SessionKeys11
from lora_post.model import Device, Frame, RxInfo
from lora_post.uplink.mic_11 import channels, data_rates
from lora_post.uplink.model import Session, Uplink
from lora_post.uplink.unlock import unlock
from tests.support.build import device
from tests.support.seal import KEYS_11, seal_11

LAB_2 = device("lab-2", address=0x01CC77E2, keys=KEYS_11)
PUBLISHED = device(
    address=0xE0106373,
    keys=SessionKeys11(
        bytes.fromhex("e163635133105cc690cb2d57ba9c31b9"),
        bytes.fromhex("05ec7c795b2f0b5bcdfa710db52b9d8f"),
        bytes(16),  # this one and the next were not published, so what it encrypts is not known
        bytes(16),
    ),
)
ACKNOWLEDGING = bytes.fromhex("40e277cc0121d0019e02765419b6db0d96ea")


def accept(phy: bytes, of: Device = LAB_2, next_fcnt: int = 0, rx: RxInfo | None = None) -> tuple[Uplink, Session]:
    frame = Frame("gw1", 0, phy, rx or RxInfo())
    return unlock(frame, lambda link, address: [Session(of, next_fcnt)] if address == of.address else [])


@pytest.mark.parametrize(
    ("phy", "of", "next_fcnt", "rx", "fport", "clear"),
    [
        ("40736310e080000000c86c36165131", PUBLISHED, 0, RxInfo(), 0, "45c6"),
        ("40e277cc010003000288e7011dcff7008f114d68c4", LAB_2, 0, RxInfo(sf=7, bw_khz=125.0), 2, "03670110056700ff"),
        ("40e277cc0100d1010098b6e9716c9d7e", LAB_2, 66001, RxInfo(sf=9, bw_khz=125.0), 0, "06ff05"),
    ],
    ids=["published", "application payload", "MAC commands under NwkSEncKey"],
)
def test_known_uplink_is_opened(phy: str, of: Device, next_fcnt: int, rx: RxInfo, fport: int, clear: str) -> None:
    uplink, _ = accept(bytes.fromhex(phy), of, next_fcnt, rx)
    assert (uplink.fport, uplink.payload.hex(), uplink.authentic) == (fport, clear, True)


def test_acknowledging_uplink_is_accepted_on_half_its_mic_only_where_that_is_configured() -> None:
    with pytest.raises(BadMIC, match="accept_half_mic = true"):
        accept(ACKNOWLEDGING, next_fcnt=66000)
    uplink, session = accept(ACKNOWLEDGING, replace(LAB_2, accept_half_mic=True), 66000)
    assert (uplink.payload.hex(), session.next_fcnt) == ("0367010c", 66001)
    assert KEYS_11.serving_mic(0x01CC77E2, 66000, ACKNOWLEDGING[:-4], 0, 7, 17) == ACKNOWLEDGING[-4:-2]
    assert KEYS_11.crypt_fopts(0x01CC77E2, 66000, ACKNOWLEDGING[8:9]) == b"\x02"


@pytest.mark.parametrize(("sent", "is_known"), [(17, False), (18, True), (25, True), (26, False), (0x10012, True)])
def test_acknowledgement_of_one_of_the_last_downlinks_is_known(sent: int, is_known: bool) -> None:
    frame = Frame("gw1", 0, ACKNOWLEDGING, RxInfo())
    session = Session(LAB_2, 66000)
    if is_known:
        uplink, _ = unlock(frame, lambda link, address: [session], next_down=lambda device: sent)
        assert uplink.payload.hex() == "0367010c"
        return
    with pytest.raises(BadMIC, match="not sent from here"):
        unlock(frame, lambda link, address: [session], next_down=lambda device: sent)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 1, 2, 223]),
    st.binary(max_size=40),
    st.binary(max_size=15),
    st.integers(7, 12),
    st.integers(0, 15),
)
def test_what_a_device_seals_is_opened(
    fcnt: int, fport: int | None, payload: bytes, fopts: bytes, sf: int, tx_ch: int
) -> None:
    payload = payload if fport else b""
    phy = seal_11(KEYS_11, 0x01CC77E2, fcnt, fport, payload, fopts=fopts, tx_dr=12 - sf, tx_ch=tx_ch)
    uplink, session = accept(phy, next_fcnt=fcnt, rx=RxInfo(sf=sf, bw_khz=125.0, freq_mhz=868.1))
    assert (uplink.fcnt, uplink.fport, uplink.payload, session.next_fcnt) == (fcnt, fport, payload, fcnt + 1)


@given(st.integers(0, 70_000), st.binary(max_size=20), st.data())
def test_any_flipped_bit_is_refused(fcnt: int, payload: bytes, data: st.DataObject) -> None:
    phy = bytearray(seal_11(KEYS_11, 0x01CC77E2, fcnt, 2, payload))
    bit = data.draw(st.integers(0, len(phy) * 8 - 1))
    phy[bit // 8] ^= 1 << bit % 8
    with pytest.raises((UnlockError, FrameError)):
        accept(bytes(phy), rx=RxInfo(sf=7, bw_khz=125.0, freq_mhz=868.1))


def test_other_data_rate_than_it_was_heard_with_is_refused() -> None:
    phy = seal_11(KEYS_11, 0x01CC77E2, 3, 2, b"x", tx_dr=5)
    accept(phy, rx=RxInfo(sf=7, bw_khz=125.0))
    with pytest.raises(BadMIC):
        accept(phy, rx=RxInfo(sf=12, bw_khz=125.0))


def test_repeat_is_refused() -> None:
    with pytest.raises(StaleFCnt):
        accept(seal_11(KEYS_11, 0x01CC77E2, 3, 2, b"x"), next_fcnt=4)


class CountingKeys(SessionKeys11):
    """Keys that count the CMACs of the half that is searched."""

    searched = 0

    def serving_mic(self, *arguments: object) -> bytes:
        self.searched += 1
        return super().serving_mic(*arguments)  # type: ignore[arg-type]


def test_stranger_s_frame_costs_no_search() -> None:
    keys = CountingKeys(*KEYS_11.secrets)
    other = SessionKeys11(*(bytes([n]) * 16 for n in range(4)))
    with pytest.raises(BadMIC):
        accept(seal_11(other, 0x01CC77E2, 3, 2, b"y"), replace(LAB_2, keys=keys))
    assert keys.searched == 0
    accept(seal_11(KEYS_11, 0x01CC77E2, 3, 2, b"x", tx_dr=7, tx_ch=95), replace(LAB_2, keys=keys))
    assert keys.searched == 8 * 96


@pytest.mark.parametrize(
    ("rx", "rates", "count"),
    [
        (RxInfo(sf=12, bw_khz=125.0, freq_mhz=868.1), (0,), 16),
        (RxInfo(sf=10, bw_khz=125.0, freq_mhz=903.9), (2, 0), 72),
        (RxInfo(sf=7, bw_khz=250.0, freq_mhz=868.3), (6,), 16),
        (RxInfo(sf=8, bw_khz=500.0, freq_mhz=915.9), (4, 6), 72),
        (RxInfo(sf=5, bw_khz=125.0, freq_mhz=470.3), (13,), 96),
        (RxInfo(sf=9, bw_khz=812.0, freq_mhz=2403.0), tuple(range(8)), 16),
        (RxInfo(), tuple(range(8)), 96),
    ],
)
def test_only_what_can_have_been_is_tried(rx: RxInfo, rates: tuple[int, ...], count: int) -> None:
    assert tuple(data_rates(rx)) == rates
    assert len(channels(rx)) == count


def test_keys_are_not_shown_and_are_equal_by_value() -> None:
    assert SessionKeys11(*KEYS_11.secrets) == KEYS_11 and hash(SessionKeys11(*KEYS_11.secrets)) == hash(KEYS_11)
    assert SessionKeys11(*reversed(KEYS_11.secrets)) != KEYS_11 and KEYS_11 != "keys"
    assert not any(key.hex() in repr(KEYS_11) for key in KEYS_11.secrets)
    with pytest.raises(ValueError, match="15 bytes"):
        SessionKeys11(bytes(16), bytes(15), bytes(16), bytes(16))
