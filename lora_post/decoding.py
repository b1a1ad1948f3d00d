"""Decoder files: load them, run one, make the report.

A decoder is somebody's Python file. What it raises or returns never gets further than here.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import traceback
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import DecodeError, DecoderCrash, NoReading
from lora_post.model import Decoder, Reading, Report, Uplink
from lora_post.units import UNITS

log = logging.getLogger(__name__)

MAX_READINGS = 256  # a payload has at most 255 bytes; more is a decoder's mistake
MAX_DEPTH = 8
MAX_AGE_S = 10 * 366 * 86400.0  # longer than any device has stored readings; dates stay within the calendar
MIN_INT, MAX_INT = -(2**63), 2**63 - 1  # what the cloud's history keeps exactly
MAX_TEXT = 200  # characters of a message
MAX_CAUSES = 256  # crashes that are remembered as told


class LoadedDecoders(Struct, frozen=True):
    """Decoders by name, and one line for each file that was skipped."""

    decoders: dict[str, Decoder]
    problems: tuple[str, ...]


def shipped_folder() -> Path:
    """Where lora-post's own decoder files are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "decoders"
    return installed if installed.is_dir() else package.parent / "decoders"


def load_decoders(*folders: Path) -> LoadedDecoders:
    """Load the `DECODER` of every .py file in the folders; names that start with `_` are left out.

    A decoder of a later folder replaces one of the same name, so that a user's file goes before a
    shipped one. A file that fails, or has a name that its folder has already, is skipped and reported.
    """
    decoders: dict[str, Decoder] = {}
    problems: list[str] = []
    for folder in folders:
        here: dict[str, Decoder] = {}
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".py" and not path.name.startswith("_"))
        except OSError as error:
            problems.append(f"{folder}: {error.strerror}")
            continue
        for path in paths:
            try:
                decoder = load_decoder(path)
            except DecoderCrash as crash:
                problems.append(str(crash))
                continue
            if decoder.name in here:
                problems.append(f"{path}: the name {decoder.name!r} is taken by {here[decoder.name].origin}")
                continue
            here[decoder.name] = decoder
        for name in sorted(here.keys() & decoders.keys()):
            log.info("decoder=%s: %s replaces %s", name, here[name].origin, decoders[name].origin)
        decoders |= here
    return LoadedDecoders(decoders, tuple(problems))


