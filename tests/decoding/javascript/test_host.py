"""The process of the codecs: a hang costs its frame, and nothing is left behind."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_post.decoding.javascript import messages
from lora_post.decoding.javascript.answer import CodecResult
from lora_post.decoding.javascript.host import GOOD_CALLS, MAX_HANGS, Codec, Host
from lora_post.decoding.javascript.messages import TIME_LIMIT_S, Calls, Request
from lora_post.errors import DecoderCrash, DecoderHang
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS
from tests.support.command import PATIENCE_S
from tests.support.paths import FIXTURES

GOOD = "function Decode(p, b) { return { first: b[0] }; }"
SOMETIMES = "function Decode(p, b) { for (; b[0] === 9; ) b = [9]; return { first: b[0] }; }"
HANGING = sorted(path.stem for path in (FIXTURES / "hostile_codecs").glob("hangs_in_*.js"))
# A process that says something else than what it was asked, or nothing.
LIARS = {
    "hangs up": "pass",
    "leaves": "raise SystemExit(3)",
    "says too much": "os.write(1, b'\\xff' * 100)",
    "says no MessagePack": "os.write(1, b'\\1\\0\\0\\0\\1\\0\\0\\0\\xc1')",
    "answers what was not asked": "messages.send(1, 1, messages.Replies([messages.Answered('{}')]))",
    "answers another request": "messages.send(1, 2, messages.Loaded(1, ('Decode',), True))",
    "answers nothing": "messages.send(1, 1, messages.Replies([]))",
    "says two things": "messages.send(1, 1, messages.Loaded(1, True, True)); os.write(1, b'\\0' * 9)",
}

LIAR = """
import os, sys
sys.path[:] = sys.argv[2:]
from lora_post.decoding.javascript import messages
os.read(0, 1)
{says}
"""
QUICK_LIARS = ("hangs up", "says two things")

BAD_AMONG_GOOD = {
    "throws": "throw new Error('bad');",
    "does not end": "for (;;);",
    "does not end inside of the engine": "String((1n << 1000000n) - 1n);",
    "fills the memory": "for (var a = []; ; ) a.push(new Array(1000).fill(1));",
    "says much": "return 'x'.repeat(60000);",
    "says too much": "return 'x'.repeat(70000);",
    "says nothing": "return undefined;",
    "spoils its world": "Object.defineProperty(globalThis, 'x', { value: 1 }); return 3;",
}


@pytest.mark.parametrize("name", [HANGING[0], *(pytest.param(name, marks=pytest.mark.long) for name in HANGING[1:])])
def test_hang_costs_its_frame_and_the_time_that_it_has(name: str) -> None:
    host = Host()
    hanging = Codec((FIXTURES / "hostile_codecs" / f"{name}.js").read_text(), host)
    good = Codec(GOOD, host)
    assert good.call(b"\1", 1, "", 0.0).data == {"first": 1}
    spent = os.times().children_user
    with pytest.raises(DecoderHang, match="longer than 100 ms"):
        hanging.call(b"\1\2\3", 5, "", 0.0)
    host.close()
    spent = os.times().children_user - spent
    assert spent < 2  # with start and load; without an end it would be minutes
    assert good.call(b"\2", 1, "", 0.0).data == {"first": 2}
    host.close()


def test_hangs_in_a_row_set_a_codec_aside_and_no_other() -> None:
    host = Host()
    codec, good = Codec(SOMETIMES, host), Codec(GOOD, host)
    for number in range(MAX_HANGS):
        with pytest.raises(DecoderHang, match="aside" if number == MAX_HANGS - 1 else "100 ms$"):
            codec.call(b"\x09", 1, "", 0.0)
    with pytest.raises(DecoderHang, match="it hung 3 times, until its file changes"):
        codec.call(b"\1", 1, "", 0.0)
    assert good.call(b"\1", 1, "", 0.0).data == {"first": 1}
    host.close()


def test_hangs_that_are_rare_do_not_set_it_aside() -> None:
    host = Host()
    codec = Codec(SOMETIMES, host)
    for _ in range(MAX_HANGS + 1):
        with pytest.raises(DecoderHang):
            codec.call(b"\x09", 1, "", 0.0)
        for _ in range(GOOD_CALLS):
            assert codec.call(b"\1", 1, "", 0.0).data == {"first": 1}
    host.close()


def test_codec_that_hangs_over_every_second_payload_is_set_aside() -> None:
    host = Host()
    codec = Codec(SOMETIMES, host)
    for number in range(MAX_HANGS):
        assert codec.call(b"\1", 1, "", 0.0).data == {"first": 1}
        with pytest.raises(DecoderHang, match="aside" if number == MAX_HANGS - 1 else "100 ms$"):
            codec.call(b"\x09", 1, "", 0.0)
    with pytest.raises(DecoderHang, match="it hung 3 times"):
        codec.call(b"\1", 1, "", 0.0)
    host.close()


def test_process_that_was_killed_is_started_again_and_no_frame_is_lost() -> None:
    host = Host()
    codec = Codec(GOOD, host)
    for _ in range(2):
        assert host.pid is not None
        os.kill(host.pid, signal.SIGKILL)
        os.waitid(os.P_PID, host.pid, os.WEXITED | os.WNOWAIT)
        assert codec.call(b"\7", 1, "", 0.0) == CodecResult({"first": 7})
    host.close()


@pytest.mark.parametrize(
    "says",
    [pytest.param(says, marks=[pytest.mark.long] * (name not in QUICK_LIARS)) for name, says in LIARS.items()],
    ids=LIARS,
)
def test_process_that_somebody_has_taken_over_costs_its_own_frames(says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    with monkeypatch.context() as taken:
        taken.setattr("lora_post.decoding.javascript.host._START", LIAR.replace("{says}", says))
        with (
            pytest.raises(DecoderHang)
            if says != LIARS["says two things"]
            else pytest.raises((DecoderHang, DecoderCrash))
        ):
            Codec(GOOD, host).call(b"\1", 1, "", 0.0)
    host.close()
    assert Codec(GOOD, host).call(b"\1", 1, "", 0.0).data == {"first": 1}
    host.close()


# A process that was taken over: what it says and does unasked, once its first reply has been read.
TAKEN = """
import fcntl, os, signal, sys, termios, time
sys.path[:] = sys.argv[2:]
from lora_post.decoding.javascript import messages
serial, _ = messages.receive(0, messages.MAX_REQUEST)
messages.send(1, serial, messages.Loaded(1, ("Decode",), True))
serial, _ = messages.receive(0, messages.MAX_REQUEST)
reply = messages.Replies([messages.Answered('{"first":1}')])
messages.send(1, serial, reply)
while any(fcntl.ioctl(1, termios.FIONREAD, bytes(4))):
    time.sleep(0.001)
{says}
os.kill(os.getpid(), signal.SIGSTOP)
serial, _ = messages.receive(0, messages.MAX_REQUEST)
messages.send(1, serial, reply)
"""
AFTERWARDS = {
    "answers once more": "messages.send(1, serial, reply)",
    "says half of a message": "os.write(1, b'\\xff')",
    "says what is not a message": "os.write(1, b'\\xff' * 100)",
    "ends": "raise SystemExit",
    "does not listen any more": "os.close(0)",
}


@pytest.mark.parametrize(
    "says",
    [pytest.param(says, marks=[pytest.mark.long] * (name != "answers once more")) for name, says in AFTERWARDS.items()],
    ids=AFTERWARDS,
)
def test_what_the_process_says_or_does_unasked_costs_no_frame(says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    with monkeypatch.context() as taken:
        taken.setattr("lora_post.decoding.javascript.host._START", TAKEN.replace("{says}", says))
        codec = Codec(GOOD, host)
        assert codec.call(b"\1", 1, "", 0.0).data == {"first": 1}
    assert host.pid is not None
    until(lambda: state_of(host.pid) in "TZ")  # stopped, or ended
    os.kill(host.pid, signal.SIGCONT)
    assert codec.call(b"\7", 1, "", 0.0).data == {"first": 7}
    host.close()


def test_call_that_is_answered_at_its_last_moment_costs_the_next_one_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.decoding.javascript.host.LOOK_S", 0.05)
    host = Host()
    codec, other = Codec(GOOD, host), Codec(GOOD, host)

    def receive_late(wire: int, max_bytes: int, wanted: int | None = None) -> tuple[int, bytes]:
        reply = messages.receive(wire, max_bytes, wanted)
        child = host._child
        assert child is not None
        child._until_s = time.monotonic()
        until(lambda: child.process.poll() is not None)
        return reply

    with monkeypatch.context() as late:
        late.setattr("lora_post.decoding.javascript.host.receive", receive_late)
        assert codec.call(b"\1", 1, "", 0.0).data == {"first": 1}
    assert other.call(b"\7", 1, "", 0.0).data == {"first": 7}
    host.close()


def test_process_that_answers_nothing_right_is_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    codec = Codec(GOOD, host)
    assert host.pid is not None
    os.kill(host.pid, signal.SIGKILL)
    until(lambda: state_of(host.pid) == "Z")
    script = LIAR.replace("{says}", LIARS["answers another request"])
    monkeypatch.setattr("lora_post.decoding.javascript.host._START", script)
    with pytest.raises(DecoderHang):
        codec.call(b"\1", 1, "", 0.0)


def state_of(pid: int | None) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


DEAF = {
    "says a byte now and then": "os.read(0, 4096)\nwhile True: os.write(1, b'\\xff'); time.sleep(0.05)",
    "says nothing": "os.read(0, 4096)\ntime.sleep(600)",
    "does not take what it is told": "time.sleep(600)",
}


@pytest.mark.parametrize(
    "does",
    [pytest.param(does, marks=[pytest.mark.long] * (name == "says nothing")) for name, does in DEAF.items()],
    ids=DEAF,
)
def test_process_that_takes_its_time_has_no_more_than_there_is(does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_post.decoding.javascript.host._START", f"import os, time\n{does}")
    monkeypatch.setattr("lora_post.decoding.javascript.host.LOAD_WALL_S", 0.3)
    monkeypatch.setattr("lora_post.decoding.javascript.host.LOOK_S", 0.1)
    host = Host()
    with pytest.raises(DecoderHang, match="took longer"):
        Codec(GOOD + " " * (1 << 18), host)
    assert host.pid is None


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(bad, id=name, marks=[pytest.mark.long] * (name in ("does not end", "fills the memory")))
        for name, bad in BAD_AMONG_GOOD.items()
    ],
)
def test_what_one_of_many_does_costs_its_own_frame(bad: str) -> None:
    host = Host()
    other = Codec(GOOD, host)
    codec = Codec(f"function Decode(p, b) {{ if (b[0] === 3) {{ {bad} }} return {{ first: b[0] }}; }}", host)
    payloads = [bytes([number]) for number in range(1, 7)]

    def outcomes(*, are_expected: bool) -> list[object]:
        found: list[object] = []
        for each in (codec, other) if are_expected else ():
            for payload in payloads:
                each.expect(payload, 1, "", 0.0)
        for payload in payloads:
            for each in (codec, other):
                try:
                    found.append(each.call(payload, 1, "", 0.0))
                except (DecoderCrash, DecoderHang) as error:
                    found.append(str(error))
        return found

    alone = outcomes(are_expected=False)
    assert alone[2:4] == [CodecResult({"first": 2})] * 2
    assert alone[4] not in alone[:4]
    assert alone[5:] == [CodecResult({"first": number}) for number in (3, 4, 4, 5, 5, 6, 6)]
    assert outcomes(are_expected=True) == alone
    host.close()


def test_calls_that_are_expected_go_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    codecs = [Codec(GOOD, host), Codec(GOOD, host)]
    sent: list[Request] = []

    def send_and_note(wire: int, serial: int, request: Request) -> None:
        sent.append(request)
        messages.send(wire, serial, request)

    monkeypatch.setattr("lora_post.decoding.javascript.host.send", send_and_note)
    for number in range(10):
        for codec in codecs:
            codec.expect(bytes([number]), 1, "", 0.0)
    for number in range(10):
        for codec in codecs:
            assert codec.call(bytes([number]), 1, "", 0.0).data == {"first": number}
    # Of a machine that is slow the process may not take all at once.
    asked = [call for request in sent if isinstance(request, Calls) for call in request.calls]
    assert len({*asked}) == 20
    assert len(sent) < 20
    host.close()


def test_codec_that_is_set_aside_among_many_is_not_called_for_those_that_are_left() -> None:
    host = Host()
    codec = Codec(SOMETIMES, host)
    payloads = [bytes([9, number]) for number in range(2 * MAX_HANGS)]
    for payload in payloads:
        codec.expect(payload, 1, "", 0.0)
    for payload in payloads:
        with pytest.raises(DecoderHang):
            codec.call(payload, 1, "", 0.0)
    spent = host_cpu_s(host)
    assert Codec(GOOD, host).call(b"\1", 1, "", 0.0).data == {"first": 1}
    assert host_cpu_s(host) - spent < TIME_LIMIT_S
    host.close()


def host_cpu_s(host: Host) -> float:
    fields = Path(f"/proc/{host.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("most", [1, 3, 5])
def test_process_that_cannot_be_started_leaves_nothing_open(most: int) -> None:
    host, before = Host(), open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = next(number for number in itertools.count() if len({*range(number)} - before) == most)
    for _ in range(2):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            with pytest.raises(DecoderCrash, match="cannot be started: Too many open files"):
                Codec(GOOD, host)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert open_files() == before
    assert Codec(GOOD, host).call(b"\1", 1, "", 0.0).data == {"first": 1}
    host.close()
    assert open_files() == before


def open_files() -> set[int]:
    return {int(link.name) for link in Path("/proc/self/fd").iterdir() if link.exists()}


def test_codec_has_no_files_and_no_environment() -> None:
    host = Host()
    Codec(GOOD, host)
    process = Path(f"/proc/{host.pid}")
    assert (process / "environ").read_bytes() == b"TZ=UTC0\0"
    kinds = sorted(str(link.readlink()).partition(":")[0] for link in (process / "fd").iterdir())
    assert kinds == ["/dev/null", "pipe", "pipe"]
    limits = (process / "limits").read_text()
    for limit in ("Max open files", "Max core file size", "Max file size", "Max processes"):
        (line,) = (line for line in limits.splitlines() if line.startswith(limit))
        assert line.removeprefix(limit).split()[:2] == ["0", "0"]
    host.close()


# a running lora-post


SITE = """
[gateway]
id = "gw1"
[spool]
path = "spool.db"
[json_lines]
path = "readings.jsonl"
[decoders]
folder = "codecs"
[[input]]
url = "stdin:"
format = "lines"
"""


class Site:
    """A folder with these codecs, each with a device, and `lora-post run` with its standard input open."""

    def __init__(self, folder: Path, codecs: dict[str, str]) -> None:
        self._readings = folder / "readings.jsonl"
        self._mark = folder / "mark"  # in the codecs' process' command line, as all of sys.path
        self._mark.mkdir()
        (folder / "codecs").mkdir()
        text = SITE
        for address, (name, codec) in enumerate(codecs.items(), start=1):
            (folder / "codecs" / f"{name}.js").write_text(codec)
            text += f'[[device]]\nid = "{name}"\ndev_addr = "{address:08x}"\ndecoder = "{name}"\n'
            text += f'nwk_skey = "{KEYS.nwk_skey.hex()}"\napp_skey = "{KEYS.app_skey.hex()}"\n'
        (folder / "site.toml").write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lora_post", "run", "-c", str(folder / "site.toml")],
            env={**os.environ, "PYTHONPATH": str(self._mark)},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def send(self, address: int, fcnt: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(seal_lorawan(KEYS, address, fcnt, 5, bytes([fcnt])).hex() + "\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """Close the input, and return what the log said."""
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return said

    def readings(self) -> list[tuple[str, object]]:
        if not self._readings.exists():
            return []
        rows = [json.loads(line) for line in self._readings.read_text().splitlines()]
        return [(row["device"], row["value"]) for row in rows]

    def children(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self._mark).encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:  # it has ended since
                pass
        return found


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; fail after two minutes."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@pytest.mark.usefixtures("believed_clock")
@pytest.mark.parametrize("names", [HANGING[:1], pytest.param(HANGING, marks=pytest.mark.long)], ids=["one", "all"])
def test_frames_before_and_behind_each_hang_arrive(names: list[str], tmp_path: Path) -> None:
    codecs = {name.replace("_", "-"): (FIXTURES / "hostile_codecs" / f"{name}.js").read_text() for name in names}
    site = Site(tmp_path, {"good": GOOD, **codecs})
    counter = itertools.count(1)
    site.send(1, next(counter))
    for fcnt in (1, 2):
        for address in range(2, len(codecs) + 2):
            site.send(address, fcnt)
            site.send(1, next(counter))
    said = site.end()
    assert site.process.returncode == 0, said
    assert sorted(site.readings()) == [("good", value) for value in range(1, next(counter))]
    assert [f"{name}:2" in said for name in codecs] == [True] * len(codecs), said
    until(lambda: not site.children())


@pytest.mark.usefixtures("believed_clock")
@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(number, marks=pytest.mark.long) for number in (signal.SIGTERM, signal.SIGINT))],
)
def test_process_ends_with_lora_post_however_that_ends(number: signal.Signals, tmp_path: Path) -> None:
    site = Site(tmp_path, {"good": GOOD})
    site.send(1, 1)
    until(lambda: site.readings() == [("good", 1)] and len(site.children()) == 1)
    if number is not signal.SIGKILL:
        (child,) = site.children()
        os.kill(child, number)  # as a service manager does it, and goes on
    site.process.send_signal(number)
    site.end()
    until(lambda: not site.children())
    if number is not signal.SIGKILL:
        assert site.process.returncode == 0
