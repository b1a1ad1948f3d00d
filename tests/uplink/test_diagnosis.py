"""The classic mistakes are found by trying: what is back to front, exchanged, of another version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post.decoding.loading import load_shipped
from lora_post.explain.trial import decoding_of
from lora_post.lorawan.phy_payload import MType, build_data_frame
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import UPLINK, SessionKeys, SessionKeys11
from lora_post.model import Device, Frame, Link
from lora_post.uplink import diagnosis
from lora_post.uplink.diagnosis import MAX_DEVICES, diagnose, diagnose_payload
from lora_post.uplink.model import Session, Uplink
from lora_post.uplink.unlock import seal_lorawan, seal_lowcost, unlock
from tests.support.build import device, frame, lowcost_device

NWK, APP, THIRD, FOURTH = (bytes(range(start, start + 16)) for start in (0, 32, 64, 96))
KEYS = SessionKeys(NWK, APP)
POND = device(keys=KEYS)
ADDRESS = POND.address or 0
TURNED = int.from_bytes(ADDRESS.to_bytes(4, "little"))
ROOT = RootKeys(0x0102030405060708, 0x70B3D57ED0019A7C, NWK)
BUOY = device("buoy", address=None, keys=None, root=ROOT)
WARM = bytes.fromhex("006700e1")


def sent(payload: bytes = WARM, fcnt: int = 17) -> Frame:
    return frame(seal_lorawan(KEYS, ADDRESS, fcnt, 2, payload))


def sent_11(keys: SessionKeys11, fcnt: int = 17) -> Frame:
    body = keys.crypt(ADDRESS, fcnt, UPLINK, 2, WARM)
    signed = build_data_frame(mtype=MType.UNCONFIRMED_UP, dev_addr=ADDRESS, fcnt=fcnt, fport=2, frm_payload=body)
    mic = keys.serving_mic(ADDRESS, fcnt, signed, 5, 0, 0) + keys.forwarding_mic(ADDRESS, fcnt, signed)
    return frame(signed + mic)


def request(root: RootKeys = ROOT) -> Frame:
    message = b"\0" + root.join_eui.to_bytes(8, "little") + root.dev_eui.to_bytes(8, "little") + b"\x17\xa0"
    return frame(message + root.request_mic(message))


def root(
    dev_eui: int = ROOT.dev_eui, join_eui: int = ROOT.join_eui, key: bytes = NWK, nwk: bytes | None = None
) -> Device:
    return replace(BUOY, root=RootKeys(dev_eui, join_eui, key, nwk))


def turned(eui: int) -> int:
    return int.from_bytes(eui.to_bytes(8, "little"))


SESSION_11 = SessionKeys11(NWK, THIRD, FOURTH, APP)


@pytest.mark.parametrize(
    ("configured", "heard", "says"),
    [
        pytest.param(
            replace(POND, keys=SessionKeys(NWK[::-1], APP[::-1])),
            sent(),
            "pond-7: nwk_skey is written back to front; write its bytes in reverse order",
            id="keys reversed",
        ),
        pytest.param(
            replace(POND, keys=SessionKeys(APP, NWK)),
            sent(),
            "pond-7: nwk_skey and app_skey are exchanged; swap them",
            id="keys exchanged",
        ),
        pytest.param(
            replace(POND, keys=SessionKeys(APP[::-1], NWK[::-1])),
            sent(),
            "pond-7: nwk_skey and app_skey are exchanged and back to front",
            id="keys exchanged and reversed",
        ),
        pytest.param(
            replace(POND, address=TURNED),
            sent(),
            'pond-7: dev_addr is written back to front; write dev_addr = "26011bda"',
            id="DevAddr reversed",
        ),
        pytest.param(
            replace(POND, address=TURNED, keys=SessionKeys(APP, NWK)),
            sent(),
            "pond-7: dev_addr is written back to front, and nwk_skey and app_skey are exchanged",
            id="DevAddr reversed and keys exchanged",
        ),
        pytest.param(
            lowcost_device(address=6, keys=SessionKeys(APP, NWK)),
            frame(seal_lowcost(KEYS, 6, 17, b"\\!TC/1")),
            "gw1-6: nwk_skey and app_skey are exchanged",
            id="four-byte header",
        ),
        pytest.param(
            replace(POND, keys=SessionKeys(NWK, APP)),
            sent_11(SESSION_11),
            "pond-7 speaks LoRaWAN 1.1: nwk_skey is its FNwkSIntKey; write it as f_nwk_s_int_key, and add",
            id="1.1 keys in 1.0 fields",
        ),
        pytest.param(
            replace(POND, keys=SESSION_11),
            sent(),
            "pond-7 speaks LoRaWAN 1.0, and its keys are in the fields of 1.1; write f_nwk_s_int_key as nwk_skey",
            id="1.0 keys in 1.1 fields",
        ),
        pytest.param(
            replace(POND, keys=SessionKeys11(THIRD, NWK, FOURTH, APP)),
            sent_11(SESSION_11),
            "pond-7: s_nwk_s_int_key and f_nwk_s_int_key are exchanged",
            id="1.1 keys exchanged",
        ),
        pytest.param(root(key=NWK[::-1]), request(), "buoy: app_key is written back to front", id="AppKey reversed"),
        pytest.param(
            root(dev_eui=turned(ROOT.dev_eui)),
            request(),
            'buoy: dev_eui is written back to front; write dev_eui = "0102030405060708"',
            id="DevEUI reversed",
        ),
        pytest.param(
            root(join_eui=turned(ROOT.join_eui)),
            request(),
            'buoy: join_eui is written back to front; write join_eui = "70b3d57ed0019a7c"',
            id="JoinEUI reversed",
        ),
        pytest.param(
            root(dev_eui=ROOT.join_eui, join_eui=ROOT.dev_eui),
            request(),
            "buoy: dev_eui and join_eui are exchanged; swap them",
            id="EUIs exchanged",
        ),
        pytest.param(
            root(turned(ROOT.dev_eui), turned(ROOT.join_eui), NWK[::-1]),
            request(),
            "buoy: dev_eui and join_eui is written back to front, and app_key is written back to front",
            id="all of a C file",
        ),
        pytest.param(
            root(key=NWK, nwk=APP),
            request(),
            "buoy: app_key and nwk_key are exchanged, or it speaks 1.0",
            id="root keys exchanged",
        ),
        pytest.param(
            replace(POND, keys=SessionKeys(FOURTH, NWK)),
            request(),
            'pond-7 joins (OTAA): its app_skey is an AppKey; give it dev_eui = "0102030405060708", join_eui = "70b3d57',
            id="AppKey as session key",
        ),
    ],
)  # fmt: skip
def test_mistake_is_named_with_the_fix(configured: Device, heard: Frame, says: str) -> None:
    others = [
        replace(POND, id="other", address=5, keys=SessionKeys(THIRD, FOURTH)),
        lowcost_device("node", address=9),
        root(dev_eui=99),
    ]
    found = diagnose(heard, [*others, configured])
    assert found is not None
    assert found.device is configured
    assert str(found.problem).startswith(says)
    for key in (NWK, APP, THIRD, FOURTH):
        assert key.hex() not in str(found.problem) and key[::-1].hex() not in str(found.problem)


@pytest.mark.parametrize(
    "heard",
    [
        pytest.param(frame(seal_lorawan(SessionKeys(THIRD, THIRD), ADDRESS, 1, 2, WARM)), id="other keys"),
        pytest.param(frame(seal_lorawan(KEYS, 0x01020304, 1, 2, WARM)), id="other address"),
        pytest.param(request(RootKeys(5, 6, FOURTH)), id="other device that joins"),
        pytest.param(frame(b""), id="empty"),
        pytest.param(frame(bytes.fromhex("01100600") + b"\\!TC/1"), id="clear"),
    ],
)
def test_nothing_is_said_where_nothing_usual_fits(heard: Frame) -> None:
    assert diagnose(heard, [POND, BUOY, lowcost_device()]) is None


@given(phy_payload=st.binary(max_size=64))
def test_any_frame_can_be_looked_at(phy_payload: bytes) -> None:
    for first in (b"", b"\x40" + ADDRESS.to_bytes(4, "little"), b"\0"):
        found = diagnose(frame(first + phy_payload), [replace(POND, keys=SESSION_11), BUOY, lowcost_device(keys=KEYS)])
        assert found is None or found.problem.fix


def test_work_for_one_frame_is_bounded_however_many_devices_share_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0
    before = diagnosis._opens

    def count(heard: Frame, variant: Device) -> bool:
        nonlocal tried
        tried += 1
        return before(heard, variant)

    monkeypatch.setattr(diagnosis, "_opens", count)
    many = [replace(POND, id=f"d{number}", keys=SessionKeys(THIRD, bytes([number]) * 16)) for number in range(200)]
    assert diagnose(sent(), many) is None
    assert tried <= 4 * MAX_DEVICES


def accepted(configured: Device, heard: Frame) -> Uplink:
    return unlock(heard, lambda link, address: [Session(configured)] if link is Link.LORAWAN else [])[0]


def guess(configured: Device, payload: bytes) -> str:
    decode = decoding_of(configured, load_shipped(["cayenne-lpp"]).decoders)
    uplink = accepted(configured, sent(payload))
    assert decode(uplink).problem is not None
    return str(diagnose_payload(uplink, decode) or "")


PAYLOAD = bytes.fromhex("036701100567 00ff0168510273275100880649 76f2960a0003e8")


@pytest.mark.parametrize(
    ("app_skey", "says"),
    [
        (APP[::-1], "pond-7: app_skey is written back to front; write its bytes in reverse order"),
        (THIRD, ""),
    ],
)
def test_wrong_app_skey_is_told_from_a_wrong_decoder(app_skey: bytes, says: str) -> None:
    assert guess(replace(POND, keys=SessionKeys(NWK, app_skey)), PAYLOAD) == says


def test_payload_encrypted_with_the_network_key_is_recognised() -> None:
    configured = replace(POND, keys=SessionKeys(NWK, APP))
    heard = frame(seal_lorawan(SessionKeys(NWK, NWK), ADDRESS, 17, 2, PAYLOAD))
    decode = decoding_of(configured, load_shipped(["cayenne-lpp"]).decoders)
    assert "encrypted with nwk_skey" in str(diagnose_payload(accepted(configured, heard), decode))
