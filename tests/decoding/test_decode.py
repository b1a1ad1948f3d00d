from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lora_post import Decoder, Reading, WrongFormat
from lora_post.clocks.scale import boot_zero
from lora_post.decoding.decode import MAX_WARNINGS, decode
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.errors import DecodeError
from lora_post.model import MAX_READINGS, Decoded, Device, Frame, Link, RxInfo
from lora_post.uplink.model import Report, Uplink

SHIPPED = load_folder(shipped_folder()).decoders


def uplink(payload: bytes = b"\x01", fport: int | None = 1, decoder: str = "under-test") -> Uplink:
    frame = Frame("gw", 1_700_000_000_000_000, b"\x40" + payload, RxInfo())
    device = Device("pond-7", "Pond 7", Link.LORAWAN, 0x26011BDA, decoder)
    return Uplink(frame, device, 7, fport, payload, authentic=True)


def run(function: Callable[[bytes, int], Any], fport: int | None = 1, payload: bytes = b"\x01") -> Report:
    decoder = Decoder("under-test", function, "vendor", "model", "source", [])
    return decode(uplink(payload, fport), decoder)


def returning(result: object) -> Report:
    return run(lambda payload, fport: result)


def raising(error: BaseException) -> Report:
    def function(payload: bytes, fport: int) -> list[Reading]:
        raise error

    return run(function)


GOOD = Reading("temperature", 21.5, "°C")


# decode


def test_good_readings_make_a_report_without_remarks() -> None:
    report = decode(uplink(bytes.fromhex("03670110056700ff"), decoder="cayenne-lpp"), SHIPPED["cayenne-lpp"])
    assert report.readings == (Reading("temperature_3", 27.2, "°C", 3), Reading("temperature_5", 25.5, "°C", 5))
    assert (report.warnings, report.problem) == ((), None)


def test_partly_readable_payload_keeps_what_came_before_and_warns() -> None:
    report = decode(uplink(bytes.fromhex("0367011005"), decoder="cayenne-lpp"), SHIPPED["cayenne-lpp"])
    assert report.readings == (Reading("temperature_3", 27.2, "°C", 3),)
    assert report.warnings == ("WrongLength: offset 4: one stray byte 05 at the end",)
    assert report.problem is None


def test_unreadable_payload_is_a_problem() -> None:
    report = decode(uplink(b"\\!", None, decoder="text"), SHIPPED["text"])
    assert report.readings == ()
    assert report.problem == "WrongFormat: no value after \\!"


def test_payload_that_is_meant_to_carry_no_reading_is_no_problem() -> None:
    report = decode(uplink(b"\\$hello", None, decoder="text"), SHIPPED["text"])
    assert (report.readings, report.warnings, report.problem) == ((), ("log text: 'hello'",), None)


def test_unknown_decoder_is_a_problem() -> None:
    report = decode(uplink(), None)
    assert report.readings == ()
    assert report.problem == "no decoder is called 'under-test'"


def forbidden(payload: bytes, fport: int) -> list[Reading]:
    raise AssertionError("no decoder may run")


def test_fport_0_runs_no_decoder_and_says_why() -> None:
    report = run(forbidden, fport=0)
    assert (report.readings, report.warnings, report.problem) == ((), ("MAC commands only",), None)


@pytest.mark.parametrize("fport", [None, 1, 223])
def test_empty_payload_runs_no_decoder(fport: int | None) -> None:
    report = run(forbidden, fport, payload=b"")
    assert (report.readings, report.warnings, report.problem) == ((), (), None)


