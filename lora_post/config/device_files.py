"""Files of devices beside the configuration: devices.toml, and devices.d/*.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lora_post.config.not_toml import not_toml, toml_text
from lora_post.config.toml_document import read_toml
from lora_post.errors import ConfigError, Problem
from lora_post.toml_table import TableReader
from lora_post.trust import writable_by_others

FILE: Final = "devices.toml"
FOLDER: Final = "devices.d"
TABLES: Final = ("device", "decoder_rule")


def device_files(path: Path) -> list[Path]:
    """Return the files of devices of a configuration, in the order in which they are read.

    path: of the configuration. Hidden files of devices.d are left out, as editors leave some there.
    """
    if path.name == FILE:
        return []
    single = path.with_name(FILE)
    try:
        many = sorted(each for each in path.with_name(FOLDER).iterdir() if each.suffix == ".toml")
    except OSError:
        many = []
    return [*([single] if single.exists() else []), *(each for each in many if not each.name.startswith("."))]


def read_device_files(
    path: Path, environ: Mapping[str, str], texts: Mapping[Path, str] | None = None
) -> Iterator[TableReader]:
    """Yield a reader for each file of devices, with the mistakes and warnings of the file as a whole.

    path: of the configuration. texts: what is going to be in some of the files.
    """
    texts = texts or {}
    for file in dict.fromkeys((*device_files(path), *texts)):
        reader = _read(file, environ, texts.get(file))
        if file.parent != path.parent and (fault := writable_by_others(file.parent)):
            reader.refuse(fault.what, fault.fix)
        yield reader


def _read(file: Path, environ: Mapping[str, str], text: str | None) -> TableReader:
    if text is None:
        try:
            text = toml_text(file.read_bytes())
        except OSError as error:
            return _refused(file, environ, Problem(f"it cannot be read: {error.strerror}"))
        except ConfigError as error:
            return _refused(file, environ, error.problem)
    try:
        document = read_toml(text)
    except tomllib.TOMLDecodeError as error:
        return _refused(file, environ, not_toml(text, error, TABLES))
    reader = TableReader({}, file, environ, text=text)
    _take(reader, document)
    return reader


def _refused(file: Path, environ: Mapping[str, str], mistake: Problem) -> TableReader:
    reader = TableReader({}, file, environ)
    reader.mistakes.append(mistake)
    return reader


def _take(reader: TableReader, document: Mapping[str, object]) -> None:
    if "gateway" in document:
        reader.warn(f"{reader.path} has a [gateway]: it is a configuration of its own, its devices are not read here")
        return
    for key in document:
        if key not in TABLES:
            reader.mistakes.append(
                Problem(f"[{key}] does not belong here", "move it into the configuration; devices alone are here")
            )
    reader.document = {key: document[key] for key in TABLES if key in document}
