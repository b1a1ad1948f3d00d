"""The doctor names the mistake behind a refusal, and no stranger makes it work hard."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.config import load_what_works
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_shipped
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.lowcost.header import Header, build_header
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame
from lora_post.run import doctor as module
from lora_post.run.doctor import AGAIN_S, BURST, MAX_REMEMBERED, REFILL_S, Doctor
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger
from lora_post.uplink.diagnosis import Diagnosis
from lora_post.uplink.model import Refusal, Report, Session
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan, unlock
from tests.support.build import APP_SKEY, KEYS, NWK_SKEY, device, frame
from tests.support.seal import join_request

POND = device()
WARM = bytes.fromhex("006700e1")


class Site:
    """A pipeline with a doctor whose clock stands until the test moves it."""

    def __init__(self, *devices: Device) -> None:
        self.now = 0.0
        self.doctor = Doctor(monotonic=lambda: self.now)
        self.outcomes: list[Outcome] = []
        decoding = Decoding(devices, load_shipped(["cayenne-lpp"]).decoders)
        ledger = MemoryLedger(devices)
        self.pipeline = Pipeline(ledger, decoding.decode, Metrics(), self.outcomes.append, doctor=self.doctor)

    def hear(self, *frames: Frame) -> list[str]:
        self.outcomes.clear()
        self.pipeline.handle(frames)
        return [str(each.problem) for each in self.outcomes if isinstance(each, Refusal | Report)]


def sent(fcnt: int = 1, dev_addr: int = POND.address or 0, payload: bytes = WARM) -> Frame:
    return frame(seal_lorawan(KEYS, dev_addr, fcnt, 2, payload))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """The frames for which something was tried."""
    found: list[Frame] = []
    before = module.diagnose

    def count(heard: Frame, devices: tuple[Device, ...]) -> Diagnosis | None:
        found.append(heard)
        return before(heard, devices)

    monkeypatch.setattr(module, "diagnose", count)
    return found


def test_refusal_says_what_is_wrong_in_the_configuration(looks: list[Frame]) -> None:
    site = Site(replace(POND, keys=SessionKeys(APP_SKEY, NWK_SKEY)))
    said = site.hear(sent(1), sent(2), sent(3))
    assert said == ["pond-7: nwk_skey and app_skey are exchanged; swap them"] * 3
    assert len(looks) == 1


def test_payload_that_cannot_be_read_says_that_app_skey_is_wrong() -> None:
    payload = bytes.fromhex("03670110056700ff016851027327510088064976f2960a0003e8")
    site = Site(replace(POND, keys=SessionKeys(NWK_SKEY, APP_SKEY[::-1])))
    (said,) = site.hear(sent(payload=payload))
    assert said.startswith("pond-7: app_skey is written back to front; write its bytes in reverse order (")


@pytest.mark.parametrize(("problem", "is_diagnosed"), [("WrongFormat: 3 bytes", True), ("DecoderHang: 100 ms", False)])
def test_decoder_that_hangs_says_nothing_of_the_keys(problem: str, is_diagnosed: bool) -> None:
    """A decoder that takes any bytes takes what a wrong key gives, too."""
    pond = replace(POND, keys=SessionKeys(NWK_SKEY, APP_SKEY[::-1]))
    heard = sent(payload=bytes.fromhex("03670110056700ff016851027327510088064976f2960a0003e8"))
    uplink, _ = unlock(heard, lambda *_: [Session(pond)])
    decode = Decoding([pond], load_shipped(["cayenne-lpp"]).decoders).decode
    told = Doctor().report(Report(uplink, (), problem=problem), decode, [pond])
    assert (told.problem != problem) is is_diagnosed


def test_flood_of_wrong_frames_is_looked_at_seldom(looks: list[Frame]) -> None:
    site = Site(POND)
    other = SessionKeys(bytes(16), bytes(16))
    flood = [frame(seal_lorawan(other, address, 1, 2, WARM)) for address in range(1, 2000)]
    site.hear(*flood)
    assert len(looks) == BURST
    site.now += 10 * REFILL_S
    site.hear(*flood)
    assert len(looks) == 2 * BURST


def test_sender_for_whom_nothing_was_found_is_tried_again_later(looks: list[Frame]) -> None:
    site = Site(replace(POND, keys=SessionKeys(bytes(16), bytes(16))))
    for _ in range(5):
        site.hear(sent())
        site.now += AGAIN_S / 4
    assert len(looks) == 2


def test_what_is_remembered_is_bounded() -> None:
    site = Site(POND)
    for address in range(1, 2 * MAX_REMEMBERED):
        site.now += REFILL_S
        site.hear(sent(dev_addr=address))
    assert len(site.doctor._found) == len(site.doctor._tried_at) == MAX_REMEMBERED


LEFT_OUT = """
[gateway]
id = "gw1"
[json_lines]
path = "-"
[[device]]
dev_eui = "00:8B:1A:90:C8:D4:A8:B2"
join_eui = "70b3d57ed0019a7c"
app_key = "00112233445566778899aabbccddeeff"
decoder = "text"
klass = "C"
[[device]]
dev_addr = "26011BDA"
decoder = "text"
[[device]]
address = 6
decoder = "text"
fcnt = "never"
"""


def test_device_whose_table_is_left_out_is_sent_to_its_mistake(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(LEFT_OUT)
    config = load_what_works(path)
    assert config.devices == ()
    doctor = Doctor(config.senders_left_out)
    heard: list[Outcome] = []
    pipeline = Pipeline(MemoryLedger([]), Decoding([], {}).decode, Metrics(), heard.append, doctor=doctor)
    root = RootKeys(0x008B1A90C8D4A8B2, 0x70B3D57ED0019A7C, NWK_SKEY)
    clear = build_header(Header(1, 0x10, 6, 1)) + b"TC/22.5"
    pipeline.handle(
        [frame(each) for each in (join_request(root, 1), seal_lorawan(KEYS, 0x26011BDA, 1, 2, WARM), clear)]
    )
    assert [str(each.problem) for each in heard if isinstance(each, Refusal)] == [
        f"{what}: its [[device]] has a mistake and is left out; correct it: `lora-post check` names the mistake"
        for what in (
            "no device joins with DevEUI 008b1a90c8d4a8b2",
            "no device has DevAddr 26011bda",
            "no device has address 6",
        )
    ]
    doctor.left_out = ()
    pipeline.handle([frame(clear)])
    assert "add a [[device]]" in repr(heard[-1])


def test_other_devices_are_looked_at_anew(looks: list[Frame]) -> None:
    doctor = Doctor(monotonic=lambda: 0.0)
    refusal = Refusal(sent(), "mic", "the MIC fits no key")
    wrong = (replace(POND, keys=SessionKeys(APP_SKEY, NWK_SKEY)),)
    assert "exchanged" in doctor.refusal(refusal, wrong).detail
    assert doctor.refusal(refusal, (replace(POND, address=5),)).detail == "the MIC fits no key"
    assert len(looks) == 2
