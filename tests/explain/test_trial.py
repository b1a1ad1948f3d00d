"""A stranger becomes a device: entered keys are tried on the frames that were kept of it."""

from __future__ import annotations

from msgspec.structs import replace

from lora_post.decoding.loading import load_folder, load_shipped, shipped_folder
from lora_post.explain.trial import Trial, decoders_for, decoding_of, opened_text, try_device
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import Device, Frame
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Report
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, frame, lowcost_device

POND = device()
WARM = bytes.fromhex("006700e1")  # Cayenne LPP: 22.5 °C on channel 0
ROOT = RootKeys(0x0102030405060708, 0x70B3D57ED0019A7C, bytes(range(16)))
MINUTE_US = 60_000_000


def sent(fcnt: int, payload: bytes = WARM, keys: SessionKeys = KEYS) -> Frame:
    return frame(seal_lorawan(keys, POND.address or 0, fcnt, 2, payload), NOON_US + fcnt * MINUTE_US)


def request(root: RootKeys = ROOT) -> Frame:
    message = b"\0" + root.join_eui.to_bytes(8, "little") + root.dev_eui.to_bytes(8, "little") + b"\x17\xa0"
    return frame(message + root.request_mic(message))


def tried(of: Device, *frames: Frame) -> Trial:
    return try_device(of, frames, decoding_of(of, load_shipped([of.decoder]).decoders))


def test_right_keys_open_frames_whatever_their_counter_and_the_decoder_reads_them() -> None:
    trial = tried(POND, sent(17), sent(3_000_017))
    assert [each.uplink.fcnt for each in trial.opened if isinstance(each, Report)] == [17, 3_000_017]
    text = opened_text(trial.opened[0])
    assert text.startswith("these keys open the frame of 2026-03-01 ")
    assert text.endswith(", FCnt 17; with cayenne-lpp it reads temperature_0 22.5 °C")


def test_wrong_keys_open_nothing_and_frames_of_others_are_not_tried() -> None:
    other = replace(POND, keys=SessionKeys(bytes(16), bytes(16)))
    trial = tried(other, sent(17), frame(bytes.fromhex("01100600") + b"\\!TC/1"))
    assert trial.opened == ()
    assert [refusal.check for refusal in trial.shut] == ["mic"]
    assert tried(replace(other, address=5), sent(17)) == Trial()


def test_payload_that_the_decoder_cannot_read_is_told_with_the_reason() -> None:
    text = opened_text(tried(POND, sent(17, b"\xff\xff\xff")).opened[0])
    assert text.endswith("FCnt 17; with cayenne-lpp: WrongFormat: offset 0: channel 255, type 255: unknown type")


def test_key_of_a_device_that_joins_is_tried_on_its_join_request() -> None:
    joiner = replace(POND, address=None, keys=None, root=ROOT)
    (opened,) = tried(joiner, sent(17), request()).opened
    assert isinstance(opened, Join)
    assert "DevNonce a017" in opened_text(opened)
    wrong = replace(joiner, root=RootKeys(ROOT.dev_eui, ROOT.join_eui, bytes(16)))
    assert [refusal.check for refusal in tried(wrong, request()).shut] == ["mic"]


def test_packet_in_clear_is_read_and_said_to_prove_nothing() -> None:
    text = opened_text(tried(lowcost_device(), frame(bytes.fromhex("01100617") + b"\\!TC/22.5")).opened[0])
    assert "proves nothing; with text it reads TC 22.5" in text


def test_decoders_that_read_all_payloads_are_offered() -> None:
    unnamed = replace(POND, decoder="")
    trial = tried(unnamed, sent(17), sent(18, bytes.fromhex("006700e2016851")))
    assert opened_text(trial.opened[0]).endswith("FCnt 17")
    found = dict(decoders_for(trial, load_folder(shipped_folder()).decoders))
    assert [reading.value for reading in found["cayenne-lpp"]] == [22.6, 40.5]
    assert "json" not in found
