"""Serial modules at the other end of a pseudo-terminal: what they are told, and what becomes of their answers."""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from lora_post.config import parse_config
from lora_post.config.inputs import InputConfig
from lora_post.errors import ConfigError
from lora_post.formats.at_setup import AGAIN_S, ANSWER_S, MODULES, Setup
from lora_post.inputs import Input, Surroundings, open_input
from lora_post.metrics import Metrics
from lora_post.model import Frame
from tests.support.command import PATIENCE_S

FRAME = bytes.fromhex("40035CAB0100000002C53FAAD42929AFBCD834BC63")
RN_COMMANDS = ("mac pause", "radio set freq 868100000", "radio rx 0")
RN_ANSWERS = {"mac pause": "4294967245", "radio get snr": "8", "radio get rssi": "-57"}


class Module:
    """A scripted module behind a path that stays the same when it is plugged in again."""

    def __init__(self, path: Path, answers: dict[str, str]) -> None:
        self.path = path
        self.answers = answers
        self.heard: list[str] = []
        self.plug_in()

    def plug_in(self) -> None:
        self.fd, terminal = os.openpty()
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(terminal))
        self._terminal = terminal
        self._gone, self._go = os.pipe()
        self._thread = Thread(target=self._serve, args=(self.fd,))
        self._thread.start()

    def _serve(self, fd: int) -> None:
        held = b""
        while True:
            if self._gone in select.select([fd, self._gone], [], [])[0]:
                return
            data = os.read(fd, 1024)
            *commands, held = (held + data).split(b"\r\n")
            for command in map(bytes.decode, commands):
                self.heard.append(command)
                self.say(self.answers.get(command, "ok"))

    def say(self, *lines: str) -> None:
        os.write(self.fd, "".join(f"{line}\r\n" for line in lines).encode())

    def unplug(self) -> None:
        os.write(self._go, b"x")
        self._thread.join()
        self.path.unlink()
        for fd in (self._gone, self._go, self._terminal, self.fd):
            os.close(fd)


@pytest.fixture
def rn2483(tmp_path: Path) -> Iterator[Module]:
    module = Module(tmp_path / "port", dict(RN_ANSWERS))
    yield module
    module.unplug()


@pytest.fixture
def input_(rn2483: Module) -> Iterator[Input]:
    item = InputConfig(f"serial://{rn2483.path}?baud=57600", "rn2483", setup=RN_COMMANDS)
    input_ = open_input(item, Surroundings("gw1", Metrics()))
    yield input_
    input_.close()


def until(input_: Input, done: Callable[[], bool]) -> list[Frame]:
    """Read until something has happened; the frames of that time."""
    found: list[Frame] = []
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        found += [event for event in input_.events(0.02) or () if isinstance(event, Frame)]
    return found


def test_commands_are_sent_in_order_when_the_port_is_opened(input_: Input, rn2483: Module) -> None:
    until(input_, lambda: len(rn2483.heard) >= 3)
    assert rn2483.heard == list(RN_COMMANDS)


def test_rn2483_is_asked_for_its_signal_and_told_to_receive_again_after_each_frame(
    input_: Input, rn2483: Module
) -> None:
    until(input_, lambda: len(rn2483.heard) >= 3)
    frames: list[Frame] = []
    for round_ in (1, 2):
        rn2483.say(f"radio_rx  {FRAME.hex()}")
        frames += until(input_, lambda: len(rn2483.heard) >= 3 + 3 * round_)  # noqa: B023
        assert rn2483.heard[-3:] == ["radio get snr", "radio get rssi", "radio rx 0"]
    frames += until(input_, lambda: len(frames) == 2) if len(frames) < 2 else []
    assert [(each.phy_payload, each.rx.snr_db, each.rx.rssi_dbm) for each in frames] == [(FRAME, 8, -57)] * 2


def test_rn2483_is_told_to_receive_again_after_an_error(input_: Input, rn2483: Module) -> None:
    until(input_, lambda: len(rn2483.heard) >= 3)
    rn2483.say("radio_err")
    until(input_, lambda: len(rn2483.heard) >= 4)
    assert rn2483.heard[3:] == ["radio rx 0"]


def test_refused_command_is_one_clear_line_and_the_others_are_sent(
    input_: Input, rn2483: Module, caplog: pytest.LogCaptureFixture
) -> None:
    rn2483.answers["radio set freq 868100000"] = "invalid_param"
    until(input_, lambda: len(rn2483.heard) >= 3)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"{rn2483.path}: 'radio set freq 868100000' is refused: invalid_param; correct [[input]] setup"]


