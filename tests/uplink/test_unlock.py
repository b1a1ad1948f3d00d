"""From frames to uplinks: who sent it, is it true, is it new."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lora_post.errors import (
    BadAppKey,
    BadMIC,
    FrameError,
    ImagePacket,
    NoKey,
    NotEncrypted,
    NotUplink,
    StaleFCnt,
    UnknownDevice,
    UnlockError,
)
from lora_post.lorawan.phy_payload import MAX_FCNT, MType
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.lowcost.header import Header, build_header
from lora_post.model import Device, Frame, Link, RxInfo
from lora_post.uplink.model import FindSessions, Session, Uplink
from lora_post.uplink.unlock import link_of, seal_lorawan, seal_lowcost, unlock
from tests.support.build import KEYS, device, lowcost_device
from tests.support.lorawan_vectors import LAB_1, VECTORS, WAZIUP, Vector

DEV_ADDR = 0x26011BDA
OTHER_KEYS = SessionKeys(bytes(range(100, 116)), bytes(range(200, 216)))
POND = device("pond", address=DEV_ADDR, keys=KEYS)
TWIN = device("twin", address=DEV_ADDR, keys=OTHER_KEYS)
APP_KEY, OTHER_APP_KEY = bytes.fromhex("05060708"), bytes.fromhex("01020304")


class Sessions:
    """Sessions in a dict, as the ledger keeps them in the store."""

    def __init__(self, *sessions: Session) -> None:
        self._sessions = {session.device.id: session for session in sessions}

    def find(self, link: Link, address: int) -> Sequence[Session]:
        return [s for s in self._sessions.values() if (s.device.link, s.device.address) == (link, address)]

    def accept(self, phy_payload: bytes, link: Link | None = None) -> Uplink:
        uplink, session = unlock(frame(phy_payload, link), self.find)
        assert session.device is uplink.device
        self._sessions[session.device.id] = session
        return uplink

    def next_fcnt(self, device_id: str) -> int:
        return self._sessions[device_id].next_fcnt


def frame(phy_payload: bytes, link: Link | None = None) -> Frame:
    return Frame("gw1", 0, phy_payload, RxInfo(), link)


def pond_frame(fcnt: int, payload: bytes = b"\x03\x67\x01\x10", keys: SessionKeys = KEYS) -> bytes:
    return seal_lorawan(keys, DEV_ADDR, fcnt, 2, payload)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def refuse(error: type[UnlockError | FrameError], phy_payload: bytes, *sessions: Session) -> str:
    """Assert that a frame is refused with this error; gives its text."""
    with pytest.raises(error) as caught:
        Sessions(*sessions).accept(phy_payload)
    return str(caught.value)


# LoRaWAN


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.uplink], ids=lambda v: v.name)
def test_known_uplink_is_opened(vector: Vector) -> None:
    of = device(address=vector.dev_addr, keys=vector.keys)
    uplink, session = unlock(frame(vector.phy), Sessions(Session(of, vector.fcnt)).find)
    assert (uplink.device, uplink.fcnt, uplink.fport) == (of, vector.fcnt, vector.fport)
    assert uplink.payload == vector.clear
    assert uplink.authentic
    assert session == Session(of, vector.fcnt + 1)


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.uplink], ids=lambda v: v.name)
def test_known_downlink_is_no_uplink(vector: Vector) -> None:
    of = device(address=vector.dev_addr, keys=vector.keys)
    assert f"downlink to DevAddr {vector.dev_addr:08x}" in refuse(NotUplink, vector.phy, Session(of))


@pytest.mark.parametrize(
    ("phy", "text"),
    [
        ("007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a", "join-request from DevEUI 008b1a90c8d4a8b2"),
        ("20b830e77c6491c12c8992fe502f005af1", "join-accept"),
        ("2051f5d85ee375533695ecb3bc0363768b0fa3418aad1f5fee7f10869b28063c90", "join-accept"),
        ("c00001000001ffeeddccbbaa020500e269d6c6", "rejoin-request type 0"),
        ("e050494e47", "proprietary"),
    ],
)
def test_other_messages_are_named_and_not_opened(phy: str, text: str) -> None:
    assert text in refuse(NotUplink, bytes.fromhex(phy))


def test_stranger_is_refused_with_what_to_add() -> None:
    text = refuse(UnknownDevice, pond_frame(0))
    assert 'dev_addr = "26011bda"' in text and "[[device]]" in text


def test_device_without_keys_is_refused_with_what_to_add() -> None:
    assert "nwk_skey" in refuse(NoKey, pond_frame(0), Session(device(address=DEV_ADDR, keys=None)))


def test_frames_in_order_advance_the_session() -> None:
    sessions = Sessions(Session(POND))
    for fcnt in (0, 1, 2, 7, 40000, 65535, 65536, 65578, 131071, 131072):
        assert sessions.accept(pond_frame(fcnt)).fcnt == fcnt
        assert sessions.next_fcnt("pond") == fcnt + 1


def test_vectors_are_accepted_over_the_roll_over() -> None:
    sessions = Sessions(Session(device("lab-1", address=0x01AB5C03, keys=LAB_1)))
    lab_1 = sorted((v for v in VECTORS if v.keys is LAB_1), key=lambda v: v.fcnt)
    assert [sessions.accept(v.phy).fcnt for v in lab_1] == [0, 7, 8, 9, 10, 65535, 65536, 65578, 70000]


@given(
    st.integers(0, 2**32 - 1).flatmap(
        lambda next_fcnt: st.tuples(st.just(next_fcnt), st.integers(next_fcnt, min(next_fcnt + 1_000_000, MAX_FCNT)))
    )
)
def test_a_million_missed_frames_do_not_lose_a_device(counters: tuple[int, int]) -> None:
    next_fcnt, fcnt = counters
    sessions = Sessions(Session(POND, next_fcnt))
    assert sessions.accept(pond_frame(fcnt)).fcnt == fcnt
    assert sessions.next_fcnt("pond") == fcnt + 1


def test_old_device_is_accepted_by_a_new_gateway() -> None:
    assert Sessions(Session(POND)).accept(pond_frame(17 * 65536 - 1)).fcnt == 17 * 65536 - 1


def test_the_search_for_a_counter_ends() -> None:
    refuse(BadMIC, pond_frame(17 * 65536), Session(POND))
    refuse(BadMIC, pond_frame(20 * 65536), Session(POND, 40 * 65536))


@given(next_fcnt=st.integers(1, 2**32), back=st.integers(1, 1_000_000))
def test_what_was_accepted_is_never_accepted_again(next_fcnt: int, back: int) -> None:
    fcnt = max(next_fcnt - back, 0)
    text = refuse(StaleFCnt, pond_frame(fcnt), Session(POND, next_fcnt))
    assert f"FCnt {fcnt} " in text
    if fcnt == next_fcnt - 1:
        assert "a repeat" in text
    else:
        assert f"after {next_fcnt - 1}" in text and "replay" in text


def test_restarted_device_is_recognised_however_far_it_had_counted() -> None:
    assert "the device was restarted" in refuse(StaleFCnt, pond_frame(3), Session(POND, 50_000_000))


def test_copy_of_another_gateway_is_a_repeat() -> None:
    sessions = Sessions(Session(POND))
    sessions.accept(pond_frame(65536))
    with pytest.raises(StaleFCnt, match="FCnt 65536 again"):
        sessions.accept(pond_frame(65536))


def test_replay_of_an_old_recording_is_refused_after_later_frames() -> None:
    sessions = Sessions(Session(POND))
    recorded = pond_frame(5)
    for fcnt in (5, 6, 70000):
        sessions.accept(pond_frame(fcnt))
    with pytest.raises(StaleFCnt, match="FCnt 5 after 70000"):
        sessions.accept(recorded)
    assert sessions.next_fcnt("pond") == 70001


def test_last_counter_of_all_is_accepted_once() -> None:
    sessions = Sessions(Session(POND, MAX_FCNT))
    assert sessions.accept(pond_frame(MAX_FCNT)).fcnt == MAX_FCNT
    with pytest.raises(StaleFCnt, match="again"):
        sessions.accept(pond_frame(MAX_FCNT))
    with pytest.raises(StaleFCnt, match="FCnt 0 after"):
        sessions.accept(pond_frame(0))


@given(st.integers(0, 70_000), st.binary(max_size=30), st.data())
def test_any_flipped_bit_is_refused(fcnt: int, payload: bytes, data: st.DataObject) -> None:
    phy = pond_frame(fcnt, payload)
    bit = data.draw(st.integers(0, len(phy) * 8 - 1))
    with pytest.raises((UnlockError, FrameError)):
        Sessions(Session(POND)).accept(flipped(phy, bit))


def test_forged_frame_changes_no_session() -> None:
    sessions = Sessions(Session(POND, 5))
    with pytest.raises(BadMIC, match=r"26011bda.*pond"):
        sessions.accept(flipped(pond_frame(6), 100))
    assert sessions.next_fcnt("pond") == 5


def test_mic_decides_between_devices_with_one_dev_addr() -> None:
    sessions = Sessions(Session(POND), Session(TWIN))
    assert sessions.accept(pond_frame(3, b"pond")).device is POND
    assert sessions.accept(pond_frame(3, b"twin", OTHER_KEYS)).device is TWIN
    assert (sessions.next_fcnt("pond"), sessions.next_fcnt("twin")) == (4, 4)
    with pytest.raises(BadMIC, match="2 devices"):
        sessions.accept(pond_frame(4, keys=WAZIUP))


@pytest.mark.parametrize("fcnt", [6, 65542, 1_000_006])
def test_old_counter_of_one_device_does_not_hide_a_new_frame_of_its_twin(fcnt: int) -> None:
    sessions = Sessions(Session(POND, 7), Session(TWIN))
    assert sessions.accept(pond_frame(fcnt, keys=OTHER_KEYS)).device is TWIN


def test_twin_without_keys_is_passed_over() -> None:
    sessions = Sessions(Session(device("bare", address=DEV_ADDR, keys=None)), Session(POND))
    assert sessions.accept(pond_frame(1)).device is POND


class CountingKeys(SessionKeys):
    """Session keys that count their CMACs."""

    macs = 0

    def data_mic(self, dev_addr: int, fcnt: int, direction: int, message: bytes) -> bytes:
        self.macs += 1
        return super().data_mic(dev_addr, fcnt, direction, message)


@pytest.mark.parametrize(
    ("fcnt", "most"),
    [(7, 1), (65542, 1), (6, 2), (7 + 16 * 65536, 17), (5, 18), (None, 34)],
    ids=["next", "roll-over", "repeat", "long gap", "replay", "forged"],
)
def test_a_frame_costs_few_macs_and_an_expected_one_costs_one(fcnt: int | None, most: int) -> None:
    keys = CountingKeys(KEYS.nwk_skey, KEYS.app_skey)
    phy = pond_frame(7, keys=OTHER_KEYS) if fcnt is None else pond_frame(fcnt)
    with contextlib.suppress(UnlockError):
        Sessions(Session(device(address=DEV_ADDR, keys=keys), 7)).accept(phy)
    assert 0 < keys.macs <= most


def test_confirmed_uplink_with_fopts_is_opened() -> None:
    phy = seal_lorawan(KEYS, DEV_ADDR, 9, 10, b"payload", mtype=MType.CONFIRMED_UP, fopts=b"\x02", flags=0x80)
    uplink = Sessions(Session(POND)).accept(phy)
    assert (uplink.payload, uplink.fport) == (b"payload", 10)


def test_mac_commands_of_fport_0_are_decrypted_with_the_network_key() -> None:
    uplink = Sessions(Session(POND)).accept(seal_lorawan(KEYS, DEV_ADDR, 9, 0, b"\x03\x07"))
    assert (uplink.payload, uplink.fport) == (b"\x03\x07", 0)
    other_app_key = device(address=DEV_ADDR, keys=SessionKeys(KEYS.nwk_skey, bytes(16)))
    assert (
        Sessions(Session(other_app_key)).accept(seal_lorawan(KEYS, DEV_ADDR, 9, 0, b"\x03\x07")).payload == b"\x03\x07"
    )


def test_frame_without_fport_is_an_empty_uplink() -> None:
    uplink = Sessions(Session(POND)).accept(seal_lorawan(KEYS, DEV_ADDR, 9, None))
    assert (uplink.payload, uplink.fport, uplink.authentic) == (b"", None, True)


def test_mac_commands_in_two_places_are_refused() -> None:
    phy = bytearray(seal_lorawan(KEYS, DEV_ADDR, 9, 2, b"\x03\x07", fopts=b"\x02"))
    phy[9] = 0
    assert "FOpts and in FPort 0" in refuse(FrameError, bytes(phy), Session(POND))


# LowCostLoRaGw

NODE = lowcost_device("node", address=6)
GUARDED = lowcost_device("guarded", address=6, app_keys=frozenset([APP_KEY]))
SECRET = lowcost_device("secret", address=6, keys=WAZIUP)


def packet(payload: bytes, ptype: int = 0x10, src: int = 6, seq: int = 9, dst: int = 1) -> bytes:
    return build_header(Header(dst, ptype, src, seq)) + payload


def test_clear_packet_is_taken_without_proof() -> None:
    session = Session(NODE, 0)
    uplink, after = unlock(frame(packet(b"\\!TC/22.5")), Sessions(session).find)
    assert (uplink.device, uplink.fcnt, uplink.fport) == (NODE, 9, None)
    assert uplink.payload == b"\\!TC/22.5"
    assert not uplink.authentic
    assert after is session


@pytest.mark.parametrize("ptype", [0x10, 0x18])
def test_packet_that_wants_an_acknowledgement_is_data(ptype: int) -> None:
    assert Sessions(Session(NODE)).accept(packet(b"x", ptype)).payload == b"x"


def test_packet_to_everybody_is_data() -> None:
    assert Sessions(Session(NODE)).accept(packet(b"hello", dst=0)).payload == b"hello"


def test_unknown_source_is_refused_with_what_to_add() -> None:
    text = refuse(UnknownDevice, packet(b"x", src=7), Session(NODE))
    assert "[[device]]" in text and "address = 7" in text


@pytest.mark.parametrize(
    ("ptype", "text"),
    [
        (0x20, "acknowledgement from address 6"),
        (0x30, "request to send"),
        (0x00, "packet of unknown type"),
        (0x11, "downlink"),
        (0x15, "downlink"),
    ],
)
def test_packet_that_is_no_data_is_named(ptype: int, text: str) -> None:
    assert text in refuse(NotUplink, packet(b"\x02\x00\x08", ptype), Session(NODE))


def test_camera_packet_is_refused_by_name() -> None:
    payload = bytes.fromhex("ff51000307140c001030313233343536373839")
    for of in (NODE, SECRET):
        assert "a piece of a picture" in refuse(ImagePacket, packet(payload), Session(of))


def test_short_packet_is_refused() -> None:
    assert "the whole packet 3" in refuse(FrameError, b"\x01\x10\x06", Session(NODE))


@pytest.mark.parametrize(
    ("phy", "of", "fcnt", "clear"),
    [
        ("01140600 4006000000000000014f29e74977a1c2e781e616a668fd756874", 6, 0, b"\\!#3#TC/22.50"),
        ("0116094d 40090000000001020133db8432b7a3dc47e6165dd1cac99cef146d", 9, 513, b"\\!TC/18.25"),
    ],
)
def test_known_aes_packet_is_opened(phy: str, of: int, fcnt: int, clear: bytes) -> None:
    node = lowcost_device(address=of, keys=WAZIUP)
    uplink, session = unlock(frame(bytes.fromhex(phy)), Sessions(Session(node)).find)
    assert (uplink.fcnt, uplink.fport, uplink.payload, uplink.authentic) == (fcnt, None, clear, True)
    assert session == Session(node, fcnt + 1)


def test_aes_packet_is_decrypted_with_the_application_session_key() -> None:
    of = lowcost_device(keys=OTHER_KEYS)
    sealed = seal_lowcost(OTHER_KEYS, 6, 1, b"\\!TC/22.5")
    assert Sessions(Session(of)).accept(sealed).payload == b"\\!TC/22.5"


def test_aes_packet_of_a_device_without_keys_is_refused_with_what_to_add() -> None:
    assert "app_skey" in refuse(NoKey, seal_lowcost(WAZIUP, 6, 0, b"x"), Session(NODE))


def test_clear_packet_of_a_device_with_keys_is_refused() -> None:
    refuse(NotEncrypted, packet(b"\\!TC/22.5"), Session(SECRET))


def test_aes_packet_under_another_address_is_refused() -> None:
    moved = packet(seal_lowcost(WAZIUP, 7, 0, b"x")[4:], 0x14)
    assert "DevAddr 00000007" in refuse(FrameError, moved, Session(SECRET))


def test_extended_address_must_end_in_the_source_address() -> None:
    inner = seal_lorawan(WAZIUP, 0x26011706, 3, 1, b"x")
    assert Sessions(Session(SECRET)).accept(packet(inner, 0x14)).payload == b"x"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("fe93919a3882deb4fcc2c1c5c29c6c302ff26d68a58c31c6", "LSC"),
        ("", "no LoRaWAN frame"),
        ("4006", "2 bytes"),
        ("6006000000000000014f29e74977a1c2e781e616a668fd756874", "no LoRaWAN frame"),
        (seal_lorawan(WAZIUP, 6, 0, 0, b"\x02").hex(), "FPort 0"),
    ],
)
def test_encrypted_packet_without_a_data_frame_inside_is_refused(inner: str, text: str) -> None:
    assert text in refuse(FrameError, packet(bytes.fromhex(inner), 0x14), Session(SECRET))


def test_forged_aes_packet_is_refused_before_its_counter_is_believed() -> None:
    sealed = seal_lowcost(WAZIUP, 6, 3, b"\\!TC/22.5")
    assert "node" not in refuse(BadMIC, flipped(sealed, 8 * len(sealed) - 1), Session(SECRET, 9))


@given(st.integers(0, 65535), st.binary(max_size=30), st.data())
def test_any_flipped_bit_inside_an_aes_packet_is_refused(fcnt: int, payload: bytes, data: st.DataObject) -> None:
    sealed = seal_lowcost(WAZIUP, 6, fcnt, payload)
    bit = data.draw(st.integers(32, len(sealed) * 8 - 1))
    with pytest.raises((UnlockError, FrameError)):
        Sessions(Session(SECRET)).accept(flipped(sealed, bit))


def test_aes_counter_starts_again_after_65535() -> None:
    sessions = Sessions(Session(SECRET))
    for fcnt in (0, 1, 30000, 60000, 65535, 0, 1, 20000):
        assert sessions.accept(seal_lowcost(WAZIUP, 6, fcnt, b"x")).fcnt == fcnt
    assert sessions.next_fcnt("secret") == 65536 + 20001


@pytest.mark.parametrize("first", [0, 32768, 65535])
def test_new_aes_session_takes_any_counter(first: int) -> None:
    assert Sessions(Session(SECRET)).accept(seal_lowcost(WAZIUP, 6, first, b"x")).fcnt == first


@pytest.mark.parametrize(
    ("next_fcnt", "fcnt", "text"),
    [(514, 513, "FCnt 513 again"), (514, 3, "FCnt 3 after 513"), (65536 + 5, 65535, "FCnt 65535 after 4")],
)
def test_old_aes_packet_is_refused(next_fcnt: int, fcnt: int, text: str) -> None:
    assert text in refuse(StaleFCnt, seal_lowcost(WAZIUP, 6, fcnt, b"x"), Session(SECRET, next_fcnt))


@example(next_fcnt=1, ahead=32767)
@example(next_fcnt=1, ahead=32768)
@given(next_fcnt=st.integers(1, 10_000_000), ahead=st.integers(0, 65535))
def test_aes_counter_is_new_up_to_half_its_range_ahead(next_fcnt: int, ahead: int) -> None:
    sealed = seal_lowcost(WAZIUP, 6, next_fcnt + ahead, b"x")
    if ahead < 32768:
        sessions = Sessions(Session(SECRET, next_fcnt))
        sessions.accept(sealed)
        assert sessions.next_fcnt("secret") == next_fcnt + ahead + 1
    else:
        refuse(StaleFCnt, sealed, Session(SECRET, next_fcnt))


def test_allowed_application_key_is_cut_off() -> None:
    assert Sessions(Session(GUARDED)).accept(packet(APP_KEY + b"x", 0x12)).payload == b"x"
    sealed = seal_lowcost(WAZIUP, 6, 0, b"x", app_key=APP_KEY)
    both = lowcost_device(keys=WAZIUP, app_keys=frozenset([OTHER_APP_KEY, APP_KEY]))
    assert Sessions(Session(both)).accept(sealed).payload == b"x"


def test_application_key_is_cut_off_where_none_is_asked_for() -> None:
    assert Sessions(Session(NODE)).accept(packet(OTHER_APP_KEY + b"x", 0x12)).payload == b"x"


@pytest.mark.parametrize("ptype", [0x12, 0x10])
def test_wrong_or_missing_application_key_is_refused_and_not_shown(ptype: int) -> None:
    text = refuse(BadAppKey, packet(OTHER_APP_KEY + b"x", ptype), Session(GUARDED))
    for key in (APP_KEY, OTHER_APP_KEY):
        assert key.hex() not in text and repr(key) not in text


def test_wrong_application_key_inside_an_aes_packet_is_refused() -> None:
    both = lowcost_device(keys=WAZIUP, app_keys=frozenset([APP_KEY]))
    refuse(BadAppKey, seal_lowcost(WAZIUP, 6, 0, b"x", app_key=OTHER_APP_KEY), Session(both))
    refuse(BadAppKey, seal_lowcost(WAZIUP, 6, 0, b"x"), Session(both))


def test_payload_shorter_than_its_application_key_is_refused() -> None:
    assert "3 bytes" in refuse(FrameError, packet(b"\x05\x06\x07", 0x12), Session(NODE))


# Which header


@pytest.mark.parametrize(
    ("phy", "link"),
    [
        ("01100600", Link.LOWCOST),
        ("01", Link.LOWCOST),
        ("00100600", Link.LOWCOST),
        ("00200600", Link.LOWCOST),
        ("0010" + "00" * 21, Link.LORAWAN),
        ("40", Link.LORAWAN),
        ("80", Link.LORAWAN),
        ("e0", Link.LORAWAN),
        ("60", Link.LORAWAN),
        ("20" + "00" * 16, Link.LORAWAN),
        ("20" + "00" * 32, Link.LORAWAN),
    ],
)
def test_first_bytes_tell_the_header(phy: str, link: Link) -> None:
    assert link_of(bytes.fromhex(phy)) is link


@pytest.mark.parametrize("phy", ["", "00", "0010", "00300600", "20100600", "03100600", "2010"])
def test_bytes_with_neither_header_are_refused(phy: str) -> None:
    refuse(FrameError, bytes.fromhex(phy))


def test_header_named_by_the_input_is_not_guessed_again() -> None:
    sessions = Sessions(Session(NODE))
    assert sessions.accept(packet(b"x", dst=0x40), Link.LOWCOST).payload == b"x"
    with pytest.raises(FrameError, match="major version 1"):
        sessions.accept(packet(b"x"), Link.LORAWAN)


def everything(device_: Device) -> FindSessions:
    return lambda link, address: [Session(device_, 7)]


@given(st.binary(max_size=60), st.sampled_from([None, Link.LORAWAN, Link.LOWCOST]), st.booleans())
def test_any_bytes_are_accepted_or_refused_in_words(phy: bytes, link: Link | None, with_keys: bool) -> None:
    of = SECRET if with_keys else NODE
    try:
        uplink, _ = unlock(frame(phy, link), everything(of))
    except (FrameError, UnlockError) as error:
        assert str(error).isprintable() and str(error)
    else:
        assert not uplink.authentic and not with_keys
