from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.lorawan.session_keys import SessionKeys
from lora_post.lowcost.header import Header, build_header
from lora_post.uplink.unlock import seal_lorawan, seal_lowcost
from tests.support.build import KEYS
from tests.support.command import run
from tests.support.in_process import harmless, lora_post

# Two temperatures as Cayenne LPP, channels 3 and 5.
LPP = "03670110056700ff"
FRAME = "40035cab0100000002c53faad42929afbcd834bc63"
NWK_SKEY = "000102030405060708090a0b0c0d0e0f"
APP_SKEY = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
WITH_KEYS = ("--nwk-skey", NWK_SKEY, "--app-skey", APP_SKEY)
SITE = f"""
[gateway]
id = "gw1"
[[device]]
dev_addr = "01ab5c03"
nwk_skey = "{NWK_SKEY}"
app_skey = "{APP_SKEY}"
decoder = "cayenne-lpp"
id = "lab-1"
name = "Lab 1"
[[device]]
address = 6
decoder = "text"
id = "field-6"
[[device]]
address = 9
decoder = "text"
nwk_skey = "{KEYS.nwk_skey.hex()}"
app_skey = "{KEYS.app_skey.hex()}"
id = "field-9"
"""
CLEAR = (build_header(Header(1, 0x10, 6, 4)) + b"\\!TC/22.5/HU/85").hex()


@pytest.fixture(autouse=True)
def no_other_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))
    yield


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    path.chmod(0o600)
    return path


def decoded(*arguments: object, **options: object) -> dict[str, object]:
    ran = lora_post("decode", "--json", *arguments, **options)  # type: ignore[arg-type]
    (line,) = ran.out.splitlines()
    return json.loads(line)  # type: ignore[no-any-return]


def test_frame_with_keys_is_explained_down_to_its_readings() -> None:
    ran = lora_post("decode", FRAME, *WITH_KEYS, "--decoder", "cayenne-lpp")
    assert ran.code == 0
    for text in ("01ab5c03", "0 on air, 0 in full", "MIC       OK", LPP, "temperature_3", "27.2", "°C", "channel 5"):
        assert text in ran.out


def test_frame_without_keys_is_explained_as_far_as_that_goes() -> None:
    ran = lora_post("decode", FRAME)
    assert ran.code == 0
    assert "not checked" in ran.out
    assert 'add a [[device]] with dev_addr = "01ab5c03"' in ran.out
    assert "--nwk-skey" in ran.out
    assert LPP not in ran.out


def test_keys_come_from_the_environment() -> None:
    ran = lora_post("decode", FRAME, LORA_POST_NWK_SKEY=NWK_SKEY, LORA_POST_APP_SKEY=APP_SKEY)
    assert "MIC       OK" in ran.out


def test_no_output_shows_a_key(site: Path) -> None:
    for arguments in ([FRAME, *WITH_KEYS], [FRAME, "-c", site], ["zz", *WITH_KEYS], [FRAME, *WITH_KEYS, "--json"]):
        ran = lora_post("decode", *arguments)
        assert NWK_SKEY not in ran.out + ran.err
        assert APP_SKEY not in ran.out + ran.err
    assert "00112233" not in lora_post("decode", "--help", LORA_POST_NWK_SKEY="00112233").out


def test_json_is_the_object_of_an_uplink(site: Path) -> None:
    found = decoded(FRAME, "-c", site)
    time = found["time"]
    assert found.pop("mic") == {"verdict": "OK", "expected": None}
    assert [each["name"] for each in found.pop("fields")] == ["PHYPayload"]  # type: ignore[attr-defined]
    reading = {"channel": 3, "quantity": "Temperature", "unit": "°C", "time": time}
    assert found == {
        "time": time,
        "gateway": "gw1",
        "device": "lab-1",
        "address": "01ab5c03",
        "kind": "lorawan",
        "fcnt": 0,
        "fport": 2,
        "rssi": None,
        "snr": None,
        "sf": None,
        "bw_khz": None,
        "freq_mhz": None,
        "payload": LPP,
        "decoder": "cayenne-lpp",
        "readings": [
            reading | {"sensor": "temperature_3", "value": 27.2},
            reading | {"sensor": "temperature_5", "value": 25.5, "channel": 5},
        ],
        "warnings": [],
        "refused": None,
    }