@pytest.mark.parametrize(("fport", "handed_on"), [(None, 0), (1, 1), (85, 85)])
def test_decoder_gets_payload_and_fport(fport: int | None, handed_on: int) -> None:
    got: list[tuple[bytes, int]] = []

    def function(payload: bytes, fport: int) -> list[Reading]:
        got.append((payload, fport))
        return []

    run(function, fport, payload=b"abc")
    assert got == [(b"abc", handed_on)]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Forgetful(DecodeError):
    def __init__(self) -> None:
        Exception.__init__(self, "no kept readings")


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        IndexError(),
        RecursionError("too deep"),
        MemoryError(),
        SystemExit(3),
        StopIteration(),
        Unspeakable(),
        ValueError("x" * 10_000),
        ValueError("\x1b[2J\n\ud800"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_exception_is_a_crash_inside_the_report(error: BaseException) -> None:
    report = raising(error)
    assert report.readings == ()
    assert report.problem is not None and report.problem.startswith(f"DecoderCrash: {type(error).__name__}")
    assert report.problem.isprintable()
    assert len(report.problem) < 300


def test_decode_error_without_kept_readings_is_contained() -> None:
    assert raising(Forgetful()).problem == "Forgetful: no kept readings"


def test_keyboard_interrupt_is_not_the_decoder_s_to_keep() -> None:
    with pytest.raises(KeyboardInterrupt):
        raising(KeyboardInterrupt())


def test_crash_is_logged_once_per_cause_with_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def first(payload: bytes, fport: int) -> list[Reading]:
        return [Reading("x", payload[99])]

    def second(payload: bytes, fport: int) -> list[Reading]:
        return [Reading("x", payload[98])]

    with caplog.at_level(logging.ERROR, logger="lora_post.decoding.decode"):
        for function in (first, first, second, first, second):
            run(function)
    assert len(caplog.records) == 2
    assert all(record.exc_info for record in caplog.records)
    assert "payload[99]" in caplog.text and "payload[98]" in caplog.text


@pytest.mark.parametrize("result", [None, 5, "text", (GOOD,), {"temperature": 21.5}, iter([GOOD])])
def test_result_that_is_no_list_is_a_crash(result: object) -> None:
    report = returning(result)
    assert report.readings == ()
    assert report.problem is not None
    assert f" {type(result).__name__}, want a list" in report.problem


def test_readings_and_warnings_of_a_decoder_with_more_to_say_are_used() -> None:
    report = returning(Decoded([GOOD, Reading("t", float("nan"))], ("low\nbattery", "x" * 999), data={"a": 1}))
    assert report.readings == (GOOD,)
    assert report.warnings == (
        "low battery",
        "x" * 200,
        "reading 2 dropped: the value of 't' is nan, not a finite number",
    )
    assert report.problem is None
    assert returning(Decoded([], ("nothing new",))).problem is None


def test_warnings_without_end_are_cut() -> None:
    assert len(returning(Decoded([GOOD], ("x",) * 1000)).warnings) == MAX_WARNINGS


@pytest.mark.parametrize("result", [Decoded(None), Decoded((GOOD,)), Decoded([GOOD], "text")])  # type: ignore[arg-type]
def test_decoded_of_other_things_than_lists_is_a_crash(result: Decoded) -> None:
    report = returning(result)
    assert report.readings == ()
    assert report.problem is not None and report.problem.endswith("want lists")


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


RUBBISH: list[tuple[Any, str]] = [
    (None, "a NoneType, want a Reading"),
    ({"name": "t", "value": 1}, "a dict, want a Reading"),
    (Reading("", 1), "it has no name"),
    (Reading(5, 1), "its name is an int"),  # type: ignore[arg-type]
    (Reading("\ud800", 1), "its name is not valid text"),
    (Reading("t", 1, None), "its unit is a NoneType"),  # type: ignore[arg-type]
    (Reading("t", 1, ["°C"]), "its unit is a list"),  # type: ignore[arg-type]
    (Reading("t", 1, quantity=b""), "its quantity is a bytes"),  # type: ignore[arg-type]
    (Reading("t", 1, channel="1"), "the channel of 't' is not an integer"),  # type: ignore[arg-type]
    (Reading("t", 1, channel=2**70), "the channel of 't' is not an integer"),
    (Reading("t", 1, age_s=-1.0), "the age of 't' is not in 0 … 126489600 s"),
    (Reading("t", 1, age_s=float("nan")), "the age of 't' is not in 0 … 126489600 s"),
    (Reading("t", 1, age_s=float("inf")), "the age of 't' is not in 0 … 126489600 s"),
    (Reading("t", 1, age_s="1"), "the age of 't' is not in 0 … 126489600 s"),  # type: ignore[arg-type]
    (Reading("t", 1, at_s="1"), "the time of 't' is a str, want seconds since 1970"),  # type: ignore[arg-type]
    (Reading("t", float("nan")), "the value of 't' is nan, not a finite number"),
    (Reading("t", float("-inf")), "the value of 't' is -inf, not a finite number"),
    (Reading("t", 2**63), "the value of 't' is an integer beyond 64 bits"),
    (Reading("t", -(2**63) - 1), "the value of 't' is an integer beyond 64 bits"),
    (Reading("t", 10**5000), "the value of 't' is an integer beyond 64 bits"),
    (Reading("t", None), "the value of 't' is a NoneType"),  # type: ignore[arg-type]
    (Reading("t", b"\x01"), "the value of 't' is a bytes"),  # type: ignore[arg-type]
    (Reading("t", 1j), "the value of 't' is a complex"),  # type: ignore[arg-type]
    (Reading("t", (1, 2)), "the value of 't' is a tuple"),  # type: ignore[arg-type]
    (Reading("t", "\ud800"), "the value of 't' is not valid text"),
    (Reading("t", {"x": [1, float("inf")]}), "the value of 't' is inf, not a finite number"),
    (Reading("t", {1: 2}), "the value of 't' is an object with a key that is not valid text"),  # type: ignore[dict-item]
    (Reading("t", nested(9)), "the value of 't' is nested deeper than 8 levels"),
    (Reading("t", circle()), "the value of 't' is nested deeper than 8 levels"),
]


@pytest.mark.parametrize(("bad", "fault"), RUBBISH, ids=[fault for _, fault in RUBBISH])
def test_bad_reading_is_dropped_with_a_warning_and_its_neighbours_kept(bad: Any, fault: str) -> None:
    report = returning([GOOD, bad, GOOD])
    assert report.readings == (GOOD, GOOD)
    assert report.warnings == (f"reading 2 dropped: {fault}",)
    assert report.problem is None


def test_list_without_a_usable_reading_is_a_problem() -> None:
    report = returning([None, Reading("t", float("nan"))])
    assert report.readings == ()
    assert report.problem == "DecoderCrash: returned no usable reading"
    assert len(report.warnings) == 2


def test_bad_kept_readings_are_dropped_too() -> None:
    report = raising(WrongFormat("half", [GOOD, Reading("t", float("nan"))]))
    assert report.readings == (GOOD,)
    assert report.warnings == (
        "reading 2 dropped: the value of 't' is nan, not a finite number",
        "WrongFormat: half",
    )


def test_more_readings_than_a_payload_can_hold_are_cut() -> None:
    report = returning([GOOD] * 1000)
    assert len(report.readings) == MAX_READINGS
    assert report.warnings == ("1000 readings, only the first 256 are used",)


SOUND = [
    Reading("t", 2**63 - 1),
    Reading("t", -(2**63)),
    Reading("t", True),
    Reading("t", ""),
    Reading("température", "été", "furlong", 3, "Temperature", 60),
    Reading("t", nested(8)),
    Reading("t", {"x": 1.5, "y": [1, "a", {"z": False}]}),
    Reading("t", 0.0, age_s=3600.0),
]


@pytest.mark.parametrize("reading", SOUND, ids=repr)
def test_sound_reading_passes_unchanged(reading: Reading) -> None:
    report = returning([reading])
    assert report.readings == (reading,)
    assert (report.warnings, report.problem) == ((), None)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=20,
)


