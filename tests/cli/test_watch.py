"""`lora-post watch` against real status pages."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import termios
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.errors import Problem
from lora_post.model import Reading
from lora_post.observed.run_state import InputState
from lora_post.observed.site_state import SiteState
from tests.support.build import device, report
from tests.support.command import COMMAND, PATIENCE_S, run
from tests.support.in_process import harmless, lora_post
from tests.support.ports import free_port
from tests.support.status_page import TOKEN, WELL, page

HOSTILE = "[red]\x1b[2J\u202e"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORA_POST_STATUS_TOKEN", raising=False)


def test_once_prints_one_view_and_its_exit_code_tells_whether_all_is_well(tmp_path: Path) -> None:
    site = SiteState([device(name=HOSTILE)])
    site.hear(report(Reading("t", HOSTILE)))
    with page(site) as url:
        ran = lora_post("watch", "--url", url, "--once")
        assert (ran.code, ran.err) == (0, "")
        assert "[ok] Everything works  Farm" in ran.out
        assert "[red]\\x1b[2J\\u202e" in ran.out
        assert harmless(ran.out)
        found = run("watch", "--url", url, "--once", cwd=tmp_path)
        # Below come times of day, which are moved by what this clock is ahead of the page's, to the millisecond.
        assert (found.returncode, found.stdout.decode().splitlines()[:4]) == (0, ran.out.splitlines()[:4])
    with page(site, replace(WELL, inputs=(InputState("ttyUSB0", 0, Problem("unplugged", "plug it in")),))) as url:
        ran = lora_post("watch", "--url", url, "--once")
        assert (ran.code, "input ttyUSB0: unplugged\n     fix: plug it in\n" in ran.out) == (1, True)


def test_once_without_an_answer_is_to_be_tried_again() -> None:
    ran = lora_post("watch", "--url", f"http://127.0.0.1:{free_port()}", "--once")
    assert (ran.code, ran.out) == (75, "")
    assert "does not answer: nothing listens there" in ran.err


def test_configuration_tells_address_and_token(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    with page(token=TOKEN) as url:
        site.write_text(f'[gateway]\nid = "gw1"\n[status]\nlisten = "0.0.0.0:{url[17:]}"\ntoken = "{TOKEN}"\n[oops]\n')
        assert lora_post("watch", "-c", site, "--once").code == 0
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        assert lora_post("watch", "--url", url, "--token-file", tmp_path / "token", "--once").code == 0
        assert lora_post("watch", "--url", url, "--once", LORA_POST_STATUS_TOKEN=TOKEN).code == 0
        assert lora_post("watch", "--url", url, "--once").code == 75


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[gateway]\nid = "gw1"\n', "lora-post run --status 127.0.0.1:8080"),
        ('[gateway]\nid = "gw1"\n[status]\nlisten = 5\n', "[status] listen"),
        ("[gateway", "is not in brackets"),
    ],
)
def test_configuration_without_a_page_says_how_to_have_one(tmp_path: Path, text: str, says: str) -> None:
    site = tmp_path / "site.toml"
    site.write_text(text)
    ran = lora_post("watch", "-c", site)
    assert ran.code == 2
    assert says in ran.err
    assert "--url http://127.0.0.1:8080" in ran.err


def test_what_is_no_token_and_what_is_no_terminal_are_clear_mistakes(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    assert "No such file" in lora_post("watch", "--url", url, "--token-file", tmp_path / "none").err
    assert "no token has" in lora_post("watch", "--url", url, LORA_POST_STATUS_TOKEN="a\nb").err
    ran = lora_post("watch", "--url", url)
    assert (ran.code, "use --once" in ran.err) == (2, True)


@pytest.mark.parametrize("end", [b"q", pytest.param(b"\x03", marks=pytest.mark.long)], ids=["q", "Ctrl-C"])
def test_installed_command_draws_on_a_terminal_and_leaves_it_as_it_was(end: bytes) -> None:
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80", "LINES": "24"}
    with page() as url:
        process = subprocess.Popen(
            [COMMAND, "watch", "--url", url],
            stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True,
            preexec_fn=partial(fcntl.ioctl, 0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"no device heard yet" not in seen:
            seen += os.read(ours, 4096)
        os.write(ours, end)
        assert process.wait(PATIENCE_S) == 0
        seen += os.read(ours, 4096)
        os.close(ours)
    assert seen.startswith(b"\x1b[?1049h")
    assert b"\x1b[?1049l" in seen
    assert b"\x1b[3" not in seen.replace(b"\x1b[3H", b"")
