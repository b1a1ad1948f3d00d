"""A change of the configuration is taken over while it runs: the installed command, fed through a pipe."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from lora_post.config import load_config, load_what_works
from lora_post.errors import ConfigError
from lora_post.run.reload import needs_restart, stamps_of
from lora_post.sandbox.server import running_sandbox
from tests.support.command import (
    DEVICES,
    PATIENCE_S,
    Admin,
    counting_packet,
    started,
    wait_until,
    write_site,
)
from tests.support.counting import assert_everything_arrived_once
from tests.support.in_process import Ran, lora_post
from tests.support.ports import free_port

OTHER = '[[device]]\naddress = {address}\ndecoder = "text"\n'


def write_devices(folder: Path, text: str) -> None:
    """Write devices.toml as an editor does: beside it, then in its place."""
    new = folder / "devices.new"
    new.write_text(text)
    new.chmod(0o600)
    new.replace(folder / "devices.toml")


class Site:
    """A running lora-post, what it logs, and the sandbox that it sends to."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], url: str) -> None:
        self.folder = folder
        self.process = process
        self.url = url
        self.log = ""
        assert process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self.log += line.decode()

    def wait_for(self, text: str, times: int = 1) -> None:
        wait_until(lambda: self.log.count(text) >= times, f"not {times} times {text!r} in:\n{self.log}")

    def feed(self, *packets: bytes) -> None:
        assert self.process.stdin is not None
        for packet in packets:
            self.process.stdin.write(packet)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0, self.log
        self._reader.join()  # its last lines

    def reload(self, patience_s: float = PATIENCE_S) -> Ran:
        with pytest.MonkeyPatch.context() as command:
            command.setattr("lora_post.cli.reload.PATIENCE_S", patience_s)
            return lora_post("reload", "-c", self.folder / "site.toml")


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Site]:
    with running_sandbox() as url, started("run", "-c", str(write_site(folder, url)), *options) as process:
        site = Site(folder, process, url)
        site.wait_for("started gateway=gw1")
        yield site


@pytest.mark.parametrize(("frames", "changes"), [(150, 2), pytest.param(900, 6, marks=pytest.mark.long)])
def test_nothing_is_lost_or_doubled_by_changes_under_load(frames: int, changes: int, tmp_path: Path) -> None:
    with running(tmp_path) as site:

        def change() -> None:
            for number in range(changes):
                write_devices(tmp_path, OTHER.format(address=10 + number))
                site.wait_for("configuration read again", number + 1)
                write_devices(tmp_path, "[[device]\n")
                site.wait_for("configuration not taken over", number + 1)

        changing = threading.Thread(target=change)
        changing.start()
        fcnt = 0
        while changing.is_alive() or fcnt < frames:
            site.feed(counting_packet(fcnt))
            fcnt += 1
            time.sleep(0.005)
        changing.join()
        while fcnt % DEVICES:
            site.feed(counting_packet(fcnt))
            fcnt += 1
        site.end()
        assert f"uplinks={fcnt} " in site.log
        assert_everything_arrived_once(Admin(site.url), fcnt)


def test_a_new_device_is_taken_from_its_first_kept_frame_on_and_a_rule_changes_its_sensors(tmp_path: Path) -> None:
    text = (write_site(tmp_path, "http://127.0.0.1:9/api/v2")).read_text()
    third = text[text.index('[[device]]\nid = "counter-2"') :]
    with running_sandbox() as url:
        path = write_site(tmp_path, url)
        path.write_text(path.read_text().replace(third, ""))
        with started("run", "-c", str(path)) as process:
            site = Site(tmp_path, process, url)
            site.wait_for("started gateway=gw1")
            site.feed(counting_packet(2))
            site.wait_for("no device has DevAddr 26010002")
            write_devices(tmp_path, third)
            site.wait_for("taking 1 kept frame of 26010002")
            site.feed(counting_packet(5))
            site.wait_for("uplink device=counter-2 fcnt=1")
            write_devices(tmp_path, f'{third}[[device.sensor]]\nname = "temperature_2"\nrename = "water"\n')
            site.wait_for("1 changed")
            site.feed(counting_packet(8))
            site.end()
        admin = Admin(url)
        assert [value for value, _ in admin.rows("counter-2", "analog_in_1")] == [0, 0.01, 0.02]
        assert [value for value, _ in admin.rows("counter-2", "temperature_2")] == [0, 0.1]
        assert [value for value, _ in admin.rows("counter-2", "water")] == [0.2]


