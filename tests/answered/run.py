"""Run devices of three regions for some days, and say what was wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from heapq import heapify, heappop, heappush
from pathlib import Path
from random import Random

from msgspec import Struct

from lora_post.command import Fate
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.simulate.end_device import SECOND_US, EndDevice
from lora_post.simulate.joining import Version
from tests.answered.site import Site

REGIONS = ("EU868", "US915", "AS923-1")
DAY_US = 86_400 * SECOND_US
COMMAND_EVERY_US = 1_200 * SECOND_US
RESTART_EVERY_US = 6 * 3600 * SECOND_US
JOIN_EUI = 0x70B3D57ED0000000


class Summary(Struct):
    """What a run came to.

    obeyed: what devices were told in MAC commands, and did. faster: devices at the highest data rate. status: readings
    of batteries. twice: confirmed commands that a device got in two frames, see docs/downlinks.md. wrong: what must not
    be.
    """

    devices: int
    uplinks: int = 0
    joins: int = 0
    rejoins: int = 0
    restarts: int = 0
    downlinks: int = 0
    commands: int = 0
    fates: dict[str, int] = {}
    obeyed: int = 0
    faster: int = 0
    status: int = 0
    twice: int = 0
    wrong: list[str] = []

    @property
    def line(self) -> str:
        fates = " ".join(f"{fate.replace(' ', '_')}={count}" for fate, count in sorted(self.fates.items()))
        return (
            f"devices={self.devices} uplinks={self.uplinks} joins={self.joins} rejoins={self.rejoins} "
            f"restarts={self.restarts} downlinks={self.downlinks} commands={self.commands} {fates} "
            f"obeyed={self.obeyed} faster={self.faster} status={self.status} twice={self.twice} wrong={len(self.wrong)}"
        )


def run(folder: Path, devices: int, days: float, loss: float, seed: int, progress: Callable[[float], None]) -> Summary:
    """Run so many devices. loss: the share of frames that are lost, both ways."""
    random, summary = Random(seed), Summary(devices)
    for number, region in enumerate(REGIONS):
        share = range(number, devices, len(REGIONS))
        ends = {f"d{index}": _device(index, region, random) for index in share}
        if ends:
            site = Site(folder / f"{region}.db", region, ends, loss, random)
            with closing(site.store):
                _days(site, round(days * DAY_US), random, summary, lambda part, at=number: progress((at + part) / 3))
                _sum_up(site, summary)
    return summary


def _device(index: int, region: str, random: Random) -> EndDevice:
    version = tuple(Version)[index // len(REGIONS) % 3]
    nwk_key = random.randbytes(16) if version is Version.V1_1 else None
    root = RootKeys(0x70B3D57ED0100000 + index, JOIN_EUI, random.randbytes(16), nwk_key)
    return EndDevice(root, version, load_region(region), random, is_class_c=index // len(REGIONS) % 4 == 3)


def _days(site: Site, until_us: int, random: Random, summary: Summary, progress: Callable[[float], None]) -> None:
    turns = [(device.next_us, name) for name, device in site.devices.items()]
    heapify(turns)
    command_us, restart_us, names = COMMAND_EVERY_US, RESTART_EVERY_US, sorted(site.devices)
    last_us = until_us + DAY_US // 3  # no more commands: those that wait are sent, or expire
    while turns[0][0] < last_us:
        at_us, name = heappop(turns)
        if at_us != site.devices[name].next_us:
            continue  # it has more to say, and says it before
        while command_us < min(at_us, until_us):
            command_us += round(COMMAND_EVERY_US * random.uniform(0.5, 1.5))
            site.now_us = max(site.now_us, command_us)
            _command(site, random.choice(names), random)
        for other in site.tend(at_us - SECOND_US):
            heappush(turns, (site.devices[other].next_us, other))
        if at_us > restart_us:
            restart_us += round(RESTART_EVERY_US * random.uniform(0.5, 1.5))
            summary.restarts += 1
            site.start()
        site.turn(name)
        heappush(turns, (site.devices[name].next_us, name))
        progress(min(at_us / last_us, 1.0))


def _command(site: Site, name: str, random: Random) -> None:
    waiting = sum(not each.is_over for each in site.commands() if each.device == name)
    if site.devices[name].is_joined and waiting < 3:
        site.ask(name, random.randbytes(random.choice((4, 9))), is_confirmed=random.random() < 0.5)


def _sum_up(site: Site, summary: Summary) -> None:
    summary.uplinks += len(site.accepted)
    summary.joins += sum(device.joins - device.rejoins for device in site.devices.values())
    summary.rejoins += sum(device.rejoins for device in site.devices.values())
    summary.downlinks += sum(map(len, site.bytes_by_counter.values()))
    summary.commands += len(site.asked)
    settings = [device.told for device in site.devices.values() if device.told]
    summary.obeyed += sum(each.obeyed for each in settings)
    summary.faster += sum(each.data_rate == each.region.adr[0] for each in settings)
    summary.status += site.batteries()
    summary.wrong += _wrong(site, summary)


def _mistaken(site: Site, name: str, device: EndDevice) -> Iterator[str]:
    """Yield what the network server takes a device to do, and it does not."""
    known, told = site.settings(name), device.told
    if known is None or told is None:
        return
    if known.rate and (known.rate.data_rate, known.rate.power, known.rate.nb_trans) != (
        told.data_rate,
        told.power,
        told.nb_trans,
    ):
        yield f"{name} is taken to send as {known.rate}: {told.data_rate} {told.power} {told.nb_trans}"
    usual = sum(each.count for each in told.region.channels)
    there = (
        tuple(sorted(told.enabled))
        if told.region.is_fixed
        else tuple(hz for n, hz in told.channels.items() if n >= usual)
    )
    if known.channels not in (None, there):
        yield f"{name} is taken to use the channels {known.channels}: {there}"
    for what in ("rx_delay_s", "rx2", "duty_exponent", "tx_params"):
        if getattr(known, what) != getattr(told, what):
            yield f"{name}: {what} is taken to be {getattr(known, what)}: {getattr(told, what)}"


def _wrong(site: Site, summary: Summary) -> Iterator[str]:
    for name, device in site.devices.items():
        yield from (f"{name} ({device.version}): {text}" for text in device.complaints)
        if not device.is_joined:
            yield f"{name} did not join"
        yield from _mistaken(site, name, device)
    for key, frames in site.bytes_by_counter.items():
        if len(frames) > 1:
            yield f"FCntDown used for {len(frames)} frames: {key}"
    twice = len(site.accepted) - len(set(site.accepted))
    if twice:
        yield f"{twice} uplinks gave readings twice"
    missing = site.heard - {(name, signed) for name, _, signed in site.accepted}
    if missing:
        yield f"{len(missing)} uplinks were heard and gave no reading"
    by_number = {command.id: command for command in site.commands()}
    for asked in site.asked:
        command = by_number.get(asked.number)
        fate = command.fate if command else None
        if command is None or not command.is_over:
            yield f"command {asked.number} for {asked.device} has no fate: {command}"
            continue
        summary.fates[fate or ""] = summary.fates.get(fate or "", 0) + 1
        summary.twice += asked.received > 1
        if asked.received > 1 and not asked.is_confirmed:
            yield f"command {asked.number} for {asked.device} was received {asked.received} times"
        if fate is Fate.ACKNOWLEDGED and not asked.received:
            yield f"command {asked.number} for {asked.device} is acknowledged, and was not received"
        if fate in (Fate.EXPIRED, Fate.REFUSED) and asked.received:
            yield f"command {asked.number} for {asked.device} is {fate}, and was received"
