from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import FrameError
from lora_post.explain.fields import Field, mac_fields
from lora_post.explain.frame import Explanation, Mic, explain
from lora_post.lorawan.phy_payload import MType, build_data_frame
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import DOWNLINK, UPLINK, SessionKeys, SessionKeys11
from lora_post.lowcost.header import Header, build_header
from lora_post.lowcost.lsc import LscKey
from lora_post.model import Device, Link
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Refusal, Session, Uplink
from lora_post.uplink.unlock import seal_lorawan, seal_lowcost
from tests.support.build import KEYS, device, frame, lowcost_device
from tests.support.lorawan_vectors import LAB_1, VECTORS, Vector
from tests.support.seal import KEYS_11, ROOT_11, seal_11, seal_lsc

IDS = [vector.name for vector in VECTORS]
TEXT = b"\\!TC/22.5"
PUBLISHED_AES = "011406004006000000000000014f29e74977a1c2e781e616a668fd756874"  # LowCostLoRaGw, README-aes_lorawan.md
DEFAULT_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")


def look(phy_payload: bytes | str, *devices: Device) -> Explanation:
    data = bytes.fromhex(phy_payload) if isinstance(phy_payload, str) else phy_payload

    def find(link: Link, address: int) -> Sequence[Session]:
        return [Session(each) for each in devices if (each.link, each.address) == (link, address)]

    return explain(frame(data), find)


def of(vector: Vector) -> Device:
    return device(address=vector.dev_addr, keys=vector.keys)