def test_json_has_every_field_and_the_verdict_on_the_mic(site: Path) -> None:
    found = decoded(FRAME[:-8] + "00000000", "-c", site)
    assert found["mic"] == {"verdict": "BAD", "expected": FRAME[-8:]}
    (whole,) = found["fields"]  # type: ignore[misc]
    mhdr, mac_payload, mic = whole["parts"]
    assert mic == {"name": "MIC", "size": "4 bytes", "on_air": "00000000", "meaning": "BAD", "parts": []}
    assert [each["name"] for each in mac_payload["parts"]] == ["FHDR", "FPort", "FRMPayload"]
    dev_addr = mac_payload["parts"][0]["parts"][0]
    assert (dev_addr["name"], dev_addr["on_air"], dev_addr["meaning"]) == ("DevAddr", "035cab01", "01ab5c03")
    assert (mhdr["on_air"], mac_payload["on_air"]) == ("40", None)
    assert decoded(CLEAR, "--decoder", "text")["mic"] is None
    assert (decoded("zz!")["mic"], decoded("zz!")["fields"]) == (None, [])


def test_json_has_null_for_what_only_a_configuration_tells() -> None:
    found = decoded(FRAME, *WITH_KEYS)
    assert (found["gateway"], found["device"], found["decoder"], found["readings"]) == (None, None, None, [])
    assert found["payload"] == LPP
    assert "add --decoder" in str(found["warnings"])


def test_device_of_the_configuration_is_named(site: Path) -> None:
    ran = lora_post("decode", FRAME, "-c", site)
    assert ran.code == 0
    assert "lab-1, Lab 1" in ran.out
    assert "with the keys of lab-1" in ran.out


def test_default_configuration_is_used_when_it_is_there(site: Path) -> None:
    site.rename("lora-post.toml")
    assert decoded(FRAME)["device"] == "lab-1"


def test_default_configuration_with_a_mistake_does_not_stand_in_the_way(caplog: pytest.LogCaptureFixture) -> None:
    Path("lora-post.toml").write_text("[gatway]\n")
    assert decoded(FRAME, *WITH_KEYS)["payload"] == LPP
    assert "going on without a configuration" in caplog.text


def test_named_configuration_with_a_mistake_ends_it() -> None:
    Path("site.toml").write_text("[gatway]\n")
    ran = lora_post("decode", FRAME, "-c", "site.toml")
    assert (ran.code, ran.out) == (2, "")
    assert "unknown table [gatway]" in ran.err


def test_keys_given_by_hand_go_before_those_of_the_configuration(site: Path) -> None:
    frame = seal_lorawan(KEYS, 0x01AB5C03, 7, 2, bytes.fromhex(LPP)).hex()
    by_hand = ("--nwk-skey", KEYS.nwk_skey.hex(), "--app-skey", KEYS.app_skey.hex())
    assert decoded(frame, "-c", site)["refused"] is not None
    found = decoded(frame, "-c", site, *by_hand)
    assert (found["device"], found["payload"], found["decoder"]) == ("lab-1", LPP, "cayenne-lpp")


def test_keys_given_by_hand_open_a_frame_of_a_stranger(site: Path) -> None:
    frame = seal_lorawan(KEYS, 0x26011BDA, 7, 2, bytes.fromhex(LPP)).hex()
    by_hand = ("--nwk-skey", KEYS.nwk_skey.hex(), "--app-skey", KEYS.app_skey.hex())
    found = decoded(frame, "-c", site, *by_hand, "--decoder", "cayenne-lpp")
    assert (found["device"], found["payload"], found["refused"]) == (None, LPP, None)
    assert [reading["sensor"] for reading in found["readings"]] == ["temperature_3", "temperature_5"]  # type: ignore[attr-defined]