def load_decoder(path: Path) -> Decoder:
    """The `DECODER` of one file. Raises DecoderCrash with path and cause."""
    name = str(path)  # in sys.modules, where no importable module is called so
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DecoderCrash(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the decoder boundary: a file of somebody else's
        sys.modules.pop(name, None)
        raise DecoderCrash(f"{path}: {_message(error)}") from error
    decoder = getattr(module, "DECODER", None)
    if type(decoder) is not Decoder:
        raise DecoderCrash(f"{path}: DECODER is {_kind(decoder)}, want a Decoder" if decoder else f"{path}: no DECODER")
    if type(decoder.name) is not str or not decoder.name or not callable(decoder.decode):
        raise DecoderCrash(f"{path}: DECODER needs a name and a function to decode")
    return replace(decoder, origin=str(path))


def decode(uplink: Uplink, decoders: Mapping[str, Decoder]) -> Report:
    """Run the device's decoder; never raises.

    A DecodeError's kept readings are used and its message becomes a warning, or the problem when
    nothing was kept. Readings that no sink could send are dropped one by one, each with a warning.
    FPort 0 and empty payloads have no readings and need no decoder; NoReading is no problem either.
    """
    if uplink.fport == 0:
        return Report(uplink, (), ("MAC commands only",))
    if not uplink.payload:
        return Report(uplink, ())
    decoder = decoders.get(uplink.device.decoder)
    if decoder is None:
        return Report(uplink, (), (), f"no decoder is called {uplink.device.decoder!r}")
    try:
        readings = decoder.decode(uplink.payload, uplink.fport or 0)
    except NoReading as error:
        return Report(uplink, (), (str(error),))
    except DecodeError as error:
        kept = getattr(error, "kept", None)  # a decoder's own class may have forgotten it
        return _examine(uplink, kept if isinstance(kept, tuple) else (), _message(error))
    except (Exception, SystemExit) as error:  # a decoder that wants to leave must not take the gateway along
        _log_crash(decoder, error)
        return Report(uplink, (), (), f"{DecoderCrash.__name__}: {_message(error)}")
    if type(readings) is not list:
        return Report(uplink, (), (), f"{DecoderCrash.__name__}: returned {_kind(readings)}, want a list")
    if len(readings) > MAX_READINGS:
        return _examine(uplink, readings)
    for reading in readings:
        if not _is_plain(reading):
            return _examine(uplink, readings)
    return Report(uplink, tuple(readings))


def _is_plain(reading: object) -> bool:
    """True for nearly every reading there is, found out quickly; False: look closer."""
    if type(reading) is not Reading:
        return False
    value = reading.value
    kind = type(value)
    if kind is float:
        plain = isfinite(value)  # type: ignore[arg-type]
    elif kind is int:
        plain = MIN_INT <= value <= MAX_INT  # type: ignore[operator]
    else:
        plain = kind is bool
    name, unit, quantity = reading.name, reading.unit, reading.quantity
    return (
        plain
        and type(name) is str
        and name != ""
        and name.isascii()
        and type(unit) is str
        and (unit == "" or unit in UNITS)
        and type(quantity) is str
        and quantity == ""
        and type(reading.age_s) is float
        and reading.age_s == 0.0
        and (reading.channel is None or (type(reading.channel) is int and 0 <= reading.channel <= 255))
    )


def _examine(uplink: Uplink, readings: Sequence[object], message: str = "") -> Report:
    """The report with the readings that are good; message: what the decoder itself had to say."""
    kept: list[Reading] = []
    warnings: list[str] = []
    for number, reading in enumerate(readings[:MAX_READINGS], start=1):
        fault = _fault(reading)
        if isinstance(reading, Reading) and not fault:
            kept.append(reading)
        else:
            warnings.append(f"reading {number} dropped: {fault}")
    if len(readings) > MAX_READINGS:
        warnings.append(f"{len(readings)} readings, only the first {MAX_READINGS} are used")
    if not kept and not message and readings:
        message = f"{DecoderCrash.__name__}: returned no usable reading"
    if kept and message:
        warnings.append(message)
    return Report(uplink, tuple(kept), tuple(warnings), message if message and not kept else None)


def _fault(reading: object) -> str:
    """What is wrong with something that a decoder returned; "" when nothing is."""
    if type(reading) is not Reading:
        return f"{_kind(reading)}, want a Reading"
    for field in ("name", "unit", "quantity"):
        text: object = getattr(reading, field)
        if type(text) is not str or not _is_utf8(text):
            return f"its {field} is {_kind(text) if type(text) is not str else 'no valid text'}"
    if reading.name == "":
        return "it has no name"
    called = repr(reading.name[:40])
    if reading.channel is not None and (type(reading.channel) is not int or not MIN_INT <= reading.channel <= MAX_INT):
        return f"the channel of {called} is no integer"
    age: object = reading.age_s
    if type(age) not in (int, float) or not 0 <= reading.age_s <= MAX_AGE_S:
        return f"the age of {called} is not in 0 … {MAX_AGE_S:.0f} s"
    fault = _value_fault(reading.value, MAX_DEPTH)
    return f"the value of {called} is {fault}" if fault else ""


def _value_fault(value: object, depth: int) -> str:
    """What keeps a value from being stored as JSON; depth: how many objects and lists may be inside one another."""
    if isinstance(value, bool):
        return ""
    if type(value) is float:
        return "" if isfinite(value) else f"{value}, no finite number"
    if type(value) is int:
        return "" if MIN_INT <= value <= MAX_INT else "an integer beyond 64 bits"
    if type(value) is str:
        return "" if _is_utf8(value) else "no valid text"
    if type(value) is dict or type(value) is list:
        if depth == 0:
            return f"nested deeper than {MAX_DEPTH} levels"
        if type(value) is dict and not all(type(key) is str and _is_utf8(key) for key in value):
            return "an object with a key that is no valid text"
        items = value.values() if type(value) is dict else value
        return next((fault for fault in (_value_fault(item, depth - 1) for item in items) if fault), "")
    return _kind(value)


def _is_utf8(text: str) -> bool:
    """False for text with half a surrogate pair, which JSON cannot carry."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(thing: object) -> str:
    name = type(thing).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _message(error: BaseException) -> str:
    """Class and text of an exception on one printable line, also when its own text cannot be made."""
    text = " ".join("".join(traceback.format_exception_only(error)).split())
    text = text.removeprefix(f"{type(error).__module__}.")[:MAX_TEXT]
    return "".join(character if character.isprintable() else "?" for character in text)


class _OncePerCause(logging.Filter):
    """Lets a record with a `cause` through the first time only."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[object] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        cause = getattr(record, "cause", None)
        if cause is None:
            return True
        if cause in self._told:
            return False
        if len(self._told) >= MAX_CAUSES:
            self._told.clear()
        self._told.add(cause)
        return True


log.addFilter(_OncePerCause())


def _log_crash(decoder: Decoder, error: BaseException) -> None:
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    cause = (decoder.name, type(error).__qualname__, frame.f_code.co_filename, line)
    log.error("decoder=%s crashed: %s", decoder.name, _message(error), exc_info=error, extra={"cause": cause})
