from __future__ import annotations

import os
import pty
import subprocess
import termios
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from threading import Event, Thread

import pytest

from lora_post.decoding.choice import Decoding
from lora_post.errors import ConfigError
from lora_post.formats.lowcost_gw import LowcostParser
from lora_post.inputs.byte_streams import ByteStream, FileStream, SerialPort, open_stream
from lora_post.inputs.stream import StreamInput
from lora_post.metrics import Metrics
from lora_post.model import Noise, NoiseReason
from lora_post.observed.signs import Signs
from lora_post.run.ingest import pump
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger
from lora_post.uplink.model import Report
from lora_post.uplink.outcome import Outcome
from tests.support.build import lowcost_device
from tests.support.command import COMMAND, PATIENCE_S, run
from tests.support.serial_port import Port

PACKET = b"^p1,16,6,%d,9,8,-45\r\n^r125,5,12\r\n\xff\xfe\\!TC/22.5\n"


@pytest.fixture
def port(tmp_path: Path) -> Port:
    return Port(tmp_path / "ttyUSB0")


def read_until(stream: ByteStream, done: Callable[[bytes], bool]) -> bytes:
    data = b""
    for _ in range(1000):
        data += stream.read(0.05) or b""
        if done(data):
            return data
    raise AssertionError(f"only {data!r} arrived")


def test_serial_port_gives_bytes_as_they_are(port: Port) -> None:
    port.plug_in()
    stream = open_stream(f"serial://{port.path}?baud=115200")
    assert stream.read(0.0) == b""
    every_byte = bytes(range(256)) * 3
    port.write(every_byte)
    assert read_until(stream, lambda data: len(data) >= len(every_byte)) == every_byte
    stream.close()
    port.unplug()


