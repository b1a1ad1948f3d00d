from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import UTC
from pathlib import Path

import msgspec
import pytest

from lora_post import Decoder, Reading
from lora_post.cli._options import read_decoding
from lora_post.config import Config, parse_config
from lora_post.decoding.choice import Decoding, mistakes_of
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.decoding.time_limit import TimeLimit
from lora_post.errors import ConfigError
from lora_post.formats.lowcost_gw import LowcostParser
from lora_post.metrics import Metrics
from lora_post.model import DecodeFunction, Device, Options, SensorRule
from lora_post.run.pipeline import Pipeline
from lora_post.spool import undecoded
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, frame
from tests.support.command import packet
from tests.support.in_process import lora_post

KEY = "00112233445566778899aabbccddeeff"
SITE = f'[gateway]\nid = "gw1"\n[waziup]\nprovision = "never"\n\
[spool]\npath = "spool.db"\n[[device]]\nid = "pond-7"\ndev_addr = "26011bda"\n\
nwk_skey = "{KEYS.nwk_skey.hex()}"\napp_skey = "{KEYS.app_skey.hex()}"\n'


def saying(name: str, configure: Callable[[Options], DecodeFunction] | None = None) -> Decoder:
    """A decoder whose reading is its own name."""
    return Decoder(name, lambda payload, fport: [Reading("x", name)], "v", "m", "s", [], configure)


def counting(options: Options) -> DecodeFunction:
    """A device type with the option `step`."""
    if set(options) != {"step"}:
        raise ConfigError(f"unknown option {sorted(options)[0]!r}", fix="there is step")
    return lambda payload, fport: [Reading("x", f"step {options['step']}")]


DECODERS = {decoder.name: decoder for decoder in (saying("a"), saying("b"), saying("steps", counting))}


def uplink(of: Device, fport: int | None = 2, payload: bytes = b"\x01") -> Uplink:
    return Uplink(frame(), of, 7, fport, payload, True)


def decoded(of: Device, fport: int | None = 2, decoders: dict[str, Decoder] = DECODERS) -> object:
    """The value of the one reading, or the problem."""
    for devices in ([of], []):  # configured, and gone from the configuration
        report = Decoding(devices, decoders).decode(uplink(of, fport))
    return report.readings[0].value if report.readings else report.problem


@pytest.mark.parametrize(
    ("of", "fport", "result"),
    [
        (device(decoder="a"), 2, "a"),
        (device(decoder="a"), None, "a"),
        (device(decoder="a", decoder_by_fport={2: "b"}), 2, "b"),
        (device(decoder="a", decoder_by_fport={2: "b"}), 3, "a"),
        (device(decoder="a", decoder_by_fport={2: "b"}), None, "a"),
        (device(decoder="", decoder_by_fport={2: "b", 10: "a"}), 10, "a"),
        (
            device(decoder="", decoder_by_fport={10: "a", 2: "b"}),
            3,
            "no decoder for payloads on FPort 3: decoder_by_fport has 2, 10, and decoder is not set",
        ),
        (device(decoder="z"), 2, "no decoder is called 'z'"),
        (device(decoder="a", decoder_by_fport={2: "z"}), 2, "no decoder is called 'z'"),
        (device(decoder="steps"), 2, "steps"),
        (device(decoder="steps", options={"step": 5}), 2, "step 5"),
        (device(decoder="a", decoder_by_fport={2: "steps"}, options={"step": 5}), 2, "step 5"),
        (device(decoder="a", decoder_by_fport={2: "steps"}, options={"step": 5}), 3, "a"),
    ],
)
def test_decoder_is_chosen_by_device_and_fport(of: Device, fport: int | None, result: str) -> None:
    assert decoded(of, fport) == result


def test_options_of_one_device_do_not_reach_another() -> None:
    five, six = (device(f"d{n}", decoder="steps", options={"step": n}) for n in (5, 6))
    decoding = Decoding([five, six], DECODERS)
    values = [decoding.decode(uplink(of)).readings[0].value for of in (five, six, five)]
    assert values == ["step 5", "step 6", "step 5"]


@pytest.mark.parametrize(("fport", "payload"), [(0, b"\x02"), (3, b"")])
def test_uplink_without_readings_needs_no_decoder(fport: int, payload: bytes) -> None:
    report = Decoding([], {}).decode(uplink(device(decoder="", decoder_by_fport={2: "b"}), fport, payload))
    assert report.problem is None


