"""What `lora-post watch` shows, without a terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console

from lora_post.errors import Problem
from lora_post.observed.device_trouble import DeviceTrouble
from lora_post.observed.page_model import (
    Page,
    PageBattery,
    PageDestination,
    PageDevice,
    PageDisk,
    PageFrame,
    PageInput,
    PageRefusal,
    PageRun,
    PageSensor,
)
from lora_post.observed.verdict import Verdict
from lora_post.terminal.follower import View
from lora_post.terminal.layout import ago, layout
from lora_post.terminal.page import behind_ms
from tests.support.build import NOON_US

NOON = NOON_US // 1000
MINUTE = 60_000
WELL = PageRun(
    gateway="Farm",
    started=NOON - 180 * MINUTE,
    inputs=(PageInput("stdin", NOON - 3 * MINUTE),),
    destinations=(PageDestination("waziup", queued=3, oldest=NOON - 5 * MINUTE, last=NOON - 90 * MINUTE),),
    disk=PageDisk(45, 2),
)
POND = PageDevice(
    "pond-7",
    "Pond 7",
    last=NOON - 3 * MINUTE,
    rssi=-97,
    snr=0,
    heard=30,
    missed=10,
    battery=PageBattery("battery", 3.61, "V"),
    sensors=(PageSensor("temperature", 22.123456789, "°C"), PageSensor("open", True), PageSensor("note", "a\x1b[2Jb")),
)
FINE = Verdict("good", "Everything works")
HOSTILE = "[red]x[/red]\x1b[2J\u202eevil\x9b\x07\n[link=http://x]"


def page(*devices: PageDevice, state: PageRun = WELL, **changes: object) -> Page:
    return replace(Page(1, NOON, devices, (), (), state, FINE), **changes)


def shown(
    view: View | Page, width: int = 80, height: int | None = 24, turn: int = 0, *, color: str | None = None
) -> str:
    """As a terminal gets it."""
    view = view if isinstance(view, View) else View(view)
    system = {"color_system": color, "force_terminal": True} if color else {"color_system": None}
    console = Console(record=True, width=width, file=StringIO(), **system)  # type: ignore[arg-type]
    for line in layout(view, NOON, width, height, turn):
        console.print(line, no_wrap=True)
    return console.export_text(styles=bool(color))


def test_everything_that_is_known_of_a_device_is_in_its_line() -> None:
    text = shown(page(POND), width=120)
    assert "[ok] Everything works  Farm" in text
    assert "last frame 3 min ago, 1 of 1 devices heard, 3 readings wait" in text
    line = next(line for line in text.splitlines() if line.startswith("Pond 7"))
    for part in ("3 min", "-97/0", "3.61 V", "10 of 40", "temperature 22.1235 °C, open true, note a\\x1b[2Jb"):
        assert part in line
    assert "to waziup  last delivery 90 min ago; 3 readings wait, the oldest 5 min ago" in text
    assert "spool  2 MB, 45 % of the disk free; started 3 h ago" in text


def test_verdict_of_the_page_is_shown_with_what_to_do() -> None:
    text = shown(
        page(POND, verdict=Verdict("bad", "Needs attention", (Problem("disk is full", "make room"), Problem("no way"))))
    )
    assert "[!!] Needs attention  Farm" in text
    assert "     disk is full\n     fix: make room\n     no way\n" in text
    assert "[--] Running" in shown(page(POND, verdict=Verdict("wait", "Running; no device heard yet")))


def test_ages_are_right_where_the_clocks_of_the_two_machines_differ() -> None:
    wrong = NOON - 40 * 86_400_000  # the gateway's clock is 40 days behind
    then = replace(POND, last=wrong - 3 * MINUTE)
    came = page(then, now=wrong, recent=(PageFrame(wrong, "t 1"),))
    view = View(came, behind_ms(came, NOON))
    assert "last frame 3 min ago" in shown(view)
    assert "12:00:00  refused t 1" in shown(view)


def test_refused_frame_has_its_reason_and_fix() -> None:
    refused = (PageRefusal("mic", 12, "26011bda", NOON - 2 * MINUTE, "no key fits", "correct nwk_skey"),)
    text = shown(page(POND, refused=refused))
    assert "mic 26011bda 12 times, 2 min ago: no key fits\n     fix: correct nwk_skey" in text


def test_latest_frames_come_first() -> None:
    recent = (PageFrame(NOON, "t 1", "pond-7"), PageFrame(NOON + 1000, "mic: forged"))
    assert "12:00:01  refused mic: forged\n12:00:00  Pond 7 t 1" in shown(page(POND, recent=recent))


@pytest.mark.parametrize("color", [None, "standard", "truecolor"])
def test_nothing_from_the_radio_is_markup_or_obeyed(color: str | None) -> None:
    hostile = page(
        PageDevice(HOSTILE, HOSTILE, last=NOON, sensors=(PageSensor(HOSTILE, HOSTILE, HOSTILE),)),
        PageDevice("second", last=NOON, problem=HOSTILE),
        recent=(PageFrame(NOON, HOSTILE, HOSTILE), PageFrame(2**62, HOSTILE)),
        refused=(PageRefusal(HOSTILE, 1, HOSTILE, NOON, HOSTILE, HOSTILE),),
        state=replace(
            WELL,
            gateway=HOSTILE,
            inputs=(PageInput(HOSTILE, 0, Problem(HOSTILE)),),
            destinations=(PageDestination(HOSTILE, trouble=Problem(HOSTILE)),),
        ),
        verdict=Verdict("bad", HOSTILE, (Problem(HOSTILE, HOSTILE),)),
    )
    text = shown(View(hostile, trouble=Problem(HOSTILE, HOSTILE)), width=200, height=None, color=color)
    assert "[red]x[/red]\\x1b[2J\\u202eevil" in text
    for line in text.split("\n"):
        assert "\x1b[2J" not in line
        assert "\x1b]8" not in line
        assert color or line.isprintable()
        assert not set(line) & {"\u202e", "\x9b", "\x07"}


@given(
    width=st.integers(1, 150),
    height=st.integers(1, 60),
    devices=st.integers(0, 80),
    refused=st.integers(0, 12),
    trouble=st.sampled_from([None, Problem("gone", "fix it"), Problem("很 " * 60)]),
    turn=st.integers(0, 99),
)
def test_it_fits_every_window(
    width: int, height: int, devices: int, refused: int, trouble: Problem | None, turn: int
) -> None:
    of = [
        PageDevice(f"device-{n}", "池塘" * (n % 9), last=NOON, problem="broken" * (n % 5 == 0)) for n in range(devices)
    ]
    turned = tuple(PageRefusal("mic", 2, str(n), NOON, "why " * 40, "fix " * 40) for n in range(refused))
    lines = layout(View(page(*of, refused=turned), trouble=trouble), NOON, width, height, turn)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)


def test_devices_with_a_problem_come_first_and_space_turns_to_the_others() -> None:
    of = [PageDevice(f"device-{n:02}", last=NOON) for n in range(40)]
    of[33] = replace(of[33], problem="WrongLength: 3 bytes, want 4")
    first = shown(page(*of))
    assert "device-33" in first
    assert "! WrongLength: 3 bytes, want 4" in first
    assert "more, space shows them" in first
    parts = [shown(page(*of), turn=turn) for turn in range(6)]
    assert all(any(f"device-{n:02}" in part for part in parts) for n in range(40))


def test_devices_in_trouble_come_first_with_what_is_wrong() -> None:
    of = [replace(POND, id=f"device-{n:02}", name="") for n in range(40)]
    trouble = DeviceTrouble("battery", "battery at 2.1 V (unit by its range)", "change or charge it")
    text = shown(page(*of, verdict=Verdict("bad", "1 device needs attention", devices={"device-33": (trouble,)})))
    first = next(line for line in text.splitlines() if line.startswith("device-"))
    assert "device-33" in first
    assert "! battery at 2.1 V (unit by its" in first


def test_what_asks_back_is_to_be_checked_and_not_called_a_fix() -> None:
    text = shown(page(POND, verdict=Verdict("bad", "No", (Problem("unplugged", "is it plugged in?"),))))
    assert "     unplugged\n     check: is it plugged in?\n" in text


def test_all_is_shown_where_there_is_no_height() -> None:
    text = shown(page(*(PageDevice(f"device-{n}", last=NOON) for n in range(300))), height=None)
    assert text.count("device-") == 300
    assert "more" not in text


def test_what_was_known_stays_when_there_is_no_answer_and_is_marked_as_old() -> None:
    text = shown(View(page(POND), trouble=Problem("the connection broke", "plug it in")))
    assert text.startswith("lora-post does not answer, trying again: the connection broke\n     fix: plug it in\n")
    assert "before that: Everything works" in text
    assert "Pond 7" in text
    assert "asking" in shown(View())


@pytest.mark.parametrize(("minutes", "text"), [(0, "<1 min ago"), (119, "119 min ago"), (2880, "2 d ago")])
def test_ages_are_told_in_minutes_so_that_lines_rarely_change(minutes: int, text: str) -> None:
    assert ago(minutes * MINUTE) == text


def test_times_of_a_clock_that_is_ahead_say_so() -> None:
    assert ago(-120 * MINUTE) == "2 h ahead of this clock"
