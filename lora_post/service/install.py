"""Write the units, make the service's user, set the modes of files."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lora_post.errors import LoraPostError
from lora_post.service.units import SYSUSERS, USER, is_untouched

UNIT_FOLDER: Final = "etc/systemd/system"
SYSUSERS_FILE: Final = "etc/sysusers.d/lora-post.conf"
READ_BY_GROUP: Final = 0o640


class InstallError(LoraPostError):
    """What installing needs is missing or not allowed, or something is in the way."""


def install_units(units: Mapping[str, str], root: Path) -> list[Path]:
    """Write the units; return what was written.

    Raises InstallError, with nothing written, when one was changed by hand.
    """
    folder = root / UNIT_FOLDER
    edited = [folder / name for name in units if not _may_be_replaced(folder / name)]
    if edited:
        names = ", ".join(map(str, edited))
        raise InstallError(
            f"{names}: changed by hand", fix="keep your changes with `systemctl edit`, then give --force"
        )
    return write_units(units, root)


def write_units(units: Mapping[str, str], root: Path) -> list[Path]:
    """Write the units over what is there; return what was written. Raises InstallError."""
    return [_write(root / UNIT_FOLDER / name, text) for name, text in units.items()]


def _may_be_replaced(path: Path) -> bool:
    try:
        return is_untouched(path.read_text("utf-8"))
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"{path}: {error}") from error


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, "utf-8")
        new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        raise InstallError(f"{path}: {error.strerror}", fix="run it with sudo") from error
    return path


def make_user(root: Path) -> int:
    """Make the service's user and group unless they are there; return the group's number.

    Raises InstallError.
    """
    path = _write(root / SYSUSERS_FILE, SYSUSERS)
    try:
        subprocess.run(  # noqa: S603 - no shell, words of our own
            ["systemd-sysusers", f"--root={root}", path.name],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as error:
        raise InstallError("systemd-sysusers is missing", fix="is this a system with systemd?") from error
    except subprocess.CalledProcessError as error:
        raise InstallError(f"systemd-sysusers cannot make the user {USER}: {error.stderr.strip()}") from error
    for line in (root / "etc/group").read_text("utf-8").splitlines():
        name, _, number, *_ = [*line.split(":"), "", "", ""]
        if name == USER:
            return int(number)
    raise InstallError(f"systemd-sysusers has made no group {USER}")


def secret_files(config_path: Path) -> Iterator[Path]:
    """Return the configuration file and the files that hold its secrets."""
    yield config_path
    for value in _values(tomllib.loads(config_path.read_text("utf-8")), "_file"):
        yield config_path.parent / value


def secret_variables(config_path: Path) -> list[str]:
    """Return the environment variables that hold its secrets."""
    return sorted(set(_values(tomllib.loads(config_path.read_text("utf-8")), "_env")))


def _values(item: object, suffix: str) -> Iterator[str]:
    if isinstance(item, dict):
        for key, value in item.items():
            if key.endswith(suffix) and isinstance(value, str):
                yield value
            else:
                yield from _values(value, suffix)
    elif isinstance(item, list):
        for value in item:
            yield from _values(value, suffix)


def let_read(path: Path, group: int) -> None:
    """Let the service read a file that its owner alone may write. Raises InstallError."""
    try:
        if path.stat().st_gid != group:
            os.chown(path, -1, group)
        if path.stat().st_mode & 0o777 != READ_BY_GROUP:
            path.chmod(READ_BY_GROUP)
    except OSError as error:
        raise InstallError(f"{path}: {error.strerror}", fix="run it with sudo") from error
