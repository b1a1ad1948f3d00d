from __future__ import annotations

import errno
import fcntl
import grp
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lora_post.checks.serial_port import check_port, holders, not_opened
from lora_post.sinks.finding import Grade
from tests.support.command import wait_until


class Port(NamedTuple):
    """A serial port that another process has open."""

    path: str
    fd: int
    holder: subprocess.Popen[bytes]


@pytest.fixture
def held() -> Iterator[Port]:
    ours, port = os.openpty()
    path = os.ttyname(port)
    with subprocess.Popen(["sleep", "600"], stdin=port) as holder:
        try:
            wait_until(lambda: holders(path) == {holder.pid: "sleep"}, "it is not seen who has the port open")
            yield Port(path, port, holder)
        finally:
            holder.kill()
    os.close(port)
    os.close(ours)


def test_who_has_the_port_open_is_named_with_the_way_to_stop_it(held: Port) -> None:
    (finding,) = check_port(held.path)
    assert finding.verdict is Grade.WARNING
    assert f"also open in sleep (process {held.holder.pid})" in finding.text
    assert finding.fix == f"stop it: sudo kill {held.holder.pid}"


def test_who_has_locked_the_port_is_named(held: Port) -> None:
    fcntl.flock(held.fd, fcntl.LOCK_EX)
    (finding,) = check_port(held.path)
    assert finding.verdict is Grade.WARNING
    assert f"is in use by sleep (process {held.holder.pid})" in finding.text


def test_port_that_nobody_has_is_ok(held: Port) -> None:
    held.holder.kill()
    held.holder.wait()
    (finding,) = check_port(held.path)
    assert finding.verdict is Grade.OK


def test_port_that_the_system_writes_to_is_a_warning(held: Port, tmp_path: Path) -> None:
    consoles = tmp_path / "active"
    consoles.write_text(f"tty0 {Path(held.path).name}\n")
    found = list(check_port(held.path, consoles))
    assert "the system's console" in found[-1].text
    assert "raspi-config" in found[-1].fix


def test_permission_that_is_missing_is_told_with_the_group_that_has_it(tmp_path: Path) -> None:
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    port = tmp_path / "ttyUSB0"
    port.touch(0o600)
    finding = not_opened(str(port), denied, {})
    assert finding.verdict is Grade.FAIL
    assert "its mode is 600" in finding.text
    assert finding.fix.endswith(f"sudo chmod 660 {port}")
    if os.geteuid() == 0:
        group = next(group for group in grp.getgrall() if group.gr_gid and "root" not in group.gr_mem)
        os.chown(port, -1, group.gr_gid)
        port.chmod(0o660)
        finding = not_opened(str(port), denied, {})
        assert f"it is for the group {group.gr_name}, and root is not in it" in finding.text
        assert f"usermod -aG {group.gr_name} root" in finding.fix


@pytest.mark.parametrize(
    ("number", "text", "fix"),
    [
        (errno.ENOENT, "No such file", "plug it in"),
        (errno.EBUSY, "minicom (process 7) has it for itself", "sudo kill 7"),
        (errno.EIO, "Input/output error", "plug it out and in"),
    ],
)
def test_why_a_port_cannot_be_opened_leads_to_what_to_do(number: int, text: str, fix: str) -> None:
    finding = not_opened("/dev/ttyUSB0", OSError(number, os.strerror(number)), {7: "minicom"})
    assert text in finding.text
    assert fix in finding.fix


def test_modem_manager_is_switched_off_and_not_killed() -> None:
    busy = OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    assert "systemctl disable" in not_opened("/dev/ttyACM0", busy, {7: "ModemManager"}).fix