def test_counter_never_makes_a_frame_too_old(site: Path) -> None:
    late, early = (seal_lorawan(_lab(), 0x01AB5C03, fcnt, 2, b"\x01") for fcnt in (70_000, 3))
    ran = lora_post("decode", "-", "--json", "-c", site, stdin=f"{late.hex()}\n{early.hex()}\n{early.hex()}\n".encode())
    assert [json.loads(line)["fcnt"] for line in ran.out.splitlines()] == [70_000, 3, 3]
    assert ran.code == 0


def test_bad_mic_is_said_and_told_by_the_exit_code(site: Path) -> None:
    for arguments in (["-c", site], WITH_KEYS):
        ran = lora_post("decode", FRAME[:-1] + "4", *arguments)
        assert ran.code == 1
        assert "MIC       BAD" in ran.out
    assert decoded(FRAME[:-1] + "4", "-c", site)["refused"]["check"] == "mic"  # type: ignore[index]
    assert lora_post("decode", FRAME[:-1] + "4").code == 0


def test_downlink_is_opened_with_the_keys(site: Path) -> None:
    phy_payload = "YCQfBCYC9QAIAQF+eOi0BvnZlM6hkIt/wA=="  # LowCostLoRaGw, README-downlink.md
    keys = ("--nwk-skey", "11FF06BAAE0FA66BA58F1FE052DD8A21", "--app-skey", "54AC7B9EC665D5CF0F1CD7924011072A")
    ran = lora_post("decode", phy_payload, *keys)
    assert ran.code == 0
    for text in ("unconfirmed downlink to DevAddr 26041f24", "RXTimingSetupReq", "MIC       OK", "helloworld"):
        assert text in ran.out
    bad = lora_post("decode", phy_payload, *WITH_KEYS)
    assert bad.code == 1


JOIN_REQUEST = "007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a"  # mcci-catena/arduino-lmic
JOIN_ACCEPT = "2051f5d85ee375533695ecb3bc0363768b0fa3418aad1f5fee7f10869b28063c90"
ROOT_KEY = "d84259acb354ca38d9b1bbeee638e5cf"


def test_joins_are_opened_with_the_app_key(site: Path) -> None:
    for frame, text in ((JOIN_REQUEST, "DevNonce"), (JOIN_ACCEPT, "2601282c")):
        ran = lora_post("decode", frame, "--app-key", ROOT_KEY)
        assert ran.code == 0
        assert "MIC       OK, with the keys given" in ran.out
        assert text in ran.out
        assert ROOT_KEY not in ran.out
        wrong = lora_post("decode", frame, "-c", site, "--app-key", APP_SKEY)
        assert wrong.code == 1
        assert "does not fit: damaged, forged, or a wrong key; expected " in wrong.out
    assert decoded(JOIN_REQUEST, LORA_POST_APP_KEY=ROOT_KEY)["mic"] == {"verdict": "OK", "expected": None}


def test_join_asks_for_the_root_key_and_not_for_session_keys() -> None:
    for frame in (JOIN_REQUEST, JOIN_ACCEPT):
        ran = lora_post("decode", frame)
        assert "--app-key" in ran.out
        assert "skey" not in ran.out.lower().replace("--app-key", "")


def test_keys_of_lorawan_1_1_are_given_by_hand(site: Path) -> None:
    keys = ("--f-nwk-s-int-key", "02" * 16, "--s-nwk-s-int-key", "02" * 16)
    more = ("--nwk-s-enc-key", "02" * 15 + "04", "--app-skey", "02" * 16)
    ran = lora_post("decode", "6004030201030000dfb4f1e24f1f9f", *keys, *more)
    assert ran.code == 0
    assert "LinkCheckAns  020701" in ran.out
    assert "device    " not in ran.out
    ran = lora_post("decode", "6004030201030000dfb4f1e24f1f9f", *keys)
    assert "--nwk-s-enc-key is missing; a frame is opened with all four keys" in ran.err
    ran = lora_post("decode", FRAME, *keys, *WITH_KEYS)
    assert "--nwk-skey is a key of LoRaWAN 1.0" in ran.err


