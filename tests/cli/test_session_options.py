"""Signals, and what the log shows of strangers' text."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from lora_post.cli._log import LineFormatter, LineHandler, set_up_log
from lora_post.run.signals import stop_on_signals
from tests.support.command import PATIENCE_S, wait_until


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_signal_sets_the_event_and_a_second_one_ends_the_process() -> None:
    stop = stop_on_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(PATIENCE_S)
    with pytest.raises(SystemExit) as ended:
        os.kill(os.getpid(), signal.SIGINT)
    assert ended.value.code == 130


@pytest.mark.usefixtures("handlers")
def test_signal_that_comes_while_the_event_is_locked_does_not_hang() -> None:
    """Every wait() holds the lock of the event for a moment."""
    stop = stop_on_signals()
    with stop._cond:  # type: ignore[attr-defined]
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(PATIENCE_S)


def test_log_line_holds_nothing_that_a_terminal_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    set_up_log(verbose=False, quiet=False)
    logging.getLogger("lora_post").warning("owner=%s", "\x1b[2Jalice\nERROR forged \u202e")
    assert stderr.getvalue().endswith("owner=\\x1b[2Jalice\\nERROR forged \\u202e\n")


class Stream(io.StringIO):
    """Counts how often it is written to."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def record(text: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("lora_post", level, "", 0, text, (), None)


def test_lines_of_a_burst_are_written_together_within_a_moment_and_in_their_order() -> None:
    stream = Stream()
    handler = LineHandler(stream)
    handler.handle(record("0"))
    assert stream.getvalue() == "0\n"  # a line that comes alone does not wait
    for number in range(1, 1000):
        handler.handle(record(str(number)))
    wait_until(lambda: stream.getvalue().endswith("999\n"), "the last lines are not written")
    assert stream.getvalue() == "".join(f"{number}\n" for number in range(1000))
    assert stream.writes < 100


def test_warning_does_not_wait_and_takes_those_before_it_along() -> None:
    stream = Stream()
    handler = LineHandler(stream)
    for number in range(3):
        handler.handle(record(str(number)))
    handler.handle(record("trouble", logging.WARNING))
    assert stream.getvalue() == "0\n1\n2\ntrouble\n"


def test_log_that_nobody_reads_any_more_stops_nothing() -> None:
    stream = Stream()
    handler = LineHandler(stream)
    stream.close()
    handler.handle(record("x", logging.ERROR))
    handler.flush()


def test_line_has_the_time_its_level_and_a_traceback() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        broken = logging.LogRecord("lora_post", logging.ERROR, "", 0, "a defect", (), sys.exc_info())
    lines = LineFormatter().format(broken).splitlines()
    usual = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s").format(broken).splitlines()
    assert lines == usual
    assert lines[-1] == "ValueError: x"