def test_sensor_rules_apply_to_configured_devices_and_to_those_that_are_gone() -> None:
    of = device(decoder="a", sensors=(SensorRule("x", rename="y"),))
    for devices in ([of], []):
        assert Decoding(devices, DECODERS).decode(uplink(of)).readings == (Reading("y", "a"),)


def crashing(options: Options) -> DecodeFunction:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("of", "text", "fix"),
    [
        (device(decoder="z"), "there is no decoder 'z'", "known are a, b, crash, rubbish, steps"),
        (device(decoder="step"), "there is no decoder 'step'", "did you mean 'steps'?"),
        (device(decoder="a", decoder_by_fport={2: "z"}), "there is no decoder 'z'", "known are "),
        (device(decoder="a", options={"x": 1}), "options: decoder 'a' has no options", "remove x"),
        (device(decoder="steps", options={"x": 1}), "options: decoder 'steps': unknown option 'x'", "there is step"),
        (
            device(decoder="crash", options={"x": 1}),
            "decoder 'crash' crashed over these options: ZeroDivisionError: division by zero",
            "correct the options",
        ),
        (device(decoder="rubbish", options={"x": 1}), "made a NoneType of these options", "correct the options"),
    ],
)
def test_mistake_is_named_with_the_device_and_the_fix(of: Device, text: str, fix: str) -> None:
    more = {
        "crash": saying("crash", crashing),
        "rubbish": saying("rubbish", lambda options: None),  # type: ignore[arg-type,return-value]
    }
    (mistake,) = mistakes_of([of, device("good", decoder="a")], DECODERS | more)
    assert mistake.device == "pond-7"
    assert text in mistake.problem.what
    assert fix in mistake.problem.fix


def test_device_whose_options_are_refused_has_a_problem_that_says_so() -> None:
    problem = decoded(device(decoder="a", options={"x": 1}))
    assert problem == "DecodeError: options: decoder 'a' has no options; remove x"


def test_new_decoders_are_used_from_then_on() -> None:
    of = device(decoder="a")
    decoding = Decoding([of], DECODERS)
    other = Decoder("a", lambda payload, fport: [Reading("x", "new")], "v", "m", "s", [])
    assert decoding.use({"a": other}) == []
    assert decoding.decode(uplink(of)).readings == (Reading("x", "new"),)
    (mistake,) = decoding.use({})
    assert mistake.problem.what == "there is no decoder 'a'"
    assert decoding.decode(uplink(of)).problem == "no decoder is called 'a'"


def test_device_keeps_its_decoder_when_the_new_one_refuses_its_options() -> None:
    of = device(decoder="steps", options={"step": 5})
    decoding = Decoding([of], DECODERS)
    (mistake,) = decoding.use({"steps": saying("steps")})
    assert "has no options" in mistake.problem.what
    assert decoding.decode(uplink(of)).readings == (Reading("x", "step 5"),)


# from the configuration to the spool


def site(text: str, folder: Path = Path("x")) -> Config:
    return parse_config(SITE + text, folder / "site.toml", {})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('decoder = "cayene-lpp"\n', "device pond-7: there is no decoder 'cayene-lpp'; did you mean 'cayenne-lpp'?"),
        ('decoder = "zzz"\n', "device pond-7: there is no decoder 'zzz'; known are "),
        ('decoder = "text"\noptions = { a = 1 }\n', "device pond-7: options: decoder 'text' has no options; remove a"),
        ("decoder_by_fport = { 2 = 'zzz', 3 = 'text' }\n", "device pond-7: there is no decoder 'zzz'; known are "),
    ],
)
def test_configuration_that_cannot_be_decoded_ends_the_command(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught, TimeLimit() as watch:
        read_decoding(site(text), watch)
    assert str(caught.value).startswith(f"x/site.toml: {complaint}")


def test_decoder_whose_file_cannot_be_loaded_is_named_with_its_fault(tmp_path: Path) -> None:
    (tmp_path / "own_probe.py").write_text("DECODER = oops\n")
    text = '[decoders]\nfolder = "."\n'
    with pytest.raises(ConfigError) as caught, TimeLimit() as watch:
        read_decoding(site(f'decoder = "own-probe"\n{text}', tmp_path), watch)
    said = f"could not be loaded: {tmp_path}/own_probe.py: NameError: name 'oops' is not defined; correct the file"
    assert f"decoder 'own-probe' {said}" in str(caught.value)


BY_FPORT = (
    "decoder_by_fport = { 2 = 'cayenne-lpp', 10 = 'text' }\n"
    "[[device.sensor]]\nname = 'temperature_3'\nrename = 'pond'\noffset = -0.2\n"
    "[[device.sensor]]\nname = 'TC'\nscale = 2\n"
)


def sent(fport: int, payload: bytes, fcnt: int) -> bytes:
    return packet(seal_lorawan(KEYS, 0x26011BDA, fcnt, fport, payload), NOON_US + fcnt)


def test_uplinks_of_one_device_go_through_the_pipeline_by_their_fport(tmp_path: Path) -> None:
    config = site(BY_FPORT, tmp_path)
    outcomes: list[Outcome] = []
    metrics = Metrics()
    with closing(SpoolFile(config.spool_path)) as store, TimeLimit() as watch:
        ledger = SpoolLedger(store, config.devices, QueueWriter(store, ["waziup"], 1 << 30))
        pipeline = Pipeline(ledger, read_decoding(config, watch), metrics, outcomes.append)
        lpp = bytes.fromhex("03670110")
        capture = sent(2, lpp, 1) + sent(10, b"\\!TC/4", 2) + sent(3, lpp, 3) + sent(10, lpp, 4)
        pipeline.handle(LowcostParser("gw1", UTC).feed(capture, NOON_US))
        left = undecoded.load(store)
    reports = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    assert [[(r.name, r.value) for r in report.readings] for report in reports] == [
        [("pond", 27.0)],
        [("TC", 8)],
        [],
        [],
    ]
    assert [(row.decoder, row.fport) for row in left] == [("", 3), ("text", 10)]
    assert "decoder_by_fport has 2, 10" in left[0].problem
    assert metrics.labels("undecoded") == {"": 1, "text": 1}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))
    return tmp_path