def every_field(fields: Sequence[Field]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from every_field(field.parts)


def field(found: Explanation, name: str) -> Field:
    (wanted,) = [field for field in every_field(found.fields) if field.name == name]
    return wanted


def on_air(fields: Sequence[Field]) -> str:
    return "".join(field.raw or on_air(field.parts) for field in fields)


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_known_frame_is_explained_in_full_with_its_keys(vector: Vector) -> None:
    found = look(vector.phy, of(vector))
    assert found.mic is Mic.OK
    assert found.device == of(vector)
    assert (found.fport, found.payload) == (vector.fport, vector.clear)
    assert field(found, "DevAddr").meaning == f"{vector.dev_addr:08x}"
    assert field(found, "FCnt").meaning == f"{vector.fcnt & 0xFFFF} on air, {vector.fcnt} in full"
    assert field(found, "MIC").raw == vector.mic.hex()
    assert field(found, "FOptsLen").meaning == str(len(vector.fopts))


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_known_frame_is_explained_without_keys_as_far_as_that_goes(vector: Vector) -> None:
    found = look(vector.phy)
    assert (found.mic, found.device, found.payload) == (Mic.NOT_CHECKED, None, None)
    assert field(found, "FCnt").meaning.endswith("the upper half is not sent")
    assert field(found, "MIC").meaning == "not checked"


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_mic_that_does_not_fit_is_bad(vector: Vector) -> None:
    found = look(vector.phy[:-1] + bytes((vector.phy[-1] ^ 1,)), of(vector))
    assert (found.mic, found.payload) == (Mic.BAD, None)
    assert field(found, "MIC").meaning == "BAD"
    assert isinstance(found.outcome, Refusal)


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_no_byte_of_a_frame_is_left_out(vector: Vector) -> None:
    assert on_air(look(vector.phy).fields) == vector.phy.hex()


@pytest.mark.parametrize(
    "phy_payload",
    [
        "007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a",
        "20b830e77c6491c12c8992fe502f005af1",
        "c00001000001ffeeddccbbaa020500e269d6c6",
        "c00101000000dec0edfe01ffeeddccbbaa020100cd983d82",
        "c0aabb",
        "e001020304",
        "e0",
        "01100300" + TEXT.hex(),
        "01200300020008",
        "0114060011223344",
        "01150300" + TEXT.hex() + "118e2733",
        PUBLISHED_AES,
    ],
)
def test_no_byte_of_any_other_frame_is_left_out_either(phy_payload: str) -> None:
    assert on_air(look(phy_payload).fields) == phy_payload


@pytest.mark.parametrize(
    ("phy_payload", "title", "meanings"),
    [
        (
            "007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a",
            "LoRaWAN join-request from DevEUI 008b1a90c8d4a8b2",
            {"JoinEUI": "70b3d57ed0019a7c", "DevEUI": "008b1a90c8d4a8b2", "DevNonce": "a017"},
        ),
        (
            "20b830e77c6491c12c8992fe502f005af1",
            "LoRaWAN join-accept of 17 bytes",
            {"MType": "Join-accept"},
        ),
        (
            "c00001000001ffeeddccbbaa020500e269d6c6",
            "LoRaWAN rejoin-request type 0",
            {"NetID": "000001", "DevEUI": "02aabbccddeeff01", "RJcount0": "0005"},
        ),
        (
            "c00101000000dec0edfe01ffeeddccbbaa020100cd983d82",
            "LoRaWAN rejoin-request type 1",
            {"JoinEUI": "feedc0de00000001", "DevEUI": "02aabbccddeeff01", "RJcount1": "0001"},
        ),
        ("e001020304", "LoRaWAN proprietary frame of 5 bytes", {"MType": "Proprietary"}),
    ],
)
def test_frames_that_are_no_data_are_explained_too(phy_payload: str, title: str, meanings: dict[str, str]) -> None:
    found = look(phy_payload, device())
    assert found.title.startswith(title)
    assert {name: field(found, name).meaning for name in meanings} == meanings
    assert isinstance(found.outcome, Refusal)
    assert found.outcome.check == ("unknown-device" if phy_payload.startswith("007c") else "not-uplink")


LAB_3 = device("lab-3", address=None, keys=None, root=ROOT_11)
LMIC = device(
    "lmic",
    address=None,
    keys=None,
    root=RootKeys(0x008B1A90C8D4A8B2, 0x70B3D57ED0019A7C, bytes.fromhex("d84259acb354ca38d9b1bbeee638e5cf")),
)
LMIC_REQUEST = bytes.fromhex("007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a")
LMIC_ACCEPT = bytes.fromhex("2051f5d85ee375533695ecb3bc0363768b0fa3418aad1f5fee7f10869b28063c90")


def test_join_request_is_verified_with_the_root_key() -> None:
    found = explain(frame(LMIC_REQUEST), lambda link, address: [], [LAB_3, LMIC])
    assert (found.mic, found.device, field(found, "MIC").meaning) == (Mic.OK, LMIC, "OK")
    assert isinstance(found.outcome, Join)
    forged = explain(frame(LMIC_REQUEST[:-1] + b"\0"), lambda link, address: [], [LAB_3, LMIC])
    assert (forged.mic, forged.device, field(forged, "MIC").meaning) == (Mic.BAD, None, "BAD")


def test_join_accept_is_opened_with_the_root_key() -> None:
    found = explain(frame(LMIC_ACCEPT), lambda link, address: [], [LAB_3, LMIC])
    assert (found.mic, found.device) == (Mic.OK, LMIC)
    assert isinstance(found.outcome, Join) and found.outcome.dev_addr == 0x2601282C
    assert (field(found, "DevAddr").meaning, field(found, "NetID").meaning) == ("2601282c", "000013")
    assert field(found, "CFList").raw == "184f84e85684b85e84886684586e8400"
    assert field(found, "CFList").meaning == "867.1, 867.3, 867.5, 867.7, 867.9 MHz"
    assert (field(found, "RX2DataRate").meaning, field(found, "RxDelay").meaning) == ("DR3", "1 s")


LAB_4 = RootKeys(0x0004A30B001C0004, 0x70B3D57ED0000004, bytes(range(0x50, 0x60)))
LAB_4_KEYS = SessionKeys(
    bytes.fromhex("f90302d157949f6cd3975084f6ff6eed"), bytes.fromhex("0527e9917869d37abafabb65fa2c1345")
)


def test_join_accept_with_a_channel_mask_is_put_into_words() -> None:
    found = explain_of(bytes.fromhex("20dab316bbe07b5de62be65cc186c45dadffba98f597e4dfe24da28e6ee46568c6"), LAB_4)
    assert (found.mic, field(found, "CFList").meaning) == (Mic.OK, "channels 8-15, 65")
    assert field(found, "RX2DataRate").meaning == "DR8"


@pytest.mark.parametrize(
    ("phy_payload", "where", "words"),
    [
        (
            "a004feca01a900000214010d34e06d531f6436c079f603d300",
            "FOpts",
            {"LinkCheckAns": "margin 20 dB, 1 gateway", "DeviceTimeAns": "2024-05-14T08:15:30.121 UTC"},
        ),
        (
            "6004feca018d01000500d2ad840805060351ff0001c5de5492",
            "FOpts",
            {
                "RXParamSetupReq": "RX2 DR0, RX1 offset 0, RX2 869.525 MHz",
                "RXTimingSetupReq": "RX1 after 5 s",
                "DevStatusReq": "",
                "LinkADRReq": "DR5, power index 1, channels 0-7, each frame 1 time",
            },
        ),
        (
            "6004feca018002000046a9fc417d703fb0ce8f8dccfc341a266ec0024c194bacb38b4b15b9b9ff7e8d7b2c",
            "FRMPayload",
            {"NewChannelReq": "channel 7, 867.9 MHz, from DR0, to DR5"},
        ),
        (
            "4004feca0188020005070806c80a03076498c9eee0a6e9bc99",
            "FOpts",
            {
                "RXParamSetupAns": "channel ok, RX2 data rate ok, RX1 offset ok",
                "RXTimingSetupAns": "",
                "DevStatusAns": "battery 79%, margin 10 dB",
                "LinkADRAns": "channel mask ok, data rate ok, power ok",
            },
        ),
    ],
)
def test_mac_commands_of_both_directions_are_put_into_words(
    phy_payload: str, where: str, words: dict[str, str]
) -> None:
    found = look(phy_payload, device("lab-4", address=0x01CAFE04, keys=LAB_4_KEYS))
    assert found.mic is Mic.OK
    assert {each.name: each.meaning for each in field(found, where).parts} == words


def test_join_accept_of_lorawan_1_1_alone_proves_nothing() -> None:
    phy = bytes.fromhex("20e4a42e60231128c17bfdfdf8b8e62202")
    found = explain(frame(phy), lambda link, address: [], [LAB_3, LMIC])
    assert (found.mic, found.device) == (Mic.NOT_CHECKED, None)


def test_commands_of_lorawan_1_1_are_decrypted() -> None:
    lab_2 = device(address=0x01CC77E2, keys=KEYS_11)
    found = look(seal_11(KEYS_11, 0x01CC77E2, 3, 2, b"x", fopts=bytes.fromhex("06c80a")), lab_2)
    assert found.mic is Mic.OK
    assert field(found, "DevStatusAns").meaning == "battery 79%, margin 10 dB"
    found = look(seal_11(KEYS_11, 0x01CC77E2, 3, 0, bytes.fromhex("06ff05")), lab_2)
    assert field(found, "FRMPayload").meaning == "encrypted under NwkSEncKey"


LAB_3_KEYS = SessionKeys11(
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


@pytest.mark.parametrize(
    ("phy_payload", "keys", "command", "payload"),
    [
        # brocaar/lorawan: phypayload_test.go, ExamplePHYPayload_lorawan11EncryptedFoptsEncode
        (
            "600403020103000022ac0a01f0b468ddaa5ed13a",
            SessionKeys11(bytes(16), b"\1" * 15 + b"\0", b"\1" * 14 + b"\2\0", bytes(range(16, 0, -1))),
            ("LinkCheckAns", "020701"),
            b"\1\2\3\4",
        ),
        (
            "6004030201030000dfb4f1e24f1f9f",
            SessionKeys11(bytes(16), b"\2" * 16, b"\2" * 15 + b"\4", bytes(16)),
            ("LinkCheckAns", "020701"),
            b"",
        ),
        ("60785634020200009f846a2fe745", LAB_3_KEYS, ("RekeyConf", "0b01"), b""),
        # acknowledges the confirmed uplink 1, whose FCnt is part of the MIC
        ("60785634022300006fbcf0024e9b2ff53064cadc58", LAB_3_KEYS, ("LinkCheckAns", "021401"), None),
    ],
)
def test_downlink_of_lorawan_1_1_is_opened_with_its_commands(
    phy_payload: str, keys: SessionKeys11, command: tuple[str, str], payload: bytes | None
) -> None:
    sender = device(address=int.from_bytes(bytes.fromhex(phy_payload)[1:5], "little"), keys=keys)
    found = look(phy_payload, sender)
    assert (found.mic, found.device) == (Mic.OK, sender)
    assert [(each.name, each.raw) for each in field(found, "FOpts").parts] == [command]
    assert payload is None or found.payload == payload
    assert field(look(phy_payload), "FOpts").meaning.endswith("encrypted (LoRaWAN 1.1)")


def test_mic_that_is_bad_comes_with_the_one_that_the_keys_give() -> None:
    up = seal_lorawan(KEYS, 0x26011BDA, 7, 2, b"x")
    bad = look(up[:-4] + bytes(4), device())
    assert (bad.mic, bad.expected) == (Mic.BAD, up[-4:].hex())
    assert look(up, device()).expected == ""
    assert look(up[:-4] + bytes(4), device(), device("other")).expected == ""  # whose frame it is cannot be told
    down = build_data_frame(mtype=MType.UNCONFIRMED_DOWN, dev_addr=5, fcnt=3, fport=1, frm_payload=b"x")
    assert look(down + bytes(4), device(address=5)).expected == KEYS.downlink_mic(5, 3, down).hex()
    up_11 = seal_11(KEYS_11, 0x26011BDA, 7, 2, b"x")
    assert look(up_11[:-4] + bytes(4), device(keys=KEYS_11)).expected == f"····{up_11[-2:].hex()}"
    packet = seal_lowcost(KEYS, 9, 5, TEXT)
    assert look(packet[:-4] + bytes(4), lowcost_device(address=9, keys=KEYS)).expected == packet[-4:].hex()


def explain_of(phy_payload: bytes, root: RootKeys) -> Explanation:
    return explain(frame(phy_payload), lambda link, address: [], (), device(address=None, keys=None, root=root))


def test_join_is_explained_with_the_key_of_the_device_that_it_is_taken_to_be_of() -> None:
    right, wrong = LMIC.root, RootKeys(0x008B1A90C8D4A8B2, 0x70B3D57ED0019A7C, bytes(16))
    assert right is not None
    assert (explain_of(LMIC_REQUEST, right).mic, explain_of(LMIC_ACCEPT, right).mic) == (Mic.OK, Mic.OK)
    for phy_payload in (LMIC_REQUEST, LMIC_ACCEPT):
        found = explain_of(phy_payload, wrong)
        assert (found.mic, len(found.expected), found.is_join) == (Mic.BAD, 8, True)
    forged = explain_of(LMIC_REQUEST[:-4] + bytes(4), right)
    assert (forged.mic, forged.expected) == (Mic.BAD, LMIC_REQUEST[-4:].hex())


def test_join_accept_of_lorawan_1_1_is_read_although_its_mic_needs_the_request() -> None:
    found = explain_of(bytes.fromhex("20e4a42e60231128c17bfdfdf8b8e62202"), ROOT_11)
    assert found.mic is Mic.NOT_CHECKED
    assert field(found, "DevAddr").meaning == "02345678"
    assert field(found, "MIC").meaning == "not checked: LoRaWAN 1.1 needs the join-request, too"


def test_packet_under_the_light_cipher_is_explained() -> None:
    key = LscKey(DEFAULT_KEY)
    packet = seal_lsc(key, Header(1, 0x14, 6, 200), TEXT)
    found = look(packet, lowcost_device(lsc=key))
    assert (found.mic, found.payload) == (Mic.OK, TEXT)
    assert (field(found, "payload").meaning, field(found, "MIC").meaning) == ("encrypted with LSC", "OK")
    assert on_air(found.fields) == packet.hex()


def test_only_frames_with_a_mic_have_a_verdict_on_it() -> None:
    assert look("e001020304").mic is None
    assert look("01100300" + TEXT.hex()).mic is None
    assert look("20b830e77c6491c12c8992fe502f005af1").mic is Mic.NOT_CHECKED


def test_flags_of_an_uplink_have_their_names() -> None:
    found = look(seal_lorawan(KEYS, 0x26011BDA, 3, 1, b"x", flags=0xD0), device())
    assert [field(found, name).raw for name in ("ADR", "ADRACKReq", "ACK", "ClassB")] == ["1", "1", "0", "1"]
    assert (field(found, "MHDR").raw, field(found, "MType").raw) == ("40", "010")
    assert field(found, "MType").meaning == "Unconfirmed Data Up"


def test_flags_and_mac_commands_of_a_downlink_have_downlink_names() -> None:
    found = look("602117012607280005" + "00d2ad840801" + "b7ab02ea")  # LowCostLoRaGw, README-downlink.md
    assert [each.name for each in field(found, "FOpts").parts] == ["RXParamSetupReq", "RXTimingSetupReq"]
    assert field(found, "FPending").raw == "0"


def test_mac_commands_of_fport_0_are_named_once_they_are_decrypted() -> None:
    sealed = seal_lorawan(KEYS, 0x26011BDA, 3, 0, bytes.fromhex("030706c80a"))
    parts = field(look(sealed, device()), "FRMPayload").parts
    assert [(each.name, each.raw, each.meaning) for each in parts] == [
        ("LinkADRAns", "0307", "channel mask ok, data rate ok, power ok"),
        ("DevStatusAns", "06c80a", "battery 79%, margin 10 dB"),
    ]
    assert field(look(sealed), "FRMPayload").parts == ()


@pytest.mark.parametrize(
    ("commands", "meaning"),
    [
        ("060020", "external power, margin -32 dB"),
        ("06ff3f", "battery unknown, margin -1 dB"),
        ("060101", "battery 0%, margin 1 dB"),
        ("06fe1f", "battery 100%, margin 31 dB"),
        ("0302", "channel mask refused, data rate ok, power refused"),
        ("06fe", ""),
    ],
)
def test_what_a_device_tells_of_itself_is_put_into_words(commands: str, meaning: str) -> None:
    assert mac_fields(bytes.fromhex(commands))[0].meaning == meaning


@pytest.mark.parametrize(
    ("fport", "text"), [(0, "MAC commands"), (1, "application"), (224, "certification test"), (225, "reserved")]
)
def test_fport_says_what_it_is_for(fport: int, text: str) -> None:
    found = look(seal_lorawan(KEYS, 0x26011BDA, 0, fport, b"\x02"))
    assert field(found, "FPort").meaning == f"{fport}: {text}"


def test_device_is_told_from_others_with_its_address_by_the_mic() -> None:
    other = device("other", keys=SessionKeys(bytes(16), bytes(16)))
    found = look(seal_lorawan(KEYS, 0x26011BDA, 3, 1, b"x"), other, device())
    assert found.device == device()
    assert isinstance(found.outcome, Uplink)


@pytest.mark.parametrize("fcnt", [0xFFFF, 0x1_0000, 0x10_FFFF, 0x11_0000, 0x22_0001, 0x3FF_FFFF])
@pytest.mark.parametrize("mtype", [MType.CONFIRMED_UP, MType.UNCONFIRMED_DOWN])
def test_upper_half_of_the_counter_is_found_without_knowing_where_the_device_is(fcnt: int, mtype: MType) -> None:
    signed = build_data_frame(mtype=mtype, dev_addr=5, fcnt=fcnt, fport=1, frm_payload=b"x")
    direction = UPLINK if mtype is MType.CONFIRMED_UP else DOWNLINK
    found = look(signed + LAB_1.data_mic(5, fcnt, direction, signed), device(address=5, keys=LAB_1))
    assert field(found, "FCnt").meaning == f"{fcnt & 0xFFFF} on air, {fcnt} in full"


def test_clear_packet_is_explained_down_to_its_flags() -> None:
    found = look(build_header(Header(1, 0x18, 6, 200)) + TEXT, lowcost_device())
    assert found.title == "LowCostLoRaGw data from address 6, sequence number 200"
    assert (found.device, found.payload, found.mic) == (lowcost_device(), TEXT, None)
    assert field(found, "dst").meaning == "1: the gateway"
    flags = ("ACK_REQ", "DATA_ENCRYPTED", "DATA_WAPPKEY", "DATA_DOWNLINK")
    assert [field(found, name).raw for name in flags] == ["1", "0", "0", "0"]


def test_clear_packet_of_a_stranger_still_shows_its_payload() -> None:
    found = look(build_header(Header(1, 0x10, 6, 0)) + TEXT)
    assert (found.device, found.payload) == (None, TEXT)
    assert isinstance(found.outcome, Refusal)
    assert found.outcome.check == "unknown-device"


def test_encrypted_packet_is_opened_and_its_inner_frame_explained() -> None:
    found = look(PUBLISHED_AES, lowcost_device(keys=SessionKeys(DEFAULT_KEY, DEFAULT_KEY)))
    assert (found.mic, found.payload) == (Mic.OK, b"\\!#3#TC/22.50")
    assert field(found, "DevAddr").meaning == "00000006"
    assert field(found, "MIC").meaning == "OK"


def test_encrypted_packet_under_other_keys_is_bad() -> None:
    found = look(PUBLISHED_AES, lowcost_device(keys=KEYS))
    assert (found.mic, found.payload) == (Mic.BAD, None)


def test_application_key_is_cut_off_and_not_shown() -> None:
    app_key = bytes.fromhex("a1b2c3d4")
    clear = look(build_header(Header(1, 0x12, 6, 0)) + app_key + TEXT, lowcost_device())
    sealed = look(seal_lowcost(KEYS, 6, 1, TEXT, app_key=app_key), lowcost_device(keys=KEYS))
    refused = look(build_header(Header(1, 0x12, 6, 0)) + app_key + TEXT, lowcost_device(app_keys=frozenset({b"1234"})))
    for found in (clear, sealed, refused):
        assert found.payload == TEXT
        assert "a1b2c3d4" not in repr(found.fields)
    assert field(clear, "application key").meaning == "not shown"


def test_picture_and_packet_that_claims_to_be_encrypted_say_so() -> None:
    picture = look("01100600" + "ff500006010503010203", lowcost_device())
    assert "camera" in field(picture, "payload").meaning
    assert "no LoRaWAN frame inside" in field(look("0114060011223344", lowcost_device(keys=KEYS)), "payload").meaning


@pytest.mark.parametrize(
    ("phy_payload", "complaint"),
    [
        ("", "an empty frame"),
        ("41035cab010000", "major version 1"),
        ("40035cab01", "a LoRaWAN data frame has at least 12 bytes, this one 5"),
        ("40035cab010f000000000000", "longer than the frame"),
        ("0b45", "neither a LoRaWAN nor a LowCostLoRaGw header"),
        ("0110", "LowCostLoRaGw's header has 4 bytes, the whole packet 2"),
    ],
)
def test_bytes_that_are_no_frame_are_refused_with_the_reason(phy_payload: str, complaint: str) -> None:
    with pytest.raises(FrameError, match=complaint):
        look(phy_payload)


HEADS = st.sampled_from(
    [b"", b"\x40", b"\x60\xda\x1b\x01\x26", b"\x80\xda\x1b\x01\x26", b"\xc0", b"\x01\x14\x06", b"\x01\x12\x06", b"\x20"]
)


@given(HEADS, st.binary(max_size=260))
def test_any_bytes_are_explained_or_refused_in_one_line(head: bytes, tail: bytes) -> None:
    try:
        found = look(head + tail, device(), lowcost_device(), lowcost_device(keys=KEYS))
    except FrameError as error:
        assert str(error).isprintable()
        return
    assert found.title.isprintable()
    assert all((each.name + each.size + each.raw + each.meaning).isprintable() for each in every_field(found.fields))
