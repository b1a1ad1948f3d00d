"""Run a decoder, and make the report.

A decoder may be a stranger's file. What it raises or returns never gets further than here.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from threading import current_thread, main_thread
from types import FunctionType
from typing import TypeVar

from msgspec.structs import replace

from lora_post.clocks.scale import is_unknown, utc_text
from lora_post.decoding.time_limit import Overrun
from lora_post.errors import ConfigError, DecodeError, DecoderCrash, Implausible, NoReading
from lora_post.model import (
    MAX_DEPTH,
    MAX_INT,
    MAX_READINGS,
    MIN_INT,
    Actuator,
    CodecFunction,
    Decoded,
    DecodeFunction,
    Decoder,
    LeftOut,
    Options,
    Reading,
)
from lora_post.payloads import lpp
from lora_post.text import one_line, plural
from lora_post.times import StampUs
from lora_post.units import UNITS
from lora_post.uplink.model import Report, Uplink

log = logging.getLogger(__name__)

_Said = TypeVar("_Said", Reading, LeftOut)

MAX_WARNINGS = 16
MAX_ACTUATORS = 64
MAX_METADATA = 64
MAX_LEFT_OUT = MAX_READINGS
VALUE_TYPES = ("string", "number", "bool", "object", "array")
MAX_AGE_S = 4 * 366 * 86400.0  # longer than devices store readings; a time that waits for the clock stays in its slot
MAX_AHEAD_S = 300.0  # of a device's clock
FIRST_S, LAST_S = 1420070400.0, 4294967295.0  # 2015, before which a clock was never set, and the last that fits a u32
MAX_TEXT = 200  # characters of a message
MAX_CAUSES = 256  # crashes that are remembered as told


def configured(decoder: Decoder, options: Options) -> DecodeFunction:
    """Return the function that decodes for a device with these options.

    Raises ConfigError when the decoder has no options, refuses these, or fails over them.
    """
    if not options:
        return decoder.decode
    if decoder.configure is None:
        raise ConfigError(f"decoder {decoder.name!r} has no options", fix=f"remove {', '.join(options)}")
    try:
        function = decoder.configure(options)
    except ConfigError as error:
        raise ConfigError(f"decoder {decoder.name!r}: {error.what}", fix=error.fix) from error
    except (Exception, SystemExit) as error:  # the decoder boundary
        _log_crash(decoder, error)
        raise ConfigError(f"decoder {decoder.name!r} crashed over these options: {message_of(error)}") from error
    if not callable(function):
        raise ConfigError(f"decoder {decoder.name!r} made {kind_of(function)} of these options, want a function")
    return function


def attempt(function: DecodeFunction, payload: bytes, fport: int, received_s: float | None = None) -> Decoded:
    """Run a decode function to show what it does; nothing is dropped or counted. received_s: None for now.

    Raises DecodeError, as DecoderCrash for whatever else the function raises or returns.
    """
    try:
        if isinstance(function, CodecFunction) and received_s is not None:
            found: object = function.received(payload, fport, received_s)
        else:
            found = function(payload, fport)
    except DecodeError:
        raise
    except (Exception, SystemExit) as error:  # the decoder boundary
        raise DecoderCrash(message_of(error)) from error
    if type(found) is Decoded and type(found.readings) is list:
        return found
    if type(found) is not list:
        raise DecoderCrash(_no_list(found))
    return Decoded(found)


def decode(uplink: Uplink, decoder: Decoder | None) -> Report:
    """Run the decoder of an uplink; never raises. decoder: None is a problem.

    A DecodeError's kept readings are used and its message becomes a warning, or the problem when
    nothing was kept. Readings that no sink could send are dropped one by one, each with a warning.
    FPort 0 and empty payloads have no readings and need no decoder; NoReading is not a problem either.
    """
    if uplink.fport == 0:
        return Report(uplink, (), ("MAC commands only",))
    if not uplink.payload:
        return Report(uplink, ())
    if decoder is None:
        return Report(uplink, (), (), _no_decoder(uplink))
    return run(uplink, decoder)


def run(uplink: Uplink, decoder: Decoder) -> Report:
    """Do what `decode` does, for any payload: the empty one too."""
    function = decoder.decode
    try:
        if type(function) is FunctionType:
            readings: object = function(uplink.payload, uplink.fport or 0)
        else:
            readings = _decoded(uplink, function)
    except NoReading as error:
        return Report(uplink, (), (str(error),))
    except DecodeError as error:
        kept = getattr(error, "kept", None)  # a decoder's own class may have forgotten it
        return _examine(uplink, kept if isinstance(kept, tuple) else (), message_of(error))
    except BaseException as error:  # a decoder that wants to leave must not take the gateway along
        if isinstance(error, Overrun) or (isinstance(error, KeyboardInterrupt) and current_thread() is main_thread()):
            raise
        _log_crash(decoder, error)
        return Report(uplink, (), (), f"{DecoderCrash.__name__}: {message_of(error)}")
    if function is lpp.decode and type(readings) is list:
        return Report(uplink, tuple(readings))  # good by its making, as the tests of LPP show
    if type(readings) is Decoded:
        return _examine_decoded(uplink, readings)
    if type(readings) is not list:
        return Report(uplink, (), (), f"{DecoderCrash.__name__}: {_no_list(readings)}")
    if len(readings) > MAX_READINGS:
        return _examine(uplink, readings)
    if not all(map(_is_plain, readings)):
        return _examine(uplink, readings)
    return Report(uplink, tuple(readings))


def _no_list(thing: object) -> str:
    return f"returned {kind_of(thing)}, want a list of readings, [] for none"


def expect(uplink: Uplink, decoder: Decoder | None) -> None:
    """Note an uplink that `decode` will soon be called with, see `CodecFunction`."""
    function = decoder.decode if decoder else None
    if (
        isinstance(function, CodecFunction)
        and uplink.payload
        and uplink.fport != 0
        and not is_unknown(uplink.frame.time_us)
    ):
        function.expect(uplink.payload, uplink.fport or 0, uplink.frame.time_us / 1e6)


def _decoded(uplink: Uplink, function: DecodeFunction) -> object:
    if isinstance(function, CodecFunction) and not is_unknown(uplink.frame.time_us):
        return function.received(uplink.payload, uplink.fport or 0, uplink.frame.time_us / 1e6)
    return function(uplink.payload, uplink.fport or 0)


def _no_decoder(uplink: Uplink) -> str:
    device, fport = uplink.device, uplink.fport
    name = device.decoder_for(fport)
    if name:
        return f"no decoder is called {name!r}"
    known = ", ".join(map(str, sorted(device.decoder_by_fport)))
    where = "without FPort" if fport is None else f"on FPort {fport}"
    return f"no decoder for payloads {where}: decoder_by_fport has {known or 'nothing'}, and decoder is not set"


def _is_plain(reading: object) -> bool:
    """Tell quickly that a reading is good, as nearly all are; False: look closer."""
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
        and reading.at_s is None
        and (reading.channel is None or (type(reading.channel) is int and 0 <= reading.channel <= 255))
    )


def _examine(uplink: Uplink, readings: Sequence[object], message: str = "") -> Report:
    """Return the report with the readings that are good. message: what the decoder itself said."""
    kept: list[Reading] = []
    warnings: list[str] = []
    defects = False
    for number, reading in enumerate(readings[:MAX_READINGS], start=1):
        defect = fault_of(reading)
        fault = defect or _time_fault(reading, uplink.frame.time_us)
        if isinstance(reading, Reading) and not fault:
            kept.append(reading)
        else:
            warnings.append(f"reading {number} dropped: {fault}")
            defects = defects or defect != ""
    if len(readings) > MAX_READINGS:
        warnings.append(f"{len(readings)} readings, only the first {MAX_READINGS} are used")
    if not kept and not message and readings:
        message = (
            f"{DecoderCrash.__name__}: returned no usable reading"
            if defects
            else f"{Implausible.__name__}: every reading has a time that cannot be"
        )
    if kept and message:
        warnings.append(message)
    return Report(uplink, tuple(kept), tuple(warnings), message if message and not kept else None)


def _examine_decoded(uplink: Uplink, decoded: Decoded) -> Report:
    """Return the report of a decoder that says more than readings; what it says comes first."""
    if type(decoded.readings) is not list or not isinstance(decoded.warnings, (tuple, list)):
        text = (
            f"returned {kind_of(decoded.readings)} of readings and {kind_of(decoded.warnings)} of warnings, want lists"
        )
        return Report(uplink, (), (), f"{DecoderCrash.__name__}: {text}")
    false_time = _one_false_time(uplink, decoded)
    readings = [replace(each, at_s=None) for each in decoded.readings] if false_time else decoded.readings
    report = _examine(uplink, readings)
    said = [one_line(text, MAX_TEXT) for text in decoded.warnings[:MAX_WARNINGS] if isinstance(text, str)]
    if false_time:
        said.append(f"{false_time}; its readings are taken as measured when they were received")
    announced = decoded.actuators if isinstance(decoded.actuators, (tuple, list)) else ()
    actuators = tuple(each for each in announced[:MAX_ACTUATORS] if _is_actuator(each))
    if len(actuators) < len(announced):
        said.append(
            f"left out: {plural(len(announced) - len(actuators), 'actuator')}, too many or not as they should be"
        )
    metadata = _sound(decoded.metadata, Reading, MAX_METADATA)
    return replace(
        report,
        warnings=(*said, *report.warnings),
        data=decoded.data,
        actuators=actuators,
        metadata=tuple(reading for reading in metadata if not fault_of(reading)),
        left_out=_sound(decoded.left_out, LeftOut, MAX_LEFT_OUT),
    )


def _one_false_time(uplink: Uplink, decoded: Decoded) -> str:
    """Say what is wrong with the one time of all that a codec gives; "" for a good one, and where there are several.

    A codec tells so what it gives now, from a clock that was never set. Of several times a false one is of a stored
    record, whose place is not known.
    """
    if decoded.data is None or not all(type(each) is Reading and type(each.at_s) is float for each in decoded.readings):
        return ""
    names = [each.name for each in decoded.readings]
    if len({each.at_s for each in decoded.readings}) != 1 or len(set(names)) < len(names):
        return ""
    return _time_fault(decoded.readings[0], uplink.frame.time_us)


def _sound(things: object, kind: type[_Said], most: int) -> tuple[_Said, ...]:
    """Return what a decoder says beside its readings, without what is not of that kind."""
    return tuple(each for each in things[:most] if type(each) is kind) if isinstance(things, tuple | list) else ()


def _is_actuator(thing: object) -> bool:
    if type(thing) is not Actuator:
        return False
    texts = (thing.name, thing.kind, thing.value_type)
    return thing.value_type in VALUE_TYPES and thing.name != "" and all(type(t) is str and _is_utf8(t) for t in texts)


def fault_of(reading: object) -> str:
    """Tell what is wrong with something that a decoder returned, "" for nothing."""
    if type(reading) is not Reading:
        return f"{kind_of(reading)}, want a Reading"
    for field in ("name", "unit", "quantity"):
        text: object = getattr(reading, field)
        if type(text) is not str or not _is_utf8(text):
            return f"its {field} is {kind_of(text) if type(text) is not str else 'not valid text'}"
    if reading.name == "":
        return "it has no name"
    called = repr(reading.name[:40])
    if reading.channel is not None and (type(reading.channel) is not int or not MIN_INT <= reading.channel <= MAX_INT):
        return f"the channel of {called} is not an integer"
    age: object = reading.age_s
    if type(age) not in (int, float) or not 0 <= reading.age_s <= MAX_AGE_S:
        return f"the age of {called} is not in 0 … {MAX_AGE_S:.0f} s"
    if reading.at_s is not None and type(reading.at_s) not in (int, float):
        return f"the time of {called} is {kind_of(reading.at_s)}, want seconds since 1970"
    fault = _value_fault(reading.value, MAX_DEPTH)
    return f"the value of {called} is {fault}" if fault else ""


def _time_fault(reading: object, received_us: StampUs) -> str:
    """Tell why a stored reading cannot have been measured when it says, "" for a time that may be true."""
    if not isinstance(reading, Reading) or reading.at_s is None:
        return ""
    first_s, last_s = FIRST_S, LAST_S
    if not is_unknown(received_us):
        first_s = max(FIRST_S, received_us / 1e6 - MAX_AGE_S)
        last_s = received_us / 1e6 + MAX_AHEAD_S
    if first_s <= reading.at_s <= last_s:
        return ""
    when = utc_text(reading.measured_us(received_us)) if 0 <= reading.at_s <= LAST_S else f"{reading.at_s:g} s"
    return f"{reading.name[:40]!r} is of {when}, which cannot be: the device's clock is wrong"


def _value_fault(value: object, depth: int) -> str:
    """Tell what keeps a value from being stored as JSON, "" for nothing.

    depth: how many objects and lists may be inside one another.
    """
    if isinstance(value, bool):
        return ""
    if type(value) is float:
        return "" if isfinite(value) else f"{value}, not a finite number"
    if type(value) is int:
        return "" if MIN_INT <= value <= MAX_INT else "an integer beyond 64 bits"
    if type(value) is str:
        return "" if _is_utf8(value) else "not valid text"
    if type(value) is dict or type(value) is list:
        if depth == 0:
            return f"nested deeper than {MAX_DEPTH} levels"
        if type(value) is dict and not all(type(key) is str and _is_utf8(key) for key in value):
            return "an object with a key that is not valid text"
        items = value.values() if type(value) is dict else value
        return next((fault for fault in (_value_fault(item, depth - 1) for item in items) if fault), "")
    return kind_of(value)


def _is_utf8(text: str) -> bool:
    """Tell whether JSON can carry a text: half a surrogate pair it cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(thing: object) -> str:
    name = type(thing).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def message_of(error: BaseException) -> str:
    """Return class and text of an exception on one printable line.

    Works for one whose own text cannot be made, too.
    """
    text = _syntax_text(error) or "".join(traceback.format_exception_only(error))
    return one_line(text.removeprefix(f"{type(error).__module__}."), MAX_TEXT)


def _syntax_text(error: BaseException) -> str:
    """Return what, where and the line of a SyntaxError of Python itself; "" for other exceptions."""
    if not isinstance(error, SyntaxError) or type(error) not in (SyntaxError, IndentationError, TabError):
        return ""
    what, file, line, text = error.msg, error.filename, error.lineno, error.text
    if type(what) is not str or type(file) is not str or type(line) is not int or type(text) is not str:
        return ""
    return f"{type(error).__name__} in line {line} of {Path(file).name}: {what}: {text.strip()}"


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
    log.error("decoder=%s crashed: %s", decoder.name, message_of(error), exc_info=error, extra={"cause": cause})