def test_bad_mic_shows_the_one_that_the_keys_give(site: Path) -> None:
    for arguments in (["-c", site], WITH_KEYS):
        assert f"; expected {FRAME[-8:]}" in lora_post("decode", FRAME[:-8] + "00000000", *arguments).out


def test_time_is_the_reception_for_a_codec(tmp_path: Path) -> None:
    codec = tmp_path / "codec.js"
    codec.write_text("function decodeUplink(input) { return { data: { at: input.recvTime.getTime() } }; }")
    arguments = ("--payload", "00", "--decoder", codec)
    for text in ("2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01 12:00"):
        found = decoded(*arguments, "--time", text)
        assert found["data"] == {"at": 1_772_366_400_000}
    assert decoded(FRAME, *WITH_KEYS, "--time", "2026-03-01T12:00Z")["time"] == "2026-03-01T12:00:00Z"
    for text in ("noon", "1960-01-01", "99999999999"):
        ran = lora_post("decode", *arguments, "--time", text)
        assert (ran.code, ran.out) == (2, "")
        assert "--time: " in ran.err


def test_packet_in_clear_is_explained_with_its_device(site: Path) -> None:
    ran = lora_post("decode", CLEAR, "-c", site)
    assert ran.code == 0
    for text in ("field-6", "DATA_WAPPKEY", "\\!TC/22.5/HU/85", "TC", "22.5", "HU", "85"):
        assert text in ran.out


def test_packet_in_clear_needs_no_configuration() -> None:
    found = decoded(CLEAR, "--decoder", "text")
    assert [(reading["sensor"], reading["value"]) for reading in found["readings"]] == [("TC", 22.5), ("HU", 85)]  # type: ignore[attr-defined]
    assert (found["kind"], found["address"], found["device"], found["refused"]) == ("lowcost", "6", None, None)


def test_packet_of_a_stranger_is_refused_where_there_is_a_configuration(site: Path) -> None:
    stranger = (build_header(Header(1, 0x10, 77, 4)) + b"\\!TC/22.5").hex()
    assert decoded(stranger, "-c", site)["refused"]["check"] == "unknown-device"  # type: ignore[index]
    assert "\\!TC/22.5" in lora_post("decode", stranger, "-c", site).out


def test_encrypted_packet_is_opened(site: Path) -> None:
    packet = seal_lowcost(KEYS, 9, 5, b"\\!TC/18.25").hex()
    found = decoded(packet, "-c", site)
    assert (found["device"], found["payload"], found["fcnt"]) == ("field-9", b"\\!TC/18.25".hex(), 5)
    by_hand = ("--nwk-skey", KEYS.nwk_skey.hex(), "--app-skey", KEYS.app_skey.hex())
    assert decoded(packet, *by_hand)["payload"] == b"\\!TC/18.25".hex()


def test_keys_given_by_hand_do_not_make_a_clear_packet_suspicious() -> None:
    assert decoded(CLEAR, *WITH_KEYS, "--decoder", "text")["refused"] is None