def test_unplugged_port_is_waited_for_and_opened_again(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    stream = SerialPort(str(port.path), 38400, wait=lambda seconds: None)
    assert [stream.read(0.0) for _ in range(3)] == [b"", b"", b""]
    assert caplog.text.count("waiting for serial port") == 1
    for text in (b"one", b"two"):
        port.plug_in()
        stream.read(0.0)
        port.write(text)
        assert read_until(stream, lambda data: len(data) == 3) == text
        port.unplug()
        assert stream.read(0.0) == b""
    assert caplog.text.count("is back") == 2
    assert caplog.text.count("waiting for serial port") == 3
    stream.close()


@pytest.mark.parametrize(
    "error", [termios.error(5, "Input/output error"), ValueError("custom baud"), OSError(5, "gone")]
)
def test_port_that_fails_in_any_way_is_opened_again(
    port: Port, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`termios.error` is no OSError."""
    stream = SerialPort(str(port.path), 38400, wait=lambda seconds: None)
    port.plug_in()
    with monkeypatch.context() as trouble:
        trouble.setattr("termios.tcsetattr", lambda *arguments: (_ for _ in ()).throw(error))
        assert stream.read(0.0) == b""
    assert stream.read(0.0) == b""
    port.write(b"abc")
    assert read_until(stream, lambda data: len(data) == 3) == b"abc"
    stream.close()
    port.unplug()


def test_frames_from_a_port_that_comes_and_goes_reach_the_pipeline(port: Port) -> None:
    outcomes: list[Outcome] = []
    heard = Event()

    def listen(outcome: Outcome) -> None:
        outcomes.append(outcome)
        heard.set()

    pipeline = Pipeline(MemoryLedger([lowcost_device()]), Decoding([], {}).decode, Metrics(), listen)
    stop = Event()
    stream = SerialPort(str(port.path), 38400, wait=lambda seconds: stop.wait(0.01))
    thread = Thread(
        target=pump, args=(StreamInput(stream, LowcostParser("gw1", UTC)), pipeline, stop, Signs()), daemon=True
    )
    thread.start()
    for seq in range(3):
        port.plug_in()
        heard.clear()
        # What is written before the port is open is gone, as with a real one; a repeat is refused as such.
        for _ in range(200):
            port.write(PACKET % seq)
            if heard.wait(0.1):
                break
        port.unplug()
    stop.set()
    thread.join()
    stream.close()
    assert [o.uplink.fcnt for o in outcomes if isinstance(o, Report)] == [0, 1, 2]


def test_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "capture with blank.bin"
    path.write_bytes(b"x" * 100_000)
    stream = open_stream(f"file:{path}")
    assert len(stream.read(0.0) or b"") + len(stream.read(0.0) or b"") == 100_000
    assert stream.read(0.0) is None
    stream.close()


@pytest.mark.parametrize(
    "url",
    ["", "stdn:", "/dev/ttyUSB0", "serial:", "serial:///dev/ttyUSB0?baud=fast", "serial:///dev/x?speed=1", "http://x"],
)
def test_url_that_is_none_of_ours_is_refused_with_what_is_known(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is not understood; (known are stdin:|write serial:///)"):
        open_stream(url)


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"input no-such\.bin: No such file"):
        open_stream("file:no-such.bin")


def test_folder_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        open_stream(f"file:{tmp_path}")


def test_closed_stdin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may by now be that of the spool."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ConfigError, match="stdin is closed"):
        open_stream("stdin:")


def test_serial_port_with_a_slash_too_few_is_told() -> None:
    with pytest.raises(ConfigError, match=r"has two slashes; write serial:///dev/ttyUSB0\?baud=9600"):
        open_stream("serial://dev/ttyUSB0?baud=9600")


def test_stdin_that_is_a_terminal_is_said(tmp_path: Path) -> None:
    """With the installed command, as nothing but a terminal is one."""
    (tmp_path / "site.toml").write_text('[gateway]\nid = "gw1"\n')
    main, inner = pty.openpty()
    arguments = [COMMAND, "run", "--dry-run", "-c", str(tmp_path / "site.toml")]
    with subprocess.Popen(arguments, stdin=inner, stderr=subprocess.PIPE) as process:
        os.close(inner)
        assert process.stderr is not None
        said = process.stderr.readline()
        os.write(main, b"\x04")  # Ctrl-D
        process.stderr.read()
    os.close(main)
    assert b"stdin is this terminal, so nothing arrives unless you type it" in said


HEX = b"40035cab0100000002c53faad42929afbcd834bc63\n"


OTHERS = [
    (HEX, 1, b'set format = "lines"'),
    (b'{"rxpk":[{"tmst":1,"datr":"SF7BW125","data":"QA=="}]}\n', 1, b'set format = "rxpk"'),
    (b"radio_rx 40035cab0100000002c53faad42929afbcd834bc63\r\n", 1, b'set format = "rn2483"'),
    (b"^$Low-level gateway status ON\n", 1, b"skipped 30 bytes (no-frame): not one frame in all of stdin"),
    (b"", 0, b"uplinks=0"),
    (b"", 0, b"not one byte came from stdin: the program before `lora-post run` has ended"),
]
"""What comes in, the exit code, and what is said."""


def test_stdin_of_a_service_is_said_to_give_nothing() -> None:
    before = os.dup(0)
    try:
        with Path(os.devnull).open() as null:
            os.dup2(null.fileno(), 0)
        events = StreamInput(FileStream("stdin", 0), LowcostParser("gw1", UTC)).events(PATIENCE_S)
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert events is not None
    (noise,) = events
    assert isinstance(noise, Noise)
    assert (noise.reason, noise.size) == (NoiseReason.NO_FRAME, 0)
    assert noise.detail.startswith("stdin is /dev/null, as a service has it: give [[input]] another url")


@pytest.mark.parametrize(
    ("dry", "stdin", "code", "said"),
    [
        *((True, *case) for case in OTHERS),
        (False, *OTHERS[0]),
        *(pytest.param(False, *case, marks=pytest.mark.long) for case in OTHERS[1:]),
    ],
)
def test_run_with_not_one_frame_says_so_and_fails(
    dry: bool, stdin: bytes, code: int, said: bytes, tmp_path: Path
) -> None:
    site = tmp_path / "site.toml"
    site.write_text('[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "readings.jsonl"\n')
    ran = run("run", "-c", str(site), *(["--dry-run"] if dry else []), stdin=stdin)
    assert (ran.returncode, said in ran.stderr) == (code, True)
