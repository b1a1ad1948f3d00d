"""The page → lines for a terminal. Pure: no clock, no terminal.

Everything comes by radio or over the network: it is shown as `Text`, never read as markup, and control characters
are escaped. Ages are in minutes, so that a line changes only when something has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from lora_post.clocks.scale import utc_text
from lora_post.errors import Problem
from lora_post.observed.device_trouble import DeviceTrouble
from lora_post.observed.page_model import (
    Page,
    PageDestination,
    PageDevice,
    PageFrame,
    PageInput,
    PageRefusal,
    PageSensor,
)
from lora_post.observed.verdict import Verdict
from lora_post.terminal.follower import View
from lora_post.terminal.rows import DIM, Section, arranged
from lora_post.text import printable, span_text, wait_text
from lora_post.times import WallUs

STYLES: Final = {"good": "bold green", "wait": "bold yellow", "bad": "bold red"}
MARKS: Final = {"good": "[ok]", "wait": "[--]", "bad": "[!!]"}
WARN: Final = "yellow"
BAD: Final = "red"
HEADERS: Final = ("Device", "last", "dBm/SNR", "battery", "missed", "values")
ALWAYS: Final = (0, 1, 5)
"""Columns that are shown even when they are empty."""
MANY_MISSED: Final = 0.1
MIN_VALUES: Final = 20
"""Cells for the values of a device; its name is cut for them."""
MIN_NAME: Final = 10
GAP: Final = "  "
INDENT: Final = "     "
_MINUTE_MS: Final = 60_000


def layout(view: View, now_ms: int, width: int, height: int | None, turn: int = 0) -> list[Text]:
    """Return at most `height` lines of at most `width` cells; height None: as many as it takes.

    now_ms: by this machine's clock. turn: which part of what does not fit is shown, from 0.
    """
    now_ms -= view.behind
    head = list(_head(view, now_ms, width))
    sections: list[Section] = []
    if view.page is not None:
        page = view.page
        names = {device.id: device.name or device.id for device in page.devices}
        sections = [
            _problems(page.verdict, width),
            Section(None, [[line] for line in _parts(page, now_ms)], weight=2),
            _devices(page, now_ms, width),
            Section(_heading("Refused frames"), [_refused(item, now_ms, width) for item in page.refused]),
            Section(_heading("Live (UTC)"), [[_frame(frame, names, view.behind)] for frame in reversed(page.recent)]),
        ]
    room = None if height is None else max(height - len(head), 0)
    lines = (head + arranged(sections, room, turn))[:height]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _head(view: View, now_ms: int, width: int) -> Iterator[Text]:
    if view.trouble:
        # What was known before stays below.
        for number, line in enumerate(_wrapped(f"lora-post does not answer, trying again: {view.trouble.what}", width)):
            yield Text(line if number == 0 else INDENT + line, style="bold yellow")
        yield from _advice(view.trouble, width)
    elif view.page is None:
        yield Text("asking lora-post …", style=DIM)
    if view.page is None:
        return
    page = view.page
    verdict = page.verdict
    last = max((device.last for device in page.devices), default=0)
    heard = sum(bool(device.last) for device in page.devices)
    queued = sum(item.queued for item in page.state.destinations)
    facts = [f"{heard} of {len(page.devices)} devices heard", f"{wait_text(queued, 'reading')}"]
    if last:
        facts.insert(0, f"last frame {ago(now_ms - last)}")
    if view.trouble:
        says = (f"[??] before that: {printable(verdict.text)}", DIM)
    else:
        says = (f"{MARKS[verdict.kind]} {printable(verdict.text)}", STYLES[verdict.kind])
    yield Text.assemble(says, (f"{GAP}{printable(page.state.gateway)}", "bold"))
    yield Text(INDENT + ", ".join(facts))


def _problems(verdict: Verdict, width: int) -> Section:
    items = []
    style = BAD if verdict.kind == "bad" else WARN
    for problem in verdict.problems:
        lines = [Text(INDENT + line, style=style) for line in _wrapped(problem.what, width)]
        items.append(lines + _advice(problem, width))
    return Section(None, items, weight=3)


def _advice(problem: Problem, width: int) -> list[Text]:
    return [Text(INDENT + line) for line in _wrapped(problem.advice, width)] if problem.fix else []


def _parts(page: Page, now_ms: int) -> Iterator[Text]:
    """Yield inputs, destinations and the disk; what is wrong with them is among the problems."""
    for item in page.state.inputs:
        yield _part(f"from {item.name}", _input(item, now_ms))
    for to in page.state.destinations:
        yield _part(f"to {to.name}", _destination(to, now_ms))
    disk = page.state.disk
    size = f"{disk.spool or 'less than 1'} MB"
    yield _part("spool", f"{size}, {disk.free} % of the disk free; started {ago(now_ms - page.state.started)}")


def _part(name: str, text: str) -> Text:
    return Text.assemble((printable(name), "bold"), f"{GAP}{text}")


def _input(item: PageInput, now_ms: int) -> str:
    return f"last frame {ago(now_ms - item.last)}" if item.last else "no frame yet"


def _destination(item: PageDestination, now_ms: int) -> str:
    facts = [f"last delivery {ago(now_ms - item.last)}" if item.last else "nothing delivered yet"]
    if item.queued:
        oldest = f", the oldest {ago(now_ms - item.oldest)}" if item.oldest else ""
        facts.append(f"{wait_text(item.queued, 'reading')}{oldest}")
    if item.parked or item.refused:
        facts.append(f"{item.parked + item.refused} parked: see lora-post spool")
    return "; ".join(facts)


def _devices(page: Page, now_ms: int, width: int) -> Section:
    """Return the table of devices, those in trouble first. Columns without content are left out."""
    troubles = page.verdict.devices
    devices = sorted(page.devices, key=lambda device: (device.id not in troubles, not device.problem))
    rows = [_device_cells(device, troubles.get(device.id, ()), now_ms) for device in devices]
    used = [at for at in range(len(HEADERS)) if at in ALWAYS or any(row[at].plain for row in rows)]
    header, rows = [Text(HEADERS[at]) for at in used], [[row[at] for at in used] for row in rows]
    widths = [max(cell_len(row[at].plain) for row in [header, *rows]) for at in range(len(used) - 1)]
    others = sum(widths[1:]) + len(GAP) * len(widths)
    widths[0] = max(min(widths[0], width - others - MIN_VALUES), MIN_NAME)
    return Section(_table_line(header, widths, "bold"), [[_table_line(row, widths)] for row in rows], 4, turns=True)


def _device_cells(device: PageDevice, troubles: Sequence[DeviceTrouble], now_ms: int) -> list[Text]:
    missed, sent = device.missed, device.missed + device.heard
    if troubles:
        values = Text(f"! {printable('; '.join(trouble.what for trouble in troubles))}", style=BAD)
    elif device.problem:
        values = Text(f"! {printable(device.problem)}", style=BAD)
    else:
        values = Text(", ".join(_value(sensor) for sensor in device.sensors))
    return [
        Text(printable(device.name or device.id)),
        Text(span_text((now_ms - device.last) / 1000)) if device.last else Text("never", style=WARN),
        Text("/".join(f"{value:.4g}" for value in (device.rssi, device.snr) if value is not None)),
        Text(f"{device.battery.value:.4g} {printable(device.battery.unit)}" if device.battery else ""),
        Text(f"{missed} of {sent}" if missed else "", style=WARN if missed > MANY_MISSED * sent else ""),
        values,
    ]


def _table_line(cells: Sequence[Text], widths: Sequence[int], style: str = "") -> Text:
    line = Text(style=style)
    for cell, width in zip(cells, widths, strict=False):
        plain = cell.plain if cell_len(cell.plain) <= width else set_cell_size(cell.plain, width - 1) + "…"
        line.append(set_cell_size(plain, width) + GAP, cell.style)
    return line.append_text(cells[-1])


def _value(sensor: PageSensor) -> str:
    return f"{printable(sensor.name)} {_amount(sensor)}"


def _amount(sensor: PageSensor) -> str:
    value = sensor.value
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = f"{value:.6g}"
    else:
        text = "?" if value is None else str(value)
    return printable(f"{text} {sensor.unit}".strip())


def _refused(item: PageRefusal, now_ms: int, width: int) -> list[Text]:
    times = f" {item.count} times" if item.count > 1 else ""
    who = printable(f"{item.check} {item.address}".strip())
    first, *more = _wrapped(f"{who}{times}, {ago(now_ms - item.last)}: {item.detail}", width)
    line = Text(first)
    line.stylize(WARN, 0, len(who))
    return [line, *(Text(INDENT + text) for text in more), *_advice(Problem(item.detail, item.fix), width)]


def _frame(frame: PageFrame, names: Mapping[str, str], behind_ms: int) -> Text:
    who = (printable(names.get(frame.device, frame.device)), "bold") if frame.device else ("refused", WARN)
    return Text.assemble((_clock_time(frame.time + behind_ms), DIM), GAP, who, f" {printable(frame.text)}")


def _clock_time(time_ms: int) -> str:
    try:
        return utc_text(WallUs(time_ms * 1000))[11:19]
    except OverflowError:
        return "?"


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _wrapped(text: str, width: int) -> Iterable[str]:
    return wrap(printable(text), max(width - len(INDENT), 20)) or [""]


def ago(span_ms: int) -> str:
    """Return how long ago, or how far ahead of this clock."""
    return (
        f"{span_text(span_ms / 1000)} ago"
        if span_ms > -_MINUTE_MS
        else f"{span_text(-span_ms / 1000)} ahead of this clock"
    )