@pytest.mark.parametrize(
    "words",
    [
        [FRAME],
        [FRAME.upper()],
        ["0x" + FRAME],
        [bytes.fromhex(FRAME).hex(" ")],
        bytes.fromhex(FRAME).hex(" ").split(),
        [bytes.fromhex(FRAME).hex(":")],
        [base64.b64encode(bytes.fromhex(FRAME)).decode()],
        [base64.urlsafe_b64encode(bytes.fromhex(FRAME)).decode().rstrip("=")],
    ],
)
def test_frame_may_be_written_in_many_ways(words: list[str]) -> None:
    assert decoded(*words, *WITH_KEYS)["payload"] == LPP


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("40035", "hex digits, want two for each byte"),
        ("hello!", "neither hex ('h' at character 1) nor base64 ('!' at character 6)"),
        ("0b45", "neither a LoRaWAN nor a LowCostLoRaGw header; for a clear payload add --payload"),
        ("AwMDAwMDAwMDAwMD", "(read as base64)"),
        ("40035cab01", "a LoRaWAN data frame has at least 12"),
    ],
)
def test_what_is_no_frame_is_refused_in_one_line(text: str, complaint: str) -> None:
    ran = lora_post("decode", text)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert complaint in ran.err
    found = decoded(text)
    assert found["refused"]["check"] == "frame"  # type: ignore[index]


def test_frames_are_read_from_stdin_one_a_line(site: Path) -> None:
    lines = f"{FRAME}\n\nnonsense\r\n{base64.b64encode(bytes.fromhex(FRAME)).decode()}"
    ran = lora_post("decode", "-", "-c", site, stdin=lines.encode())
    assert ran.code == 1
    assert ran.out.count("lab-1, Lab 1") == 2
    assert "line 4: LoRaWAN unconfirmed uplink" in ran.out
    assert ran.err.startswith("Error: line 3: ")
    in_json = [json.loads(line) for line in lora_post("decode", "--json", "-", stdin=lines.encode()).out.splitlines()]
    assert [line["refused"]["check"] for line in in_json] == ["unknown-device", "frame", "unknown-device"]


def test_endless_line_costs_only_itself() -> None:
    ran = lora_post("decode", "-", "--json", *WITH_KEYS, stdin=b"40" * 100_000 + b"\n" + FRAME.encode())
    first, second = (json.loads(line) for line in ran.out.splitlines())
    assert "characters" in first["refused"]["detail"]
    assert second["payload"] == LPP


def test_clear_payload_is_explained_whichever_side_the_flag_is_on() -> None:
    before = lora_post("decode", "--payload", LPP, "--decoder", "cayenne-lpp", "--fport", "2")
    after = lora_post("decode", LPP, "--decoder", "cayenne-lpp", "--fport", "2", "--payload")
    assert before == after
    assert before.code == 0
    for text in ("payload of 8 bytes on FPort 2", "as text   .g...g..", "temperature_3  27.2"):
        assert text in before.out


def test_clear_payload_as_json() -> None:
    found = decoded("--payload", LPP + "88", "--decoder", "cayenne-lpp")
    assert list(found) == ["data", "readings", "warnings", "errors"]
    assert found["data"] is None
    assert [reading["value"] for reading in found["readings"]] == [27.2, 25.5]  # type: ignore[attr-defined]
    assert "stray byte" in str(found["warnings"])
    assert found["errors"] == []


def test_payload_that_the_decoder_cannot_read_says_why() -> None:
    found = decoded("--payload", "01", "--decoder", "cayenne-lpp")
    assert (found["readings"], len(found["errors"])) == ([], 1)  # type: ignore[arg-type]
    assert "stray byte" in str(found["errors"])
    ran = lora_post("decode", "--payload", "01", "--decoder", "cayenne-lpp")
    assert ran.code == 0
    assert "problem" in ran.out


def test_many_payloads_are_read_from_stdin() -> None:
    stdin = f"2 {LPP}\n1 -\n\n999 00\nx\n10 zz!\n3 {bytes.fromhex(LPP).hex(' ')}\n".encode()
    ran = lora_post("decode", "--payload", "--json", "-", "--decoder", "cayenne-lpp", stdin=stdin)
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert [len(line["readings"]) for line in found] == [2, 0, 0, 0, 0, 2]
    assert found[1]["errors"] == []
    assert [line["errors"][0].partition(":")[0] for line in found[2:5]] == ["line 4", "line 5", "line 6"]
    assert ran.code == 1


