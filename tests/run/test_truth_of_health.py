"""What /healthz and /readyz say of the real command while something is wrong."""

from __future__ import annotations

import os
import pty
import re
import resource
import socket
import subprocess
import sys
import tty
from pathlib import Path

import requests

from lora_post.sandbox.server import running_sandbox
from tests.support.command import (
    HURRIED,
    PATIENCE_S,
    counting_packet,
    started,
    wait_until,
    write_site,
)
from tests.support.ports import free_port
from tests.support.serial_port import Port

IMPATIENT = (
    sys.executable,
    "-P",
    "-c",
    "from lora_post.alerts import book, loop, rules\n"
    "from lora_post.cli import main\n"
    "from lora_post.inputs import reopened\n"
    "from lora_post.run import view\n"
    "loop.LOOK_EVERY_S, rules.SOON_US, book.CLEAR_AFTER_US, view.FRESH_S = 0.5, 1_000_000, 1_000_000, 0.0\n"
    "reopened.LONGEST_PAUSE_S, reopened.WELL_AFTER_S = 0.5, 2.0\n"
    "main()\n",
)
"""`lora-post`, which tells within seconds what it otherwise tells within minutes."""


def says(url: str, text: str) -> bool:
    """Whether the answer names this; with "" whether all is well."""
    try:
        answer = requests.get(url, timeout=PATIENCE_S)
    except requests.ConnectionError:
        return False
    return (answer.status_code, text in answer.text) == ((503, True) if text else (200, True))


def test_ready_is_who_has_an_input_a_spool_and_a_server(tmp_path: Path) -> None:
    """One run through all of it: unplugged, no server, no room; the process itself is never at fault."""
    port, page, server = Port(tmp_path / "tty"), f"127.0.0.1:{free_port()}", free_port()
    site = write_site(tmp_path, f"http://127.0.0.1:{server}/api/v2")
    site.write_text(site.read_text() + f'\n[[input]]\nurl = "serial://{port.path}"\n')
    with started("run", "-c", str(site), "--status", page, "-q", command=HURRIED) as process:
        ready, healthy = f"http://{page}/readyz", f"http://{page}/healthz"
        wait_until(lambda: says(ready, f"input {port.path}: No such file or directory; is it plugged in"), "no word")
        port.plug_in()
        wait_until(lambda: says(ready, "waziup: "), "it does not miss the server")
        wait_until(lambda: not says(ready, f"input {port.path}"), "the port is not back")
        with running_sandbox(port=server):
            wait_until(lambda: says(ready, ""), "it is not ready")
            was = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, was[1]))
            port.write(counting_packet(0))
            wait_until(lambda: says(ready, "spool: "), "it does not miss the room")
            assert says(healthy, "")
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, was)
            wait_until(lambda: says(ready, ""), "it is not ready again")
        port.unplug()


def test_input_that_fails_again_and_again_is_told_of_wherever_somebody_looks(tmp_path: Path) -> None:
    """Stdin is a terminal's other end, which cannot be read while nobody has it open; UDP works throughout."""
    page, forwarders, server = f"127.0.0.1:{free_port()}", free_port(), free_port()
    site = write_site(tmp_path, f"http://127.0.0.1:{server}/api/v2")
    inputs = f'\n[[input]]\nurl = "stdin:"\n\n[[input]]\nurl = "udp://127.0.0.1:{forwarders}"\n'
    site.write_text(site.read_text() + inputs)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    terminal = os.ttyname(theirs)
    os.close(theirs)
    healthy, ready = f"http://{page}/healthz", f"http://{page}/readyz"
    why = r"failed \d+ times in a row: \[Errno 5\] Input/output error"
    arguments = ("run", "-c", site, "--status", page, "-q")
    with (
        running_sandbox(port=server),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forwarder,
        subprocess.Popen([*IMPATIENT, *arguments], stdin=ours, stderr=subprocess.PIPE) as process,
    ):
        try:
            forwarder.connect(("127.0.0.1", forwarders))
            forwarder.settimeout(PATIENCE_S)
            for url in (healthy, ready):
                wait_until(lambda url=url: says(url, "input stdin: failed"), f"{url} has no word of it")  # type: ignore[misc]
                assert re.search(why, requests.get(url, timeout=PATIENCE_S).text)
            assert is_acknowledged(forwarder)
            status, metrics = f"http://{page}/status.json", f"http://{page}/metrics"
            found = requests.get(status, timeout=PATIENCE_S).json()
            troubles = {item["name"]: item.get("trouble") for item in found["state"]["inputs"]}
            assert re.match(why, troubles["stdin"]["what"]) and not troubles[f"udp 127.0.0.1:{forwarders}"]
            assert found["verdict"]["kind"] == "bad"
            wait_until(lambda: in_text(metrics, 'lora_post_alert{alert="input:stdin"} 1.0'), "no alert")
            assert in_text(metrics, 'lora_post_input_up{input="stdin"} 0.0')
            assert in_text(metrics, f'lora_post_input_up{{input="udp 127.0.0.1:{forwarders}"}} 1.0')
            failures = re.search(r'input_failures_total\{input="stdin"\} (\d+)', text_of(metrics))
            assert failures and int(failures[1]) >= 3

            again = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
            wait_until(lambda: says(healthy, "") and says(ready, ""), "it is not well again")
            os.write(again, counting_packet(0))
            wait_until(lambda: in_text(metrics, "lora_post_uplinks_total 1.0"), "nothing heard")
            wait_until(lambda: not in_text(metrics, 'lora_post_alert{alert="input:'), "the alert is not over")
            os.close(again)
        finally:
            process.kill()
            os.close(ours)


def is_acknowledged(forwarder: socket.socket) -> bool:
    """Whether a datagram is taken."""
    forwarder.send(b"\x02\0\1\0\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa" + b'{"stat":{"rxnb":1}}')
    return forwarder.recv(100)[:4] == b"\x02\0\1\1"


def text_of(url: str) -> str:
    return requests.get(url, timeout=PATIENCE_S).text


def in_text(url: str, text: str) -> bool:
    return text in text_of(url)