def test_decode_command_makes_the_same_choice(here: Path) -> None:
    Path("lora-post.toml").write_text(SITE + BY_FPORT)
    frames = [seal_lorawan(KEYS, 0x26011BDA, 1, fport, bytes.fromhex("03670110")).hex() for fport in (2, 3)]
    ran = lora_post("decode", "--json", "-", stdin="\n".join(frames).encode())
    chosen, unchosen = (msgspec.json.decode(line) for line in ran.out.splitlines())
    assert chosen["decoder"] == "cayenne-lpp"
    assert [(reading["sensor"], reading["value"]) for reading in chosen["readings"]] == [("pond", 27.0)]
    assert unchosen["decoder"] is None
    assert "no decoder for payloads on FPort 3" in unchosen["warnings"][0]


def test_decode_command_with_another_decoder_leaves_out_what_is_said_of_the_device_s_own(here: Path) -> None:
    Path("lora-post.toml").write_text(
        SITE + "decoder = 'text'\n[[device.sensor]]\nname = 'temperature_3'\ndrop = true\n"
    )
    sealed = seal_lorawan(KEYS, 0x26011BDA, 1, 2, bytes.fromhex("03670110")).hex()
    found = msgspec.json.decode(lora_post("decode", "--json", sealed, "--decoder", "cayenne-lpp").out)
    assert [reading["sensor"] for reading in found["readings"]] == ["temperature_3"]


def test_spool_retry_makes_the_choice_of_today(here: Path) -> None:
    Path("lora-post.toml").write_text(SITE + "decoder_by_fport = { 2 = 'text' }\n")
    config = parse_config(Path("lora-post.toml").read_text(), Path("lora-post.toml"), {})
    of = config.devices[0]
    with closing(SpoolFile(config.spool_path)) as store:
        writer = QueueWriter(store, ["waziup"], 1 << 30)
        with store.transaction() as db:
            writer.put(db, [Decoding([of], {}).decode(uplink(of, 2, bytes.fromhex("03670110")))])
        assert [row.decoder for row in undecoded.load(store)] == ["text"]
    Path("lora-post.toml").write_text(SITE + BY_FPORT)
    assert "1 payload decoded, with 1 reading" in lora_post("spool", "retry").out
    assert "pond " in lora_post("spool").out


def test_check_names_a_decoder_that_refuses_its_options(here: Path) -> None:
    Path("lora-post.toml").write_text(SITE + 'decoder = "text"\noptions = { a = 1 }\n')
    out = lora_post("check", "--offline").out
    assert "pond-7: options: decoder 'text' has no options" in out
    assert "fix: remove a" in out


def test_decoders_of_a_device_without_rules_are_the_loaded_ones(caplog: pytest.LogCaptureFixture) -> None:
    shipped = load_folder(shipped_folder()).decoders
    with caplog.at_level(logging.INFO):
        report = Decoding([device()], shipped).decode(uplink(device(), 2, bytes.fromhex("03670110")))
    assert report.readings == (Reading("temperature_3", 27.2, "°C", 3),)
    assert caplog.records == []
