"""Keys of joins. Sources: CongducPham/LowCostLoRaGw: gw_full_latest/README-downlink.md, the log of a real join;
anthonykirby/lora-packet, tests of key derivation; the 1.1 exchange is built from the specification.
"""

from __future__ import annotations

import pytest

from lora_post.lorawan.join_messages import build_join_accept, parse_join_accept, parse_join_request
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys, SessionKeys11
from tests.support.seal import ROOT_10, ROOT_11

LMIC = RootKeys(0x008B1A90C8D4A8B2, 0x70B3D57ED0019A7C, bytes.fromhex("d84259acb354ca38d9b1bbeee638e5cf"))
LMIC_REQUEST = bytes.fromhex("007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a")
LMIC_ACCEPT = bytes.fromhex("20b830e77c6491c12c8992fe502f005af1")
LMIC_ACCEPT_WITH_CHANNELS = bytes.fromhex("2051f5d85ee375533695ecb3bc0363768b0fa3418aad1f5fee7f10869b28063c90")
REQUEST_11 = bytes.fromhex("0001000000dec0edfe01ffeeddccbbaa02070040776caa")
ACCEPT_11 = bytes.fromhex("20e4a42e60231128c17bfdfdf8b8e62202")
ACCEPT_11_AS_10 = bytes.fromhex("200481ef3b700fbcd99c9ee2e707ca3d8a")


@pytest.mark.parametrize(("root", "phy"), [(LMIC, LMIC_REQUEST), (ROOT_11, REQUEST_11)], ids=["1.0", "1.1"])
def test_known_join_request_has_its_mic(root: RootKeys, phy: bytes) -> None:
    request = parse_join_request(phy)
    assert (request.dev_eui, request.join_eui) == (root.dev_eui, root.join_eui)
    assert root.request_mic(request.signed) == request.mic


@pytest.mark.parametrize(
    ("root", "phy", "dev_nonce", "clear"),
    [
        (LMIC, LMIC_ACCEPT, 0xA017, "5e0000000000dc8a5c000001"),
        (LMIC, LMIC_ACCEPT_WITH_CHANNELS, 0, "f477421300002c2801260301184f84e85684b85e84886684586e8400"),
        (ROOT_11, ACCEPT_11, 7, "2a0000010000785634028001"),
        (ROOT_11, ACCEPT_11_AS_10, 7, "2a0000010000785634020001"),
    ],
    ids=["1.0", "1.0 with channels", "1.1", "1.1 device on a 1.0 network"],
)
def test_known_join_accept_is_opened(root: RootKeys, phy: bytes, dev_nonce: int, clear: str) -> None:
    accept = parse_join_accept(phy[0], root.open_accept(phy[1:]))
    assert accept.signed.hex() == "20" + clear
    assert root.accept_mic(accept.signed, dev_nonce, opt_neg=accept.opt_neg) == accept.mic
    assert phy[1:] == root.seal_accept(accept.signed[1:] + accept.mic)


def test_session_keys_are_those_that_the_device_printed() -> None:
    keys = LMIC.session_keys(0x5E, 0, 0xA017, opt_neg=False)
    assert keys == SessionKeys(
        bytes.fromhex("ec44a55d840d21ba0c456b1f3d0c7cf1"), bytes.fromhex("f9aafe19b711c9e0f0ed6e83727453ea")
    )


def test_session_keys_are_those_of_the_published_test() -> None:
    root = RootKeys(0, 0, bytes.fromhex("98929b92c49edba9676d646d3b612456"))
    assert root.session_keys(0x376338, 0xAABBCC, 0xF18E, opt_neg=False) == SessionKeys(
        bytes.fromhex("4e3d6e6afbcc67af2ba3c8e8ec4acf4b"), bytes.fromhex("610897aa6f1460623443b527d3ac6a9d")
    )


def test_session_keys_of_1_1_come_from_both_root_keys() -> None:
    expected = (
        "4436c7179753210af580522fe34c0a78",
        "199b81393a74813153260761277831a8",
        "1ac3e909a3c126a605ce57c5fd92958b",
        "208deb3597ae123e7ca25b6b9d217c3a",
    )
    assert ROOT_11.session_keys(0x2A, 1, 7, opt_neg=True) == SessionKeys11(*map(bytes.fromhex, expected))


def test_1_1_device_on_a_1_0_network_derives_both_keys_from_its_network_key() -> None:
    assert ROOT_11.session_keys(0x2A, 1, 7, opt_neg=False) == SessionKeys(
        bytes.fromhex("8fdc1f9d260c14943f38b854842c908a"), bytes.fromhex("a5e5a52c9295af3ea7cbde61a7f4c502")
    )


def test_answer_to_a_rejoin_request_is_that_of_the_vectors() -> None:
    signed = build_join_accept(join_nonce=0x2B, net_id=0, dev_addr=0x02345679, dl_settings=0x80)
    sealed = ROOT_11.sealed_accept(signed, 5, opt_neg=True, answers=0)
    assert sealed.hex() == "207030ded26ef81627620d50a7a788ed58"
    assert ROOT_11.open_rejoin_accept(sealed[1:]) == signed[1:] + bytes.fromhex("b786d062")
    keys = ROOT_11.session_keys(0x2B, 0, 5, opt_neg=True)
    assert [each.hex() for each in keys.secrets] == [
        "6a75d90013bda8c2b6deff70c3d6f9a2",
        "0407f2c734506763c433119db22cde03",
        "8090526185507a62257241584a54e40d",
        "aa2ef28f0247687ece8e8b86d318a9a0",
    ]


def test_keys_are_not_shown_and_are_equal_by_value() -> None:
    assert RootKeys(1, 2, bytes(16)) == RootKeys(1, 2, bytes(16))
    assert hash(RootKeys(1, 2, bytes(16))) == hash(RootKeys(1, 2, bytes(16)))
    others = [RootKeys(2, 2, bytes(16)), RootKeys(1, 1, bytes(16)), RootKeys(1, 2, bytes(16), bytes(16)), "keys"]
    assert all(RootKeys(1, 2, bytes(16)) != other for other in others)
    for root in (ROOT_10, ROOT_11):
        assert not any(key.hex() in repr(root) for key in root.secrets)


@pytest.mark.parametrize(("app_key", "nwk_key"), [(bytes(15), None), (bytes(16), bytes(17))])
def test_key_of_another_length_is_refused(app_key: bytes, nwk_key: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"(app|nwk)_key has 1\d bytes, want 16"):
        RootKeys(1, 2, app_key, nwk_key)
