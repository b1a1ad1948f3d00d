"""Make the JSON of the page: everything once, then what has changed."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lora_post.clocks.scale import is_unknown
from lora_post.command import Command
from lora_post.downlink.duty_cycle import AirTime
from lora_post.observed.battery import Battery
from lora_post.observed.device_view import DeviceView
from lora_post.observed.page_model import (
    Page,
    PageAirTime,
    PageBattery,
    PageCommand,
    PageCopy,
    PageDestination,
    PageDevice,
    PageDisk,
    PageFrame,
    PageGateway,
    PageInput,
    PageLogged,
    PageNews,
    PageRefusal,
    PageRun,
    PageSensor,
    PageStranger,
)
from lora_post.observed.run_state import DestinationState, InputState, RunState
from lora_post.observed.site_state import Entry, Refused, SiteState
from lora_post.observed.verdict import judge
from lora_post.spool.strangers import Stranger
from lora_post.times import SteadyUs, WallUs

SHOWN_USE: Final = 0.01


class Wanted(Struct, frozen=True):
    """Which devices are asked for: so many (0: all) from this one on, or what has changed since a version of a run.

    run: when it started, as it was told, in ms.
    """

    limit: int = 0
    first: int = 0
    since: int = 0
    run: int = 0


def whole(site: SiteState, runtime: RunState, wanted: Wanted = Wanted()) -> Page:  # noqa: B008 - frozen
    """Return everything that the page shows; of the devices those that are wanted.

    With the first of them come those in trouble. Everything comes in place of what has changed where that is more, or
    is not known, because another run told that version.
    """
    # What is heard in between is told twice, which does no harm; the other way round it would be missed.
    changes = site.changes
    at = _Wall(runtime.ahead_us)
    devices = site.devices()
    verdict = judge(runtime, devices)
    started = at.ms(runtime.started_us)
    news = site.devices(wanted.since) if wanted.run == started and site.used_at <= wanted.since <= changes else None
    end = wanted.first + wanted.limit if wanted.limit else len(devices)
    if news is not None and (not wanted.limit or len(news) <= wanted.limit):
        shown, end = news, len(devices)
    else:
        news, shown = None, devices[wanted.first : end]
        if not wanted.first and wanted.limit:
            shown += [device for device in devices[end:] if device.id in verdict.devices][: wanted.limit]
    return Page(
        v=changes,
        now=at.ms(runtime.now_us),
        devices=tuple(_device(device, at) for device in shown),
        recent=tuple(_frame(entry, at) for entry in site.recent()),
        refused=tuple(_refusal(refused, at) for refused in site.refused()),
        state=run_page(runtime),
        verdict=verdict,
        total=len(devices),
        heard=sum(bool(device.last_us) for device in devices),
        next=end if end < len(devices) else 0,
        news=news is not None,
    )


def news(site: SiteState, since: int, ahead_us: int) -> PageNews:
    """Return what was heard after version `since`. ahead_us: of the run, see RunState."""
    changes = site.changes
    at = _Wall(ahead_us)
    recent = site.recent(since)
    is_refused = any(entry.device is None for entry in recent)
    return PageNews(
        v=changes,
        devices=tuple(_device(device, at) for device in site.devices(since)),
        recent=tuple(_frame(entry, at) for entry in recent),
        refused=tuple(_refusal(refused, at) for refused in site.refused()) if is_refused else None,
    )


def run_page(runtime: RunState) -> PageRun:
    """Return the state of the run; two of them are equal when nothing has happened in between."""
    at, disk = _Wall(runtime.ahead_us), runtime.disk
    return PageRun(
        gateway=runtime.gateway,
        started=at.ms(runtime.started_us),
        inputs=tuple(_input(item, at) for item in runtime.inputs),
        destinations=tuple(_destination(item, at) for item in runtime.destinations),
        # In hundredths of the disk, so that it does not change all the time.
        disk=PageDisk(free=round(100 * disk.free / max(disk.total, 1)), spool=disk.spool >> 20),
        commands=tuple(map(_command, runtime.commands)),
        fleet=runtime.fleet,
        air_time=tuple(_air_time(each, runtime, at) for each in runtime.air_time if each.used >= SHOWN_USE),
    )


def _air_time(used: AirTime, runtime: RunState, at: _Wall) -> PageAirTime:
    # To the minute, so that it does not change all the time.
    more_us = SteadyUs(runtime.now_us + round(used.more_in_s * 1e6))
    more = at.ms(more_us) // 60_000 * 60_000 if used.is_full else 0
    return PageAirTime(used.gateway, used.sub_band.text, min(round(used.used * 100), 100), more)


def _command(command: Command) -> PageCommand:
    last = command.steps[-1] if command.steps else None
    return PageCommand(
        id=command.id,
        device=command.device,
        fate=command.fate.value,
        given=command.made.wall_us // 1000,
        last=last.at_us // 1000 if last else 0,
        step=last.text if last and last.text != command.fate.value else "",
    )


class _Wall(Struct, frozen=True):
    """Turns moments of the steady clock into times for the page. ahead_us: see RunState."""

    ahead_us: int

    def ms(self, moment_us: SteadyUs) -> int:
        """Return ms since 1970 UTC; 0 for never."""
        return _ms(WallUs(moment_us + self.ahead_us)) if moment_us else 0


def log(site: SiteState, since: int, ahead_us: int) -> list[PageLogged]:
    """Return the frames after number `since`, oldest first. ahead_us: of the run, see RunState."""
    at = _Wall(ahead_us)
    return [_logged(entry, at) for entry in site.log(since)]


def stranger(kept: Stranger) -> PageStranger:
    """Return one sender whose frames are kept."""
    rx, time_us = kept.last.rx, kept.last.time_us
    return PageStranger(
        sender=kept.sender,
        heard=kept.heard,
        check=kept.check,
        last=0 if is_unknown(time_us) else time_us // 1000,
        rssi=rx.rssi_dbm,
        snr=rx.snr_db,
        sf=rx.sf,
        gateway=kept.last.gateway,
    )


def _device(device: DeviceView, at: _Wall) -> PageDevice:
    return PageDevice(
        id=device.id,
        name=device.name if device.name != device.id else "",
        last=at.ms(device.last_us),
        rssi=device.rssi_dbm,
        snr=device.snr_db,
        sf=device.sf,
        gateway=device.gateway,
        copies=tuple(PageCopy(gateway, rx.rssi_dbm, rx.snr_db) for gateway, rx in device.copies),
        heard=device.heard,
        missed=device.missed,
        problem=device.problem,
        battery=next((_battery(each, at) for each in device.batteries), None),
        metadata=dict(device.metadata),
        sensors=tuple(
            PageSensor(shown.name, shown.value, shown.unit, at.ms(shown.time_us)) for shown in device.sensors
        ),
    )


def _battery(battery: Battery, at: _Wall) -> PageBattery:
    return PageBattery(battery.name, battery.value, battery.unit, battery.told, at.ms(battery.time_us))


def _frame(entry: Entry, at: _Wall) -> PageFrame:
    return PageFrame(at.ms(entry.time_us), entry.text, entry.device)


def _logged(entry: Entry, at: _Wall) -> PageLogged:
    payload = entry.payload.hex()
    return PageLogged(
        n=entry.number,
        time=at.ms(entry.time_us),
        text=entry.text,
        device=entry.device,
        address=entry.address,
        check=entry.check,
        gateway=entry.gateway,
        rssi=entry.rx.rssi_dbm,
        snr=entry.rx.snr_db,
        sf=entry.rx.sf,
        fcnt=entry.fcnt,
        fport=entry.fport,
        payload="" if entry.check else payload,
        phy_payload=payload if entry.check else "",
    )


def _refusal(refused: Refused, at: _Wall) -> PageRefusal:
    return PageRefusal(
        check=refused.check,
        count=refused.count,
        address=refused.address,
        last=at.ms(refused.last_us),
        detail=refused.detail,
        fix=refused.fix,
        rssi=refused.rx.rssi_dbm,
        snr=refused.rx.snr_db,
        sf=refused.rx.sf,
    )


def _input(item: InputState, at: _Wall) -> PageInput:
    gateways = tuple(PageGateway(it.name, at.ms(it.last_us), it.stat) for it in item.gateways)
    return PageInput(item.name, at.ms(item.last_us), item.trouble, gateways, item.more)


def _destination(item: DestinationState, at: _Wall) -> PageDestination:
    return PageDestination(
        name=item.name,
        queued=item.queued,
        parked=item.parked,
        refused=item.refused,
        oldest=_ms(item.oldest_us),
        last=at.ms(item.last_us),
        trouble=item.trouble,
        held=item.held,
    )


def _ms(time_us: WallUs) -> int:
    return time_us // 1000
