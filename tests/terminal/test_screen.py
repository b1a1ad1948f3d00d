"""What is sent to a terminal, and its keys."""

from __future__ import annotations

import os
from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from lora_post.terminal.screen import Keys, Screen
from tests.support.command import PATIENCE_S


def test_screen_sends_only_lines_that_changed() -> None:
    out = StringIO()
    screen = Screen(Console(file=out, force_terminal=True, color_system=None, width=80, height=24))
    screen.draw([Text("one"), Text("two"), Text("three")])
    out.truncate(0)
    screen.draw([Text("one"), Text("2"), Text("three")])
    assert out.getvalue().lstrip("\0") == "\x1b[2H\x1b[K2"
    sent = len(out.getvalue())
    screen.draw([Text("one"), Text("2"), Text("three")])
    assert len(out.getvalue()) == sent
    screen.draw([Text("one")])
    assert out.getvalue()[sent:] == "\x1b[2H\x1b[K\x1b[3H\x1b[K"


def test_keys_come_one_by_one_and_the_end_of_the_terminal_is_told() -> None:
    ours, theirs = os.openpty()
    keys = Keys(theirs)
    assert keys.wait(0) == ""
    os.write(ours, b"q\n")
    assert keys.wait(PATIENCE_S) == "q"
    os.close(ours)
    with pytest.raises((EOFError, OSError)):
        keys.wait(PATIENCE_S)
    os.close(theirs)
