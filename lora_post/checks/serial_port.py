"""Check a serial port: is it there, who may open it, who has it open? Change no settings."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Final

from lora_post.sinks.finding import Finding, fail, ok, warning

SUBJECT: Final = "inputs"
# Linux Documentation/ABI/testing/sysfs-tty: the devices that are the kernel's console at the moment.
CONSOLES: Final = Path("/sys/class/tty/console/active")
_PROC: Final = Path("/proc")


def check_port(path: str, consoles: Path = CONSOLES) -> Iterator[Finding]:
    """Yield whether it can be opened, and a warning for each other program that uses it."""
    others = holders(path)
    try:
        port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        yield not_opened(path, error, others)
        return
    try:
        if not os.isatty(port):
            fix = "name the port, as serial:///dev/ttyUSB0?baud=38400"
            yield fail(SUBJECT, f"{path} is not a serial port", fix)
            return
        fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = f" by {_names(others)}" if others else "; whose it is can be seen with: sudo lora-post check"
        fix = "fine if that is `lora-post run`; else stop it"
        yield warning(SUBJECT, f"serial port {path} is in use{who}", fix)
        return
    finally:
        os.close(port)
    if others:
        text = f"serial port {path} is also open in {_names(others)}: each of the two gets a part of the bytes"
        yield warning(SUBJECT, text, _stop_fix(others))
    else:
        yield ok(SUBJECT, f"serial port {path} can be opened")
    if is_console(path, consoles):
        text = f"serial port {path} is the system's console: boot messages and a login prompt go there"
        yield warning(SUBJECT, text, "sudo raspi-config: Interface Options, Serial Port, no login shell; then restart")


def holders(path: str, proc: Path = _PROC) -> dict[int, str]:
    """Return who has this file open: names by process id. Only root sees other users' processes."""
    wanted = os.path.realpath(path)
    found: dict[int, str] = {}
    for process in proc.iterdir():
        # Whatever is read here may end meanwhile.
        with suppress(OSError):
            if process.name.isdecimal() and int(process.name) != os.getpid() and _has_open(process, wanted):
                found[int(process.name)] = (process / "comm").read_text("utf-8", "replace").strip()
    return found


def _has_open(process: Path, path: str) -> bool:
    # The names of the links, not what they lead to: that may be a network that does not answer.
    return any(str(fd.readlink()) == path for fd in (process / "fd").iterdir())


def is_console(path: str, consoles: Path = CONSOLES) -> bool:
    """Tell whether the kernel writes its messages to this port."""
    try:
        return Path(os.path.realpath(path)).name in consoles.read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return False


def _names(found: dict[int, str]) -> str:
    return ", ".join(f"{name} (process {number})" for number, name in sorted(found.items())[:3])


def _stop_fix(found: dict[int, str]) -> str:
    if "ModemManager" in found.values():
        return "sudo systemctl disable --now ModemManager, unless a modem needs it"
    return f"stop it: sudo kill {' '.join(map(str, sorted(found)))}"


def not_opened(path: str, error: OSError, others: dict[int, str]) -> Finding:
    """Return why the port cannot be opened. others: who has it open."""
    text = f"serial port {path}: {error.strerror}"
    if error.errno in (errno.EACCES, errno.EPERM):
        why, fix = _permission(path)
        return fail(SUBJECT, text + why, fix)
    if error.errno == errno.ENOENT:
        return fail(SUBJECT, text, "plug it in, or name the port that is there: ls /dev/serial/by-id")
    if error.errno == errno.EBUSY and others:
        return fail(SUBJECT, f"{text}: {_names(others)} has it for itself", _stop_fix(others))
    return fail(SUBJECT, text, "plug it out and in again; is another program using it?")


def _permission(path: str) -> tuple[str, str]:
    """Return why this user may not open the port, and what to do."""
    try:
        info = Path(path).stat()
        group, user = grp.getgrgid(info.st_gid), pwd.getpwuid(os.geteuid()).pw_name
    except (OSError, KeyError):
        return "", "run: sudo usermod -aG dialout $USER, then log in again"
    mode = stat.S_IMODE(info.st_mode)
    if group.gr_gid == 0 or not mode & 0o060:
        return (
            f"; its mode is {mode:o}, its group {group.gr_name}",
            f"run: sudo chgrp dialout {quote(path)}; sudo chmod 660 {quote(path)}",
        )
    if user in group.gr_mem:
        return f"; {user} has been put into the group {group.gr_name} since this login", "log in again, or restart"
    why = f"; it is for the group {group.gr_name}, and {user} is not in it"
    return why, f"run: sudo usermod -aG {quote(group.gr_name)} {quote(user)}, then log in again"
