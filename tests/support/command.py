"""The installed command as a real process, and a sandbox as another one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from lora_post.lorawan.session_keys import SessionKeys
from lora_post.uplink.unlock import seal_lorawan
from tests.support.paths import ROOT
from tests.support.prepared import PreparedProcess

COMMAND = str(Path(sys.executable).parent / "lora-post")
SCRIPT = (sys.executable, "-P")
HURRIED = (*SCRIPT, str(ROOT / "tests" / "support" / "hurried.py"))
"""The same with less patience, where a test kills it or takes something away from it."""
DEVICES = 3
PATIENCE_S = 120
"""For how long a test waits for what must come, however busy the machine is."""


def keys(index: int) -> SessionKeys:
    return SessionKeys(bytes([index]) * 16, bytes([index + 128]) * 16)


def dev_addr(index: int) -> int:
    return 0x26010000 + index


def packet(payload: bytes, time_us: int) -> bytes:
    """One frame as a radio program in raw mode prints it, in a zone two hours east of Greenwich."""
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_us // 1_000_000 + 7200))
    head = b"--- rxlora[1]. dst=0 type=0x00 src=0 seq=0 len=%d SNR=7 RSSIpkt=-60 BW=125 CR=4/5 SF=12\n" % len(payload)
    lines = b"^p0,0,0,0,%d,7,-60\n^r125,5,12,868100\n" % len(payload)
    stamp = b"^t%s.%06d*%d\n" % (local.encode(), time_us % 1_000_000, time_us % 2**32)
    return head + lines + stamp + b"\xff\xfe" + payload + b"\n"


def counting_packet(fcnt: int, *, start_us: int = 1_790_000_000_000_000, step_us: int = 1_000_000) -> bytes:
    """Frame number fcnt of the site: device fcnt % DEVICES says its own count as an LPP digital and analog value."""
    index = fcnt % DEVICES
    count = fcnt // DEVICES
    payload = bytes((1, 2)) + (count % 30_000).to_bytes(2) + bytes((2, 103)) + (count % 500).to_bytes(2)
    return packet(seal_lorawan(keys(index), dev_addr(index), count, 2, payload), start_us + fcnt * step_us)


def write_site(folder: Path, url: str) -> Path:
    """The configuration of a site with DEVICES counting devices."""
    lines = [
        '[gateway]\nid = "gw1"\n',
        f'[waziup]\nurl = "{url}"\nusername = "demo"\npassword = "demo"\n',
        '[spool]\npath = "spool.db"\n',
    ]
    for index in range(DEVICES):
        lines.append(
            f'[[device]]\nid = "counter-{index}"\ndev_addr = "{dev_addr(index):08x}"\ndecoder = "cayenne-lpp"\n'
            f'nwk_skey = "{bytes([index]).hex() * 16}"\napp_skey = "{bytes([index + 128]).hex() * 16}"\n'
        )
    path = folder / "site.toml"
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    return path


def _process(command: Sequence[str], arguments: Sequence[str], cwd: Path | None) -> subprocess.Popen[bytes]:
    """A process with its three streams as pipes; the command or a variant of it is forked, which takes less time."""
    is_script = command[:-1] in ((), SCRIPT)
    kind, words = (PreparedProcess, command[-1:]) if is_script else (subprocess.Popen, command)
    pipe = subprocess.PIPE
    return kind([*words, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, bufsize=0)


def run(
    *arguments: str,
    stdin: bytes = b"",
    timeout: float = 2 * PATIENCE_S,
    cwd: Path | None = None,
    command: Sequence[str] = (COMMAND,),
) -> subprocess.CompletedProcess[bytes]:
    with _process(command, arguments, cwd) as process:
        try:
            out, said = process.communicate(stdin, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


@contextmanager
def started(
    *arguments: str, cwd: Path | None = None, command: Sequence[str] = (COMMAND,)
) -> Iterator[subprocess.Popen[bytes]]:
    """A running command; killed if the test has not ended it."""
    process = _process(command, arguments, cwd)
    try:
        yield process
    finally:
        process.kill()
        with process:
            pass


@contextmanager
def sandbox_process(port: int, *options: str) -> Iterator[str]:
    """`lora-post sandbox` in a process of its own; gives its API url once it answers."""
    url = f"http://127.0.0.1:{port}/api/v2"
    with started("sandbox", "--port", str(port), *options):
        wait_until(lambda: answers(url), "the sandbox does not answer")
        yield url


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/users/me", timeout=PATIENCE_S).status_code == 200
    except requests.ConnectionError:
        return False


def wait_until(true: object, otherwise: str, timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


class Admin:
    """What a server has, asked through its own API."""

    def __init__(self, url: str) -> None:
        self.url = url
        body = {"username": "admin", "password": "admin"}
        token = requests.post(f"{url}/auth/token", json=body, timeout=PATIENCE_S).text
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> list[dict[str, object]]:
        answer = requests.get(self.url + path, headers=self.headers, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def rows(self, device: str, sensor: str) -> list[tuple[object, object]]:
        """(value, timestamp) in the order of arrival."""
        found = self.get(f"/devices/{device}/sensors/{sensor}/values?limit=0")
        return [(row["value"], row["timestamp"]) for row in found]
