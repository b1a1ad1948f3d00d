"""A decoder against its own examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from math import isclose
from typing import Final

from msgspec import Struct

from lora_post.decoding.decode import attempt, configured, fault_of
from lora_post.decoding.hangs import time_text
from lora_post.decoding.time_limit import Overrun, TimeLimit
from lora_post.errors import ConfigError, DecodeError, DecoderHang
from lora_post.model import CodecFunction, Decoded, DecodeFunction, Decoder, Example, Reading

MAX_DIFFERENCES: Final = 8
MAX_SHOWN: Final = 80


class Difference(Struct, frozen=True):
    """One reading that is not as the example says; None: it is missing on that side."""

    name: str
    expected: Reading | None
    got: Reading | None


class Failure(Struct, frozen=True):
    """An example that does not come true. number: its place in the decoder's list, from 1."""

    number: int
    example: Example
    complaints: tuple[str, ...]
    differences: tuple[Difference, ...] = ()


def check_decoder(decoder: Decoder, watch: TimeLimit) -> list[Failure]:
    """Run every example of a decoder, and return what does not come true.

    watch: ends one that hangs.
    """
    found = (
        _check_example(decoder, number, example, watch) for number, example in enumerate(decoder.examples, start=1)
    )
    return [failure for failure in found if failure is not None]


def _check_example(decoder: Decoder, number: int, example: Example, watch: TimeLimit) -> Failure | None:
    if type(example) is not Example:
        return Failure(number, Example(""), (f"it is of type {type(example).__name__}, want an Example",))
    try:
        payload = bytes.fromhex(example.payload)
    except (ValueError, TypeError) as error:
        return Failure(number, example, (f"the payload is not hex: {error}",))
    complaints: list[str] = []
    got: Sequence[Reading] = ()
    try:
        found = _attempt(configured(decoder, example.options), payload, example, watch)
        got = found.readings
        if example.data is not None:
            complaints += islice(data_differences(example.data, found.data), MAX_DIFFERENCES)
        if example.fails is not None:
            complaints.append(f"expected {_error_name(example)}, got no error")
    except ConfigError as error:
        return Failure(number, example, (f"options: {error}",))
    except DecodeError as error:
        got = getattr(error, "kept", ())  # a decoder's own class may have forgotten it
        if type(error) is not example.fails:
            complaints.append(f"expected {_error_name(example)}, got {type(error).__name__}: {error}")
    if example.data is not None:
        return Failure(number, example, tuple(complaints)) if complaints else None
    faults = [fault for fault in map(fault_of, got) if fault]
    complaints += [f"a reading that cannot be used: {fault}" for fault in faults]
    differences = () if faults else tuple(compare(example.gives, got))
    if not faults and not differences and list(example.gives) != list(got):
        complaints.append(f"the order differs: got {', '.join(reading.name for reading in got)}")
    return Failure(number, example, tuple(complaints), differences) if complaints or differences else None


def _attempt(function: DecodeFunction, payload: bytes, example: Example, watch: TimeLimit) -> Decoded:
    def call(example: Example) -> Decoded:
        return attempt(function, payload, example.fport, example.received_s)

    if isinstance(function, CodecFunction):  # these have a limit of their own
        return call(example)
    try:
        return watch.call(call, example)
    except Overrun as error:
        raise DecoderHang(f"no result in {time_text(watch, error)}") from None


def _error_name(example: Example) -> str:
    return "no error" if example.fails is None else getattr(example.fails, "__name__", repr(example.fails))


def compare(expected: Sequence[Reading], got: Sequence[Reading]) -> Iterator[Difference]:
    """Yield the readings that differ, paired by name.

    Of several with one name, the first is compared with the first, and so on.
    """
    there = _by_name(got)
    for key, reading in _by_name(expected).items():
        found = there.pop(key, None)
        if found != reading:
            yield Difference(reading.name, reading, found)
    for reading in there.values():
        yield Difference(reading.name, None, reading)


def data_differences(expected: object, got: object, where: str = "") -> Iterator[str]:
    """Yield how two JSON values differ, as published examples are meant: null is the same as nothing.

    Numbers may differ in the seventh digit, and a time may be written in several ways.
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        expected = {str(key): value for key, value in expected.items()}
        for key in dict.fromkeys((*expected, *got)):
            yield from data_differences(expected.get(key), got.get(key), f"{where}.{key}" if where else key)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from data_differences(one, other, f"{where}[{index}]")
    elif not _is_same(expected, got):
        yield f"{where or 'data'}: expected {_json(expected)}, got {_json(got)}"


def _is_same(expected: object, got: object) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (expected, got))
    if numbers:
        return isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9)  # type: ignore[arg-type]
    if isinstance(expected, datetime) and isinstance(got, str):
        try:
            return expected.astimezone(UTC) == datetime.fromisoformat(got).astimezone(UTC)
        except ValueError:
            return False
    return type(expected) is type(got) and expected == got


def _json(value: object) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _by_name(readings: Sequence[Reading]) -> dict[tuple[str, int], Reading]:
    seen: Counter[str] = Counter()
    found: dict[tuple[str, int], Reading] = {}
    for reading in readings:
        found[reading.name, seen[reading.name]] = reading
        seen[reading.name] += 1
    return found
