"""A session with two hundred devices, as a technician has it: `python -m tests.two_hundred` prints it.

Their frames are heard; they are imported from ChirpStack's answers; the one with exchanged keys is found by its frames
and corrected, and a rule for a sensor changes, while frames come without a pause. All values must be there, once.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lora_post.lorawan.session_keys import SessionKeys
from lora_post.sandbox.server import running_sandbox
from lora_post.spool.strangers import KEEP_FRAMES
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, Admin, packet, run, started, wait_until

COUNT = 200
WRONG = 17
HEARD = 60
"""So many send before they are imported; of 64 that no device is, frames are kept."""
START_US = 1_790_000_000_000_000
Say = Callable[[str], None]


def name_of(number: int) -> str:
    return f"Pump-{number}"


def address_of(number: int) -> int:
    return 0x26020000 + number


def keys_of(number: int) -> SessionKeys:
    return SessionKeys(bytes([number + 1]) * 16, bytes([255 - number]) * 16)


def export(wrong: int) -> str:
    """What ChirpStack's REST API answers about the devices and their sessions. wrong: its keys are exchanged."""
    answers: list[dict[str, object]] = []
    for number in range(COUNT):
        nwk, app = keys_of(number).secrets[:2]
        nwk, app = (app, nwk) if number == wrong else (nwk, app)
        eui, session = f"{number + 1:016x}", nwk.hex()
        answers.append({"device": {"devEui": eui, "name": name_of(number), "isDisabled": False}})
        three = dict.fromkeys(("nwkSEncKey", "sNwkSIntKey", "fNwkSIntKey"), session)
        activation = {"devEui": eui, "devAddr": f"{address_of(number):08x}", "appSKey": app.hex(), **three}
        answers.append({"deviceActivation": activation})
    return json.dumps(answers)


class Session:
    """The running command, what it logs, and the commands that are given beside it."""

    def __init__(self, folder: Path, url: str, process: subprocess.Popen[bytes], say: Say) -> None:
        self.folder, self.url, self.process, self.say = folder, url, process, say
        self.log = ""
        self.rounds = [0] * COUNT
        self.is_corrected = False
        self._frames = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line.decode()

    def wait_for(self, text: str) -> None:
        """Wait for a line of the log, and say it."""
        wait_until(lambda: text in self.log, f"not logged: {text}")
        self.say(next(line for line in self.log.splitlines() if text in line))

    def send(self, number: int) -> None:
        """Have a device send its next frame."""
        assert self.process.stdin is not None
        count = self.rounds[number]
        payload = bytes((1, 2)) + count.to_bytes(2)
        sealed = seal_lorawan(keys_of(number), address_of(number), count, 2, payload)
        self.process.stdin.write(packet(sealed, START_US + self._frames * 1_000_000))
        self.rounds[number] += 1
        self._frames += 1

    def command(self, *words: str) -> str:
        """Give a command beside it, and return what it says."""
        self.say(f"$ lora-post {' '.join(words)}")
        ran = run(*words, "-c", str(self.folder / "site.toml"), cwd=self.folder)
        said = (ran.stdout + ran.stderr).decode()
        self.say(said.rstrip())
        assert ran.returncode == 0, said
        return said


def session(folder: Path, say: Say) -> None:
    """Go through the session; raises AssertionError where something is not as it must be."""
    site = folder / "site.toml"
    with running_sandbox() as url:
        lines = ['[gateway]\nid = "gw1"\n', f'[waziup]\nurl = "{url}"\nusername = "demo"\npassword = "demo"\n']
        site.write_text("".join([*lines, '[spool]\npath = "spool.db"\n']))
        site.chmod(0o600)
        (folder / "chirpstack.json").write_text(export(WRONG))
        with started("run", "-c", str(site), "--drain-timeout", str(PATIENCE_S)) as process:
            _work(Session(folder, url, process, say))


def _work(at: Session) -> None:
    at.wait_for("started gateway=gw1")
    for number in range(HEARD):
        at.send(number)
    at.wait_for(f"no device has DevAddr {address_of(WRONG):08x}")
    said = at.command("devices", "import", "chirpstack.json", "--decoder", "cayenne-lpp")
    assert "added     200 devices to " in said
    assert "nwk_skey and app_skey are exchanged" in said
    at.wait_for("200 devices, 200 new")
    stop = threading.Event()
    load = threading.Thread(target=_send_until, args=(at, stop))
    load.start()
    try:
        wrong = f"gw1-{address_of(WRONG):08x}"
        nwk, app = keys_of(WRONG).secrets[:2]
        at.command("devices", "set", wrong, f"nwk_skey={nwk.hex()}", f"app_skey={app.hex()}")
        at.wait_for("200 devices, 0 new, 1 changed")
        at.is_corrected = True
        at.wait_for(f"of {address_of(WRONG):08x}, known as devices now")
        path = at.folder / "devices.toml"
        rule = '\n[[device.sensor]]\nname = "analog_in_1"\nunit = "m"\n'
        path.write_text(path.read_text().rstrip() + rule)
        wait_until(lambda: at.log.count("configuration read again") == 3, "the rule is not taken over")
    finally:
        stop.set()
        load.join()
    assert at.process.stdin is not None
    at.process.stdin.close()
    assert at.process.wait(2 * PATIENCE_S) == 0, at.log[-2000:]
    _look(at)


def _send_until(at: Session, stop: threading.Event) -> None:
    """Have all devices send, round by round; each at least three times, the one with wrong keys what is kept of it."""
    while not stop.is_set() or min(at.rounds) < 3:
        for number in range(COUNT):
            if number != WRONG or at.is_corrected or at.rounds[WRONG] < KEEP_FRAMES:
                at.send(number)
            time.sleep(0.002)


def _look(at: Session) -> None:
    admin = Admin(at.url)
    for number in range(COUNT):
        found = [value for value, _ in admin.rows(f"gw1-{address_of(number):08x}", "analog_in_1")]
        wanted = [count / 100 for count in range(at.rounds[number])]
        assert sorted(found) == wanted, (number, found, wanted)  # type: ignore[type-var]
    at.say(f"{sum(at.rounds)} frames of {COUNT} devices: each value is on the server, once")


def main() -> None:
    """Print the session."""
    with tempfile.TemporaryDirectory() as folder:
        session(Path(folder), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
