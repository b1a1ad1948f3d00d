"""Change a file of devices: every other line stays as it is, with its comments; all of a change is made, or nothing."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lora_post.config import Change, examine_config
from lora_post.config.device_files import FILE
from lora_post.config.not_toml import toml_text
from lora_post.config.toml_document import read_toml
from lora_post.errors import ConfigError
from lora_post.spool.swap import sync

HEAD: Final = "# Devices. `lora-post devices` changes this file, and so may you; other lines and comments stay.\n"
NEW_MODE: Final = 0o640

_HEADER: Final = re.compile(r"[ \t]*\[{1,2}[ \t]*([^\]#]+?)[ \t]*\]{1,2}[ \t]*(?:#.*)?\r?\n?")
_KEY: Final = re.compile(r"[ \t]*([A-Za-z0-9_-]+)[ \t]*=")
_REMARK: Final = re.compile(r"[ \t]*#")
_COMMENT: Final = re.compile(r"[ \t]*#.*\r?\n?")


def file_for_devices(path: Path) -> Path:
    """Return the file that new devices of a configuration are written to.

    Raises ConfigError when devices.toml is a configuration of its own.
    """
    if path.name == FILE:
        return path
    file = path.with_name(FILE)
    try:
        is_own = "gateway" in read_toml(toml_text(file.read_bytes()))
    except FileNotFoundError:
        return file
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", fix="run it as its owner, or with sudo") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error
    if is_own:
        raise ConfigError(f"{file} is a configuration of its own", fix=f"name it with -c {file}, or rename it")
    return file


def with_devices(text: str, tables: Sequence[Mapping[str, object]]) -> str:
    """Return the text of a file with more [[device]] tables at its end."""
    before = text if text.endswith("\n") or not text else f"{text}\n"
    return (before or HEAD) + "".join(map(device_text, tables))


def device_text(table: Mapping[str, object]) -> str:
    """Return one [[device]] as TOML, behind an empty line."""
    return "\n[[device]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


def without_device(text: str, number: int) -> str:
    """Return the text without one [[device]], its sub-tables and the comment right above it. number: from 0.

    Raises ConfigError for a file in which it cannot be found for sure.
    """
    lines = text.splitlines(keepends=True)
    headers = [(at, found[1]) for at, line in enumerate(lines) if (found := _HEADER.fullmatch(line))]
    starts = [at for at, name in headers if name == "device"]
    kept = None
    if number < len(starts):
        start = starts[number]
        end = next((at for at, name in headers if at > start and not name.startswith("device.")), len(lines))
        kept = "".join(lines[: _with_comment(lines, start)] + lines[_with_comment(lines, end) :])
    wanted = read_toml(text)
    del wanted["device"][number]
    if kept is None or _read(kept) != {key: value for key, value in wanted.items() if value != []}:
        raise ConfigError("its place in the file is not clear", fix=f"remove [[device]] number {number + 1} by hand")
    return kept


def with_values(text: str, number: int, values: Mapping[str, object]) -> str:
    """Return the text with other values in one [[device]]; "" takes a key out. number: from 0.

    Comments and other lines stay. Raises ConfigError for a file in which it cannot be found for sure.
    """
    lines = text.splitlines(keepends=True)
    headers = [(at, found[1]) for at, line in enumerate(lines) if (found := _HEADER.fullmatch(line))]
    starts = [at for at, name in headers if name == "device"]
    changed = None
    if number < len(starts):
        first = starts[number] + 1
        end = next((at for at, _ in headers if at >= first), len(lines))
        changed = "".join([*lines[:first], *_changed(lines[first:end], values), *lines[end:]])
    wanted = read_toml(text)
    table = wanted["device"][number] | values
    wanted["device"][number] = {key: value for key, value in table.items() if value != ""}
    if changed is None or _read(changed) != wanted:
        raise ConfigError("its place in the file is not clear", fix=f"change [[device]] number {number + 1} by hand")
    return changed


def _changed(lines: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """Return the lines of a table with other values; new keys stand behind the last one."""
    left, found, last = dict(values), list[str](), 0
    at = 0
    while at < len(lines):
        key = _KEY.match(lines[at])
        size = _size_of_value(lines, at) if key else 1
        if key and key[1] in left:
            value = left.pop(key[1])
            found += [] if value == "" else [f"{key[1]} = {_toml(value)}{_remark(''.join(lines[at : at + size]))}\n"]
        else:
            found += lines[at : at + size]
        last = len(found) if key else last
        at += size
    if last and not found[last - 1].endswith("\n"):
        found[last - 1] += "\n"
    return [*found[:last], *(f"{key} = {_toml(value)}\n" for key, value in left.items() if value != ""), *found[last:]]


def _size_of_value(lines: Sequence[str], at: int) -> int:
    """Return how many lines the value takes that begins here."""
    return next(
        (size for size in range(1, len(lines) - at + 1) if _read("".join(lines[at : at + size])) is not None), 1
    )


def _remark(line: str) -> str:
    """Return the comment behind a value, with the blanks before it; "" without one."""
    meant = _read(line)
    marks = [found.start() for found in _REMARK.finditer(line)]
    return next((line[at:].rstrip("\r\n") for at in marks if meant and _read(line[:at]) == meant), "")


def _with_comment(lines: Sequence[str], at: int) -> int:
    """Return where the comment begins that stands right above a header; the header's own line without one."""
    while 0 < at < len(lines) and _COMMENT.fullmatch(lines[at - 1]):
        at -= 1
    return at


def _read(text: str) -> Mapping[str, object] | None:
    try:
        return read_toml(text)
    except tomllib.TOMLDecodeError:
        return None


def _toml(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


@contextmanager
def editing(path: Path) -> Iterator[None]:
    """Keep other processes from changing the devices of a configuration as long as the block runs.

    Raises ConfigError when the folder cannot be opened.
    """
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def append_devices(path: Path, tables: Sequence[Mapping[str, object]], environ: Mapping[str, str]) -> Path:
    """Write [[device]] tables to the file for them; returns it.

    path: of the configuration. Raises ConfigError; nothing is changed then.
    """
    file = file_for_devices(path)
    text = toml_text(file.read_bytes()) if file.exists() else ""
    write(path, file, with_devices(text, tables), environ)
    return file


def write(path: Path, file: Path, text: str, environ: Mapping[str, str]) -> None:
    """Replace a file of devices at once; it keeps its owner and rights, a new one has those of the configuration.

    path: of the configuration, which is checked with the new text first. Raises ConfigError; nothing is changed then.
    """
    _, mistakes = examine_config(path, environ, Change({file: text}))
    if mistakes:
        raise ConfigError("\n".join(map(str, mistakes)))
    target = file.resolve()
    new = target.with_name(f".{target.name}.new")
    try:
        like = (target if target.exists() else path).stat()
        with suppress(FileNotFoundError):
            new.unlink()  # left there by a power cut
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            _give(stream.fileno(), like)
            os.fsync(stream.fileno())
        new.replace(target)
        sync(target.parent)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        what = f"{file} cannot be written: {error.strerror}"
        raise ConfigError(what, fix="run it as its owner, or with sudo") from error


def _give(fd: int, like: os.stat_result) -> None:
    """Give a file the owner and the rights of another one, but none to change it to others."""
    with suppress(PermissionError):  # only root may give files away; its own group anybody
        os.fchown(fd, -1, like.st_gid)
        os.fchown(fd, like.st_uid, -1)
    os.fchmod(fd, like.st_mode & NEW_MODE | 0o600)