@given(
    st.lists(
        st.builds(Reading, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING)
        | st.builds(Reading, st.just("t"), ANYTHING)
        | ANYTHING,
        max_size=4,
    )
    | st.builds(Decoded, ANYTHING, ANYTHING, ANYTHING)
    | ANYTHING
)
def test_whatever_a_decoder_returns_the_report_can_be_written_as_json(result: Any) -> None:
    report = returning(result)
    for reading in report.readings:
        fields = [reading.name, reading.value, reading.unit, reading.channel, reading.quantity, reading.age_s]
        json.dumps(fields, allow_nan=False, ensure_ascii=False).encode()
    assert all(warning.isprintable() for warning in report.warnings)


# stored readings, which say when they were measured: the uplink is of 2023-11-14T22:13:20Z


@pytest.mark.parametrize("at_s", [1_573_784_000.0, 1_600_000_000, 1_700_000_000.25, 1_700_000_300])
def test_stored_reading_is_of_its_own_time(at_s: float) -> None:
    report = returning([GOOD, Reading("temperature", 19.0, at_s=at_s)])
    assert (report.warnings, report.problem) == ((), None)
    received_us = report.uplink.frame.time_us
    assert [reading.measured_us(received_us) for reading in report.readings] == [received_us, at_s * 1e6]


@pytest.mark.parametrize(
    ("at_s", "when"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_573_000_000.0, "2019-11-06T00:26:40Z"),
        (1_700_000_301, "2023-11-14T22:18:21Z"),
        (-1, "-1 s"),
        (1e300, "1e+300 s"),
        (float("inf"), "inf s"),
        (float("nan"), "nan s"),
    ],
)
def test_stored_reading_of_a_time_that_cannot_be_is_left_out_with_a_warning(at_s: float, when: str) -> None:
    told = f"'t' is of {when}, which cannot be: the device's clock is wrong"
    report = returning([GOOD, Reading("t", 19.0, at_s=at_s)])
    assert (report.readings, report.warnings) == ((GOOD,), (f"reading 2 dropped: {told}",))
    alone = returning([Reading("t", 19.0, at_s=at_s)])
    assert (alone.readings, alone.warnings) == ((), (f"reading 1 dropped: {told}",))
    assert alone.problem == "Implausible: every reading has a time that cannot be"


def test_values_that_all_have_one_false_time_are_of_their_reception() -> None:
    one = [Reading("t", 19.0, at_s=0.0), Reading("h", 40, at_s=0.0)]
    report = returning(Decoded(one, data={}))
    assert report.readings == (Reading("t", 19.0), Reading("h", 40))
    assert report.problem is None
    assert report.warnings[0].endswith("clock is wrong; its readings are taken as measured when they were received")
    stored = (
        Decoded(one),  # of a Python decoder, which knows what is stored
        Decoded([*one, Reading("t", 20.0, at_s=1.0)], data={}),
        Decoded([one[0], one[0]], data={}),
        Decoded([one[0], Reading("h", 40)], data={}),
    )
    assert [len(returning(decoded).readings) for decoded in stored] == [0, 0, 0, 1]


def test_stored_reading_keeps_its_time_where_the_reception_is_not_known() -> None:
    heard = uplink()
    heard = replace(heard, frame=replace(heard.frame, time_us=boot_zero(3)))
    stored = Reading("t", 19.0, at_s=1_700_000_000)
    for decoded in ([stored], Decoded([stored, Reading("t", 19.0, at_s=0)])):
        report = decode(heard, Decoder("under-test", lambda payload, fport, it=decoded: it, "v", "m", "s", []))
        assert report.readings == (stored,)
        assert stored.measured_us(heard.frame.time_us) == 1_700_000_000_000_000
