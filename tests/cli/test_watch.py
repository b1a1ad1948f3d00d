"""`lora-post watch` against real status pages."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import subprocess
import termios
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from threading import Event, Thread

import pytest
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from lora_post.errors import ConfigError, Problem
from lora_post.model import Reading
from lora_post.observed.run_state import InputState
from lora_post.observed.site_state import SiteState
from lora_post.secret import Secret
from lora_post.terminal.client import NoAnswer, StatusClient
from lora_post.terminal.follower import View, follow
from lora_post.terminal.screen import Keys, Screen
from lora_post.uplink.model import Refusal
from tests.status.test_server import TOKEN, WELL, page
from tests.support.build import device, frame, report
from tests.support.command import COMMAND, free_port, run, wait_until
from tests.support.in_process import harmless, lora_post

HOSTILE = "[red]\x1b[2J\u202e"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORA_POST_STATUS_TOKEN", raising=False)


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Says this to whoever connects, until the block ends."""

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(4096)
                peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_view_follows_what_happens_and_says_when_it_no_longer_can() -> None:
    site = SiteState([device(), device("silent", address=1)])
    views: list[View] = []
    stop = Event()
    with page(site) as url, closing(StatusClient(url, None)) as client:
        thread = Thread(target=follow, args=(client, views.append, stop))
        thread.start()
        wait_until(lambda: views, "there is no first view")
        site.hear(report(Reading("t", 20.5, "°C")))
        site.hear(Refusal(frame(b"\x40" + bytes(12)), "mic", "no key fits", fix="correct it"))
        wait_until(lambda: views[-1].page and views[-1].page.refused, "the news do not come")
        seen = views[-1].page
        assert seen is not None
        assert seen.devices[0].sensors[0].value == 20.5
        assert [item.id for item in seen.devices] == ["pond-7", "silent"]
        assert seen.refused[0].fix == "correct it"
        stop.set()
    thread.join()
    assert str(views[-1].trouble) == "lora-post has ended, or is being restarted"
    assert views[-1].page == seen


def test_page_that_comes_later_is_found() -> None:
    port, views, stop = free_port(), [], Event()
    with closing(StatusClient(f"http://127.0.0.1:{port}", None)) as client:
        thread = Thread(target=follow, args=(client, views.append, stop))
        thread.start()
        wait_until(lambda: views, "nothing is said of it")
        assert "is `lora-post run` up" in str(views[0].trouble)
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is not a status page"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"v":1}', "is not a status page"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "the connection broke"),
        (b"SSH-2.0-x\r\n", "BadStatusLine"),
    ],
)
def test_what_is_no_status_page_is_said_to_be_none(answer: bytes, says: str) -> None:
    with raw_server(answer) as url, closing(StatusClient(url, None)) as client, pytest.raises(NoAnswer) as error:
        client.fetch()
    assert says in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "ftp://x", "http://", "http://[::1", "http://x:port", "http://x/?token=y", "http://a@b"],
)
def test_address_that_is_none_is_a_clear_mistake(url: str) -> None:
    with pytest.raises(ConfigError, match=r"write http://127\.0\.0\.1:8080"):
        StatusClient(url, None)


def test_token_opens_the_page() -> None:
    with page(token=TOKEN) as url:
        with closing(StatusClient(url, Secret(TOKEN))) as client:
            assert client.fetch().state.gateway == "Farm"
        with closing(StatusClient(url, None)) as client, pytest.raises(NoAnswer, match="needs its token"):
            client.fetch()


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
    with page(site, replace(WELL, inputs=(InputState("ttyUSB0", 0, Problem("unplugged")),))) as url:
        ran = lora_post("watch", "--url", url, "--once")
        assert (ran.code, "input ttyUSB0: unplugged" in ran.out) == (1, True)


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
        ("[gateway", "not TOML"),
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
    assert keys.wait(20) == "q"
    os.close(ours)
    with pytest.raises((EOFError, OSError)):
        keys.wait(20)
    os.close(theirs)


@pytest.mark.parametrize("end", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
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
        assert process.wait(20) == 0
        seen += os.read(ours, 4096)
        os.close(ours)
    assert seen.startswith(b"\x1b[?1049h")
    assert b"\x1b[?1049l" in seen
    assert b"\x1b[3" not in seen.replace(b"\x1b[3H", b"")