def test_reload_says_what_became_of_the_files(tmp_path: Path) -> None:
    with running(tmp_path, "--status", f"127.0.0.1:{free_port()}") as site:
        done = site.reload()
        assert (done.code, done.out) == (0, "in use    3 devices\n")
        assert "after a restart" not in site.log
        write_devices(tmp_path, OTHER.format(address=7) + OTHER.format(address=1))
        done = site.reload()
        assert (done.code, done.out) == (1, "in use    4 devices\n")
        assert "devices.toml: [[device]] number 2 (address 1, line 4) address is 1" in done.err
        config = tmp_path / "site.toml"
        before = config.read_text()
        config.write_text(before + '[[input]]\nurl = "serial:/dev/x?baud=fast"\n')
        done = site.reload()
        assert done.code == 2
        assert "site.toml: [[input]]" in done.err and "is not understood; write serial:///dev" in done.err
        config.write_text(before)
        write_devices(tmp_path, "[[device]\n")
        done = site.reload()
        assert done.code == 2
        assert "devices.toml" in done.err
        site.feed(*(counting_packet(n) for n in range(DEVICES)))
        site.end()
        assert_everything_arrived_once(Admin(site.url), DEVICES)
    done = site.reload()
    assert done.code == 2  # the file is still wrong
    write_devices(tmp_path, "")
    assert "nothing has read" in site.reload(0.5).err


def test_a_device_with_a_mistake_does_not_keep_the_others_from_starting(tmp_path: Path) -> None:
    write_devices(tmp_path, OTHER.format(address=1))
    with running(tmp_path) as site:
        site.feed(*(counting_packet(n) for n in range(DEVICES)))
        site.end()
        assert "devices.toml: [[device]] number 1 (address 1, line 1) address is 1" in site.log
        assert_everything_arrived_once(Admin(site.url), DEVICES)


@pytest.mark.parametrize(
    "text",
    ["[[device]]\naddress = 1\n", '[[device]]\naddress = 7\nfrob = 1\ndecoder = "text"\n', "[[device]]\n"],
)
def test_devices_with_mistakes_are_left_out(tmp_path: Path, text: str) -> None:
    path = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    path.write_text(path.read_text() + text)
    config = load_what_works(path)
    assert [device.id for device in config.devices] == ["counter-0", "counter-1", "counter-2"]
    assert all("[[device]] number 4" in problem.what for problem in config.left_out)
    path.write_text(path.read_text() + "[upload]\nfrob = 1\n")
    with pytest.raises(ConfigError, match=r"\[upload\]: unknown key 'frob'") as refused:
        load_what_works(path)
    assert "number 4" not in str(refused.value)


def test_what_is_not_taken_over_is_named(tmp_path: Path) -> None:
    path = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    old = load_config(path)
    more = '[upload]\nhold = "1min"\n[[input]]\nurl = "udp://:1700"\n[status]\nlisten = "127.0.0.1:8080"\n'
    path.write_text(path.read_text().replace("demo", "other") + more + OTHER.format(address=9))
    assert sorted(needs_restart(old, load_config(path))) == ["[[input]]", "[status]", "[upload]", "the destinations"]
    assert needs_restart(old, old) == []


def test_stamps_are_the_same_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    write_devices(tmp_path, OTHER.format(address=7))
    monkeypatch.chdir(tmp_path)
    assert stamps_of(Path("site.toml")) == stamps_of(path)
    assert len(stamps_of(path)) == 2
