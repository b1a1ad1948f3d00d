"""Signals, and what the log shows of strangers' text."""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Iterator

import pytest

from lora_post.cli._options import set_up_log
from lora_post.run.signals import stop_on_signals
from tests.support.command import PATIENCE_S


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
