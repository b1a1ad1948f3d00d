"""Print what waits, what is held back and why, and the command that sends it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from shlex import quote

from lora_post.cli._output import print_table, say
from lora_post.clocks.scale import utc_text
from lora_post.config import Config
from lora_post.net.traffic import Traffic
from lora_post.sinks import SINKS
from lora_post.spool import undecoded
from lora_post.spool.boots import estimate_text, estimates
from lora_post.spool.lanes import parked, sensor_states
from lora_post.spool.model import Parked, SensorState
from lora_post.spool.queue import DAMAGED, Queue
from lora_post.spool.queue_writer import EVICTED, MAX_SENSORS, TOO_MANY_SENSORS
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import tallies
from lora_post.spool.thinning import THINNED
from lora_post.spool.undecoded import Undecoded
from lora_post.spool.upkeep import held_by_sink
from lora_post.text import megabytes, plural, shorten
from lora_post.upload.allowance import UploadAllowance
from lora_post.waziup.names import to_id

VALUE_WIDTH = 40
HEADERS = ("Device", "Sensor", "Waiting", "Refused", "State", "Oldest")


def show(config: Config, spool_file: SpoolFile, option: str) -> None:
    """Print what is in the spool. option: the -c that was given, for the commands shown."""
    held = held_by_sink(spool_file)
    sinks = [*config.destinations, *sorted(held.keys() - set(config.destinations))]
    counts = {sink: Queue(spool_file, sink).counts() for sink in sinks}
    states = sensor_states(spool_file)
    oldest = min((state.oldest_us for state in states if state.oldest_us is not None), default=None)
    say(f"spool      {spool_file.path}")
    say(f"size       {megabytes(spool_file.used_bytes())} of {megabytes(config.spool_max_bytes)}")
    if len(counts) < 2:  # a sum over several would count a reading once for each
        say(f"queued     {plural(sum(each.queued for each in counts.values()), 'reading')}")
        say(f"parked     {plural(sum(each.parked for each in counts.values()), 'reading')}")
        say(f"refused    {plural(sum(each.refused for each in counts.values()), 'reading')}")
    say(f"undecoded  {plural(len(undecoded.load(spool_file)), 'payload')}")
    totals = tallies(spool_file.db)
    say(f"evicted    {plural(totals.get(EVICTED, 0), 'reading')} so far, because it was full")
    if totals.get(DAMAGED):
        say(f"damaged    {plural(totals[DAMAGED], 'reading')} dropped so far: the disk has lost what they were")
    if totals.get(TOO_MANY_SENSORS):
        dropped = plural(totals[TOO_MANY_SENSORS], "reading")
        say(f"dropped    {dropped} so far, of devices with more than {MAX_SENSORS} sensor names", fg="yellow")
    if totals.get(THINNED):
        say(f"left out   {plural(totals[THINNED], 'reading')} so far, by deadband and min_interval")
    say(f"oldest     {utc_text(oldest) if oldest is not None else 'none'}")
    for estimate in estimates(spool_file):
        say(f"times      {estimate_text(estimate)}", fg="yellow")
    for sink, each in counts.items():
        if sink not in config.destinations:
            text = f"{plural(each.undelivered, 'reading')} wait, and it is no longer in the configuration"
            say(
                f"{sink:<10} {text}; delete them: lora-post spool drop --destination {quote(sink)}{option}", fg="yellow"
            )
        elif len(counts) > 1:
            say(f"{sink:<10} {each.queued} queued, {each.parked} parked, {each.refused} refused")
    for sink in config.destinations:
        if SINKS[sink].is_metered and (closed := UploadAllowance(config.upload, Traffic(), spool_file, sink).closed()):
            say(f"held       {closed.reason}", fg="yellow")
    shown = [state for state in states if state.waiting or state.refused or state.is_parked]
    if shown and len(counts) > 1:
        say("")
        print_table((*HEADERS, "For"), [(*_row(state), state.sink) for state in shown])
    elif shown:
        say("")
        print_table(HEADERS, [_row(state) for state in shown])
    _show_held(parked(spool_file), len(counts) > 1, option)
    _show_undecoded(undecoded.load(spool_file), option)


def _show_held(items: Sequence[Parked], several: bool, option: str) -> None:
    """Print what needs a person; sensors of one device that are parked for one reason together.

    several: whether there is more than one destination.
    """
    groups: dict[tuple[object, ...], list[Parked]] = {}
    for item in items:
        one_by_one = item.name if item.refused is not None else ""
        groups.setdefault((item.device, item.sink, item.why, one_by_one), []).append(item)
    for group in groups.values():
        first = group[0]
        to = f" for {first.sink}" if several else ""
        whole = all(item.why == first.why and item.refused is None for item in items if item.device == first.device)
        names = [f"{item.device}/{to_id(item.name)}" for item in group]
        targets = [first.device] if len(group) > 1 and whole else names
        say("")
        since, readings = utc_text(min(item.since_us for item in group)), sum(item.readings for item in group)
        if first.refused is not None:
            value = shorten(first.refused.decode("utf-8", "replace"), VALUE_WIDTH)
            say(f"{names[0]}: {plural(readings, 'reading')} refused{to}, the first of {since}: {value}")
        elif len(group) == 1:
            say(f"{names[0]}: {plural(readings, 'reading')} held back{to} since {since}")
        else:
            of = plural(len(group), "sensor")
            say(f"{first.device}: {plural(readings, 'reading')} of {of} held back{to} since {since}")
            say(f"  {', '.join(to_id(item.name) for item in group)}")
        say(f"  {first.why.what}")
        if first.why.fix:
            say(f"  fix: {first.why.fix}")
        if first.refused is None:
            say("  it is tried again by itself after a day")
        for target in targets:
            say(f"  when that is put right: lora-post spool retry {quote(target)}{option}")
        for target in targets:
            say(f"  to give it up: lora-post spool drop {quote(target)}{option}")


def _show_undecoded(rows: Sequence[Undecoded], option: str) -> None:
    for device, count in Counter(row.device for row in rows).items():
        newest = next(row for row in reversed(rows) if row.device == device)
        say("")
        say(f"{device}: {plural(count, 'payload')} not decoded, the newest from {utc_text(newest.time_us)}")
        say(f"  {newest.decoder}: {newest.problem}")
        say(f"  when its decoder or app_skey is put right: lora-post spool retry {quote(device)}{option}")
        say(f"  to give them up: lora-post spool drop {quote(device)} --undecoded{option}")


def _row(state: SensorState) -> tuple[str, ...]:
    oldest = utc_text(state.oldest_us) if state.oldest_us is not None else ""
    held = "parked" if state.is_parked else "queued" if state.waiting else ""
    waiting, refused = f"{state.waiting} waiting", f"{state.refused} refused"
    return state.device, to_id(state.name), waiting, refused, held, oldest