def test_payload_without_a_decoder_is_shown_and_asks_for_one() -> None:
    assert "add --decoder" in lora_post("decode", "--payload", LPP).out
    assert "add --decoder" in str(decoded("--payload", LPP)["errors"])


def test_mac_commands_given_as_payload_are_named() -> None:
    assert "LinkCheckReq" in lora_post("decode", "--payload", "02", "--fport", "0").out


def test_decoder_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from lora_post import Decoder, Reading\n"
        "def decode(payload, fport):\n    return [Reading('first', payload[0], '°C'), Reading('port', fport)]\n"
        "DECODER = Decoder('mine', decode, 'v', 'm', 's', [])\n"
    )
    found = decoded("--payload", "2a", "--decoder", path, "--fport", "9")
    assert [(reading["sensor"], reading["value"]) for reading in found["readings"]] == [("first", 42), ("port", 9)]  # type: ignore[attr-defined]
    path.write_text("import nonsense_that_is_not_there\n")
    ran = lora_post("decode", "--payload", "2a", "--decoder", path)
    assert ran.code == 2
    assert "nonsense_that_is_not_there" in ran.err


@pytest.mark.long
def test_decoder_that_hangs_is_ended_and_its_line_named(tmp_path: Path) -> None:
    path = tmp_path / "probe.py"
    path.write_text(
        "from lora_post import Decoder\n\ndef decode(payload, fport):\n    while True:\n        pass\n"
        "DECODER = Decoder('probe', decode, 'v', 'm', 's', [])\n"
    )
    assert (
        "DecoderHang: decoder hangs: probe gave no result in 2 s (probe.py line "
        in lora_post("decode", "--payload", "2a", "--decoder", path).out
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            [FRAME, "--decoder", "cayene-lpp"],
            "--decoder: there is no decoder 'cayene-lpp'; did you mean 'cayenne-lpp'?",
        ),
        ([FRAME, "--decoder", "zzz"], "there is no decoder 'zzz'; known are "),
        ([FRAME, "--decoder", "no/such.py"], "--decoder: there is no file no/such.py"),
        ([FRAME, "--decoder", "such.js"], "--decoder: there is no file such.js"),
        ([FRAME, "--decoder", "/"], "--decoder: / is a folder; `lora-post decoders new` writes"),
        ([FRAME, "--nwk-skey", NWK_SKEY], "--app-skey is missing"),
        ([FRAME, "--app-skey", APP_SKEY], "--nwk-skey is missing"),
        ([FRAME, "--nwk-skey", NWK_SKEY[1:], "--app-skey", APP_SKEY], "--nwk-skey has 31 characters; it must be 32"),
        ([FRAME, "--fport", "2"], "--fport goes with"),
        (["--payload", "-", "--fport", "2"], "--fport goes with"),
        (["--payload", "00", "--fport", "256"], "256"),
        ([], "Missing argument"),
    ],
)
def test_wrong_option_is_named_with_the_fix(arguments: list[str], complaint: str) -> None:
    ran = lora_post("decode", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err


@pytest.mark.parametrize("name", ["frames.txt", "frames", "00"])
def test_file_in_place_of_a_frame_is_called_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(f"{FRAME}\n")
    advice = f"it is a file: `lora-post replay {name}`; its lines alone: `lora-post decode"
    assert f"{advice} - < {name}`" in lora_post("decode", name).err
    assert "; for a clear payload add --payload" in lora_post("decode", "x" * 5000).err
    payload = lora_post("decode", "--payload", "frames.txt", "--decoder", "text")
    assert (f"{advice} --payload - < {name}`" in payload.err) is (name == "frames.txt")


def test_control_characters_from_radio_never_reach_the_terminal() -> None:
    wicked = b"\\!TC/\x1b]0;owned\x07/\xc2\x9b31m/\xe2\x80\xae\x7f"
    packet = (build_header(Header(1, 0x10, 6, 4)) + wicked).hex()
    for colours in ({}, {"FORCE_COLOR": "1"}):
        for arguments in (
            [packet],
            [packet, "--json"],
            ["--payload", wicked.hex()],
            ["--payload", wicked.hex(), "--json"],
        ):
            ran = lora_post("decode", *arguments, "--decoder", "text", **colours)
            assert ran.code == 0
            assert harmless(ran.out + ran.err)


def test_markup_in_a_payload_is_not_interpreted() -> None:
    packet = (build_header(Header(1, 0x10, 6, 4)) + b"\\![red]A/[/red]").hex()
    assert "[red]A/[/red]" in lora_post("decode", packet, FORCE_COLOR="1").out


HEADS = st.sampled_from(["", "40da1b0126", "60", "80", "011006", "011406", "011206", "c000", "00", "20", "5c21"])
WORDS = st.text(max_size=60) | st.builds(lambda head, tail: head + tail.hex(), HEADS, st.binary(max_size=60))


@given(st.lists(WORDS, max_size=8), st.booleans(), st.booleans())
def test_any_text_is_explained_or_refused_and_nothing_harmful_is_printed(
    texts: list[str], payload: bool, as_json: bool
) -> None:
    flags = ["--payload"] * payload + ["--json"] * as_json
    stdin = "\n".join(texts).encode("utf-8", "surrogatepass")
    ran = lora_post("decode", "-", "--decoder", "text", *WITH_KEYS, *flags, stdin=stdin)
    assert ran.code in (0, 1)
    assert harmless(ran.out + ran.err)
    for line in ran.out.splitlines() if as_json else ():
        json.loads(line)


def test_installed_command_ends_with_the_code_that_help_names(tmp_path: Path) -> None:
    good = run("decode", FRAME, *WITH_KEYS, cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, b"")
    bad = run("decode", "zz!", cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (1, b"")
    wrong = run("decode", FRAME, "--decoder", "zzz", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(b"Error: --decoder: there is no decoder 'zzz'")


def _lab() -> SessionKeys:
    return SessionKeys(bytes.fromhex(NWK_SKEY), bytes.fromhex(APP_SKEY))


@pytest.mark.parametrize(
    ("nwk_skey", "app_skey", "says"),
    [
        (APP_SKEY, NWK_SKEY, "nwk_skey and app_skey are exchanged; expected"),
        (bytes.fromhex(NWK_SKEY)[::-1].hex(), APP_SKEY, "nwk_skey is written back to front; expected"),
        (NWK_SKEY, bytes.fromhex(APP_SKEY)[::-1].hex(), "app_skey is written back to front"),
        ("11" * 16, APP_SKEY, "the MIC fits no key of the device: damaged, forged, or wrong keys; expected"),
    ],
)
def test_classic_mistake_in_keys_is_named(nwk_skey: str, app_skey: str, says: str) -> None:
    arguments = ("--nwk-skey", nwk_skey, "--app-skey", app_skey, "--decoder", "cayenne-lpp")
    assert says in lora_post("decode", FRAME, *arguments).out
    assert "?" not in lora_post("decode", FRAME, *arguments).out
    told = lora_post("decode", FRAME, *arguments, "--json").out
    assert says.partition("; expected")[0] in told
    assert json.loads(told).get("device") is None


def test_classic_mistake_in_the_configuration_is_named_too() -> None:
    Path("lora-post.toml").write_text(
        f'[gateway]\nid = "gw1"\n[[device]]\nid = "pond"\ndev_addr = "01ab5c03"\ndecoder = "cayenne-lpp"\n'
        f'nwk_skey = "{APP_SKEY}"\napp_skey = "{NWK_SKEY}"\n'
    )
    assert "BAD: pond: nwk_skey and app_skey are exchanged" in lora_post("decode", FRAME).out
