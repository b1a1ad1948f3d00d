"""Capture and replay, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from lora_post.captures.tee import Tee
from lora_post.captures.writer import PcapWriter
from lora_post.cli.capture import CaptureDisplay, _open
from lora_post.formats import FORMATS
from lora_post.inputs.mqtt import MqttInput
from tests.support.command import PATIENCE_S, run, started, wait_until
from tests.support.in_process import lora_post
from tests.support.parsers import FIXTURES, LAB_1
from tests.support.programs import program

CAPTURES = sorted(path for name in FORMATS for path in FIXTURES.glob(f"*.{name}"))
LINE = b"radio_rx  " + LAB_1.hex().encode() + b"\r\n8\r\n-57\r\nok\r\n"


def config_of(capture: Path) -> Path:
    own = capture.with_suffix(".toml")
    return own if own.exists() else FIXTURES / "devices.toml"


def identities(out: str) -> list[tuple[object, ...]]:
    uplinks = [json.loads(line) for line in out.splitlines()]
    return [(uplink["device"], uplink["fcnt"], uplink["payload"], uplink["refused"]) for uplink in uplinks]


def tshark(*arguments: object) -> list[list[str]]:
    command = [program("tshark"), "-T", "fields", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_fixture_can_be_replayed_captured_and_replayed_again(capture: Path, tmp_path: Path) -> None:
    replayed = lora_post("replay", capture, "-c", config_of(capture), "--dry-run", "-q")
    assert replayed.code == 0, replayed.err
    expected = json.loads((FIXTURES / f"{capture.stem}.expected.json").read_text("utf-8"))["uplinks"]
    assert len(replayed.out.splitlines()) == len(expected)

    copy = tmp_path / "copy.bin"
    assert lora_post("capture", "--input", f"file:{capture}", "--to", copy, "-q").code == 0
    again = lora_post("replay", copy, "-c", config_of(capture), "--dry-run", "-q")
    if capture.suffix == ".capture":
        assert again.code == 1  # a capture within a capture is not read
    else:
        assert again.code == 0, again.err
        assert identities(again.out) == identities(replayed.out)


@pytest.mark.parametrize("input_format", FORMATS)
@pytest.mark.parametrize("rubbish", [b"dear diary\n" * 10, bytes(range(256)) * 20], ids=["text", "bytes"])
def test_file_without_a_frame_ends_with_one_code_and_line_in_any_format(
    input_format: str, rubbish: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    diary, site = tmp_path / "diary", tmp_path / "site.toml"
    diary.write_bytes(rubbish)
    site.write_text(f'[gateway]\nid = "gw1"\n[[input]]\nurl = "file:{diary}"\nformat = "{input_format}"\n')
    replay = "replay", diary, "--format", input_format
    for command in (replay, ("run",)):
        caplog.clear()
        assert lora_post(*command, "-c", site, "--dry-run").code == 1
        (line,) = (line for line in caplog.messages if "not one frame" in line)
        assert line.startswith(f"skipped {len(rubbish)} bytes (no-frame): not one frame in all of {diary}; check its")


def test_each_file_without_a_frame_is_named_and_the_others_are_replayed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, empty, first, second = CAPTURES[0], *(tmp_path / name for name in ("empty", "first", "second"))
    empty.touch()
    for path in (first, second):
        path.write_bytes(b"dear diary\n")
    ran = lora_post("replay", first, good, second, empty, "-c", config_of(good), "--dry-run")
    assert ran.code == 1 and ran.out
    assert [line.split(" of ")[1].split(";")[0] for line in caplog.messages if "no-frame" in line] == [
        str(first),
        str(second),
    ]
    assert lora_post("replay", empty, "-c", config_of(good), "--dry-run").code == 0
    assert f"{empty} is empty: nothing was recorded" in caplog.messages


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast"])
def test_speed_must_be_a_factor_or_max(speed: str) -> None:
    ran = lora_post("replay", FIXTURES / "at_rak811.rak", "--speed", speed)
    assert ran.code == 2 and "neither a number above 0 nor max" in ran.err


def test_slow_replay_is_interrupted_at_once() -> None:
    """Its frames lie hundreds of seconds apart."""
    capture = FIXTURES / "lowcost_raw_lorawan.lowcost"
    arguments = ("replay", str(capture), "--speed", "0.001", "--dry-run", "-c", str(config_of(capture)))
    with started(*arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"{")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 75


def test_capture_grows_while_it_listens_and_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "a.capture"
    for n in (1, 2):
        with started("capture", "--to", str(path), "--format", "rn2483") as process:
            assert process.stdin is not None and process.stderr is not None
            process.stdin.write(LINE)
            assert b"DevAddr 01ab5c03" in process.stderr.readline()
            wait_until(lambda n=n: path.read_bytes().count(b"\nD 0 ") == n, "nothing was written")
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
            assert b"1 frame," in process.stderr.read()
    ran = lora_post("replay", path, "-c", FIXTURES / "devices.toml", "--dry-run", "-q")
    assert [uplink[3] is None for uplink in identities(ran.out)] == [True, False]  # the second one is a repeat


def test_bad_arguments_are_mistakes_of_the_user(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    diary.write_text("dear diary")
    for arguments in (
        ("--to", diary),
        ("--to", tmp_path / "no" / "folder"),
        ("--to", tmp_path / "a", "--input", "gopher:x"),
        ("--to", tmp_path / "a", "--input", "file:/no/such/file"),
        ("--to", tmp_path / "a", "--format", "vhs"),
        ("--to", tmp_path / "a", "--input", "udp://127.0.0.1:0"),  # messages, not a stream of bytes
        (),
    ):
        assert lora_post("capture", *arguments).code == 2
    assert diary.read_text() == "dear diary"


def test_broker_keeps_nothing_for_a_capture_that_is_over(tmp_path: Path) -> None:
    writer = PcapWriter(tmp_path / "a.pcap")
    mqtt = _open("mqtt://127.0.0.1:1/up", "lines", writer, CaptureDisplay(line=False))
    assert isinstance(mqtt, MqttInput)
    assert mqtt._client._clean_session
    writer.close()


def test_run_writes_what_all_inputs_give_to_a_capture(tmp_path: Path) -> None:
    first, second = FIXTURES / "at_rak811.rak", FIXTURES / "lowcost_raw_lorawan.lowcost"
    devices = (FIXTURES / "devices.toml").read_text("utf-8")
    inputs = "".join(f'[[input]]\nurl = "file:{path}"\nformat = "auto"\n' for path in (first, second))
    site = tmp_path / "site.toml"
    site.write_text(devices + inputs)
    path = tmp_path / "run.capture"
    done = run("run", "-c", str(site), "--dry-run", "--capture", str(path))
    assert done.returncode == 0, done.stderr
    ran = lora_post("replay", path, "-c", site, "--dry-run", "-q")
    assert sorted(map(str, identities(ran.out))) == sorted(map(str, identities(done.stdout.decode())))


def test_run_goes_on_when_its_capture_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.capture"
    tee = Tee(path)
    hear = tee.add("stdin:", "rak")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda fd, data, at: 0)  # a full disk
        for _ in range(3):
            hear(b"+EVT:TXP2P DONE\r\n", 1)
    for data in (b"+EVT:RXP2P:-57:8:", b"4003\r\n"):
        hear(data, 2)
    tee.close()
    assert caplog.text.count("the disk is full; going on without capture") == 1
    assert caplog.text.count("capturing again") == 1
    kinds = [line.split()[0] for line in path.read_bytes().splitlines()]
    assert kinds == [b"lora-post-capture", b"S", b"S", b"D", b"D"]  # begun anew: a part of it is missing
    Tee(path).close()  # it was let go of


def test_capture_leaves_the_spool_the_room_that_sending_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.capture"
    tee = Tee(path)
    hear = tee.add("stdin:", "rak")
    size = path.stat().st_size
    room = os.statvfs(path)
    monkeypatch.setattr(tee._writer._file, "_keep_bytes", room.f_blocks * room.f_frsize + 1)
    for _ in range(3):
        hear(b"+EVT:RXP2P:-57:8:4003\r\n", 1)
    assert path.stat().st_size == size
    assert caplog.text.count("the disk is nearly full; going on without capture") == 1
    monkeypatch.setattr("os.statvfs", lambda fd: os.statvfs_result([4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255]))
    hear(b"+EVT:RXP2P:-57:8:4003\r\n", 1)  # a file system without a bound does not tell its room
    assert path.stat().st_size > size
    monkeypatch.undo()
    size = path.stat().st_size
    monkeypatch.setattr(tee._writer._file, "_keep_bytes", 1)
    hear(b"+EVT:RXP2P:-57:8:4003\r\n", 2)
    assert path.stat().st_size > size
    tee.close()


def test_wireshark_reads_what_was_captured_as_pcap(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    for _ in range(2):
        source = FIXTURES / "lora_pkt_fwd.rxpk"
        assert lora_post("capture", "--input", f"file:{source}", "--to", path, "-q").code == 0
    fields = ("frame.time_epoch", "loratap.channel.frequency", "loratap.channel.sf", "loratap.rssi.current")
    rows = tshark("-r", path, *(word for field in fields for word in ("-e", field)))
    assert rows[0] == ["1715674530.123456000", "868100000", "12", "82"]
    frames = [row[1:] for row in rows]
    assert frames[: len(rows) // 2] == frames[len(rows) // 2 :]


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("loratap_v0_le", []),
        ("loratap_v1_be", []),
        pytest.param("loratap_v0_le", ["-F", "nsecpcap"], marks=pytest.mark.long),
        pytest.param("loratap_v1_be", ["-F", "pcapng"], marks=pytest.mark.long),
    ],
    ids=lambda value: "".join(value),
)
def test_wireshark_and_we_read_the_same_times(name: str, convert: list[str], tmp_path: Path) -> None:
    capture = FIXTURES / f"{name}.pcap"
    path = tmp_path / "file"
    if convert:
        subprocess.run(
            ["editcap", *convert, str(capture), str(path)], check=True, timeout=PATIENCE_S, capture_output=True
        )
    else:
        path.write_bytes(capture.read_bytes())
    rows = tshark("-r", path, "-e", "frame.time_epoch", "-e", "loratap.channel.frequency")
    # From a pipe, as a capture that is still being written comes.
    site = tmp_path / "site.toml"
    site.write_text('[[input]]\nformat = "auto"\n' + (FIXTURES / "devices.toml").read_text("utf-8"))
    done = run("run", "-c", str(site), "--dry-run", stdin=path.read_bytes())
    heard = {(uplink["time"], uplink["freq_mhz"]) for uplink in map(json.loads, done.stdout.splitlines())}
    assert heard
    seen = {(_utc(row[0]), int(row[1]) / 1e6) for row in rows}
    assert heard <= seen


def _utc(epoch: str) -> str:
    from lora_post.clocks.scale import utc_text

    seconds, _, fraction = epoch.partition(".")
    return utc_text(int(seconds) * 1_000_000 + int(fraction[:6]))