def test_module_that_was_unplugged_and_came_back_is_set_up_again(
    input_: Input, rn2483: Module, caplog: pytest.LogCaptureFixture
) -> None:
    until(input_, lambda: len(rn2483.heard) >= 3)
    rn2483.unplug()
    until(input_, lambda: "waiting for serial port" in caplog.text)
    rn2483.plug_in()
    until(input_, lambda: len(rn2483.heard) >= 6)
    assert rn2483.heard == [*RN_COMMANDS, *RN_COMMANDS]


# The order of things, with a clock of our own


class Bench:
    """A Setup, and what it writes."""

    def __init__(self, name: str, *commands: str) -> None:
        self.clock = 100.0
        self.setup = Setup("port", MODULES[name], commands or MODULES[name].auto)
        self.setup.start(self.clock)

    def says(self, *lines: str) -> list[str]:
        """What is written in answer to these."""
        for line in lines:
            self.setup.take(line.encode(), self.clock)
        return self.written()

    def written(self, wait_s: float = 0.0) -> list[str]:
        self.clock += wait_s
        return self.setup.due(self.clock).decode().splitlines()


def test_next_command_waits_for_the_answer_to_the_last_one() -> None:
    bench = Bench("rn2483")
    assert bench.written() == ["mac pause"]
    assert bench.written() == []
    assert bench.says("radio_rx  00") == []
    assert bench.says("4294967245") == ["radio set wdt 0"]


@pytest.mark.parametrize(
    ("name", "answer", "is_refused"),
    [
        ("rak", "OK", False),
        ("rak", "AT_PARAM_ERROR", True),
        ("rak", "AT_BUSY_ERROR", True),
        ("rak", "ERROR: -1", True),
        ("reyax", "+OK", False),
        ("reyax", "+ERR=4", True),
        ("rn2483", "ok", False),
        ("rn2483", "busy", True),
        ("rn2483", "invalid_param", True),
    ],
)
def test_answers_of_each_kind_of_module_are_understood(
    name: str, answer: str, is_refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(name, "first", "second")
    assert bench.written() == ["first"]
    assert bench.says("first") == []  # modules may repeat what they are told
    assert bench.says(answer) == ["second"]
    assert ("is refused" in caplog.text) == is_refused


def test_module_that_has_started_anew_is_set_up_again_but_not_all_the_time() -> None:
    bench = Bench("reyax")
    assert bench.written() == ["AT"]
    assert bench.says("+OK") == []
    assert bench.says("+READY") == []  # radio text could say so
    assert bench.written(AGAIN_S) == ["AT"]
    assert bench.says("+OK") == []
    assert bench.written(AGAIN_S) == []
    assert bench.says("+READY") == ["AT"]


def test_module_that_does_not_answer_is_asked_again_later_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench("rak")
    for _ in range(3):
        assert bench.written() == ["AT+PRECV=65534"]
        assert bench.written(ANSWER_S) == []
        bench.clock += AGAIN_S
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no answer to 'AT+PRECV=65534'" in caplog.text


def test_any_lines_leave_a_bounded_queue() -> None:
    bench = Bench("rn2483")
    for _ in range(10_000):
        bench.setup.take(b"radio_rx  00", bench.clock)
    assert len(bench.setup._waiting) < 20


# Configuration

SITE = '[gateway]\nid = "gw1"\n[[input]]\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('url = "stdin:"\nformat = "rak"\nsetup = "auto"\n', "setup: only serial modules can be set up"),
        ('url = "serial:///dev/x"\nsetup = "auto"\n', "setup: only serial modules can be set up"),
        ('url = "serial:///dev/x"\nformat = "rak"\nsetup = "x"\n', "setup is 'x'; it must be \"auto\" or a list"),
        ('url = "serial:///dev/x"\nformat = "rak"\nsetup = ["a\\nb"]\n', "a command is one line of ASCII"),
        ('url = "serial:///dev/x"\nformat = "rak"\nsetup = 5\n', "setup is a whole number; it must be"),
    ],
)
def test_mistakes_are_told(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(SITE + text, Path("x.toml"), {})
    assert complaint in str(caught.value)


def test_auto_is_what_makes_the_module_receive_without_end() -> None:
    text = 'url = "serial:///dev/x"\nformat = "rak"\nsetup = "auto"\n'
    assert parse_config(SITE + text, Path("x.toml"), {}).inputs[0].setup == ("AT+PRECV=65534",)
