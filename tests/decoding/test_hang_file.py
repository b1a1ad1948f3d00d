from __future__ import annotations

import json
import logging
import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.decoding.hangs import HangFile, decoders_set_aside, hang_path
from lora_post.decoding.loading import LoadedDecoders, load_decoder, load_folder
from lora_post.spool import undecoded
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS
from tests.support.command import SCRIPT, run
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("believed_clock")

DECODER = """
import re
from lora_post import Decoder, Reading

def decode(payload, fport):
    {step}
    return [Reading("x", payload[0])]

DECODER = Decoder("{name}", decode, "v", "m", "s", [])
"""
BACKTRACKS = 're.fullmatch("(a|aa)+", "a" * 200 + "b")'
SITE = """
[gateway]
id = "gw1"
[spool]
path = "spool.db"
[json_lines]
path = "readings.jsonl"
[decoders]
folder = "own décodeurs"
[[input]]
url = "stdin:"
format = "lines"
""" + "".join(
    f'[[device]]\nid = "{name}"\ndev_addr = "{address:08x}"\ndecoder = "{name}"\n'
    f'nwk_skey = "{KEYS.nwk_skey.hex()}"\napp_skey = "{KEYS.app_skey.hex()}"\n'
    for address, name in ((1, "broken"), (2, "healthy"))
)
SHORT_OF_TIME = (*SCRIPT, str(ROOT / "tests" / "support" / "short_of_time.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site with a decoder that never comes back and one that does."""
    own = tmp_path / "own décodeurs"
    own.mkdir()
    (own / "broken.py").write_text(DECODER.format(name="broken", step=BACKTRACKS))
    (own / "healthy.py").write_text(DECODER.format(name="healthy", step="pass"))
    (tmp_path / "site.toml").write_text(SITE)
    return tmp_path


def fed(folder: Path, *fcnts: int) -> tuple[int, str]:
    """Run the command, fed with a frame of each device for each of these counters; return its code and its log."""
    frames = [seal_lorawan(KEYS, address, fcnt, 5, b"\7").hex() + "\n" for fcnt in fcnts for address in (1, 2)]
    done = run("run", "-c", str(folder / "site.toml"), stdin="".join(frames).encode(), command=SHORT_OF_TIME)
    return done.returncode, done.stderr.decode()


def delivered(folder: Path) -> list[str]:
    path = folder / "readings.jsonl"
    return [json.loads(line)["device"] for line in path.read_text().splitlines()] if path.exists() else []


def test_payload_that_ends_the_process_does_so_once_and_its_neighbour_is_decoded(folder: Path) -> None:
    broken = folder / "own décodeurs" / "broken.py"
    code, first = fed(folder, 1)
    assert (code, delivered(folder)) == (1, []), first
    assert "Timeout" not in first
    assert stat.S_IMODE(hang_path(folder / "spool.db").stat().st_mode) == 0o600

    code, second = fed(folder, 1)  # the broker sends it again
    assert (code, delivered(folder)) == (0, ["healthy"]), second
    assert "the last run was ended because a call did not end: " in second
    (stack,) = (line for line in second.splitlines() if "did not end: " in line)
    assert "broken.py line 6 in decode < " in stack
    assert "in call" not in stack  # the log begins at the hang and ends where the decoder was called
    assert f"decoder=broken is set aside until {broken} changes" in second
    with closing(SpoolFile(folder / "spool.db")) as store:
        (kept,) = undecoded.load(store, "broken")
    assert kept.payload == b"\7"

    code, third = fed(folder, 2)
    assert (code, delivered(folder)) == (0, ["healthy"] * 2), third
    assert "the last run was ended" not in third
    why = "DecoderHang: broken is set aside because lora-post had to be ended over it, until its file changes"
    assert why in third

    broken.write_text(DECODER.format(name="broken", step="pass"))
    code, fourth = fed(folder, 3)
    assert (code, sorted(delivered(folder))) == (0, ["broken"] + ["healthy"] * 3), fourth
    assert "aside" not in hang_path(folder / "spool.db").read_text()


def dump_of(*files: Path) -> str:
    """As the interpreter's watchdog writes it, the innermost call first."""
    escaped = (str(file).encode("ascii", "backslashreplace").decode() for file in files)
    frames = [f'  File "{file}", line 7 in decode\n' for file in escaped]
    return "Timeout (0:00:20)!\nThread 0x00007f01 (most recent call first):\n" + "".join(frames)


def loaded(folder: Path) -> LoadedDecoders:
    return load_folder(folder / "own décodeurs", load_decoder)


def left(folder: Path, text: str) -> Path:
    """What a run that was ended has left."""
    path = folder / "spool.db-hang"
    with closing(HangFile(path)) as hangs:
        hangs.set_aside(loaded(folder).decoders)
    with path.open("a") as file:
        file.write(text)
    return path


def test_file_that_was_changed_after_the_end_gets_its_chance(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = folder / "own décodeurs" / "broken.py"
    path = left(folder, dump_of(broken))
    broken.write_text(broken.read_text() + "# changed\n")
    with closing(HangFile(path)) as hangs:
        assert hangs.set_aside(loaded(folder).decoders) == {}
    assert "has changed since, it is used again" in caplog.text
    assert "Thread" not in path.read_text()


def test_file_is_written_only_when_a_decoder_has_changed(folder: Path) -> None:
    path = left(folder, "")
    os.utime(path, (0, 0))
    with closing(HangFile(path)) as hangs:
        hangs.set_aside(loaded(folder).decoders)
    assert path.stat().st_mtime == 0


@pytest.mark.parametrize(
    "text",
    [
        dump_of(Path("/usr/lib/python3.11/socket.py")),
        "Timeout (0:00:20)!\n",
        "\0 no dump",
        "aside x y\nused\n" * 50_000,
    ],
)
def test_dump_without_a_decoder_sets_none_aside_and_says_so(
    text: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left(folder, text)
    with closing(HangFile(path)) as hangs:
        assert hangs.set_aside(loaded(folder).decoders) == {}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "no decoder of this configuration is in that stack: none is set aside" in caplog.text
    assert "Thread" not in path.read_text()
    assert len(path.read_text().splitlines()) == 2


def test_what_is_set_aside_can_be_asked_for_without_a_run(folder: Path) -> None:
    path = left(folder, dump_of(folder / "own décodeurs" / "broken.py"))
    decoders = loaded(folder).decoders
    assert decoders_set_aside(path, decoders) == {}
    with closing(HangFile(path)) as hangs:
        assert list(hangs.set_aside(decoders)) == ["broken"]
    assert list(decoders_set_aside(path, decoders)) == ["broken"]
    assert decoders_set_aside(folder / "none", decoders) == {}
