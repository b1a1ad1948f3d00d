"""What the page is told: everything once, and after that what has changed.

Times are in ms since 1970 UTC by this machine, as browsers have them; what is empty is left out.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, json

from lora_post.observed.run_state import RunState
from lora_post.observed.site_state import DeviceView, Entry, Refused, Shown, SiteState
from lora_post.observed.verdict import judge

# A page of more sensors would be too large with all their days; they come one by one on request.
MAX_PLOTS: Final = 300
MAX_GATEWAYS: Final = 16

Json = dict[str, Any]


def whole(board: SiteState, runtime: RunState) -> bytes:
    """Everything that the page shows, as JSON."""
    # What is heard in between is told twice, which does no harm; the other way round it would be missed.
    changes = board.changes
    at = _Wall(runtime.ahead_us)
    devices = board.devices()
    plots = sum(len(device.sensors) for device in devices) <= MAX_PLOTS
    return json.encode(
        {
            "v": changes,
            "now": _ms(runtime.now_us + runtime.ahead_us),
            "devices": [_device(device, board, runtime.now_us if plots else None, at) for device in devices],
            "recent": [_entry(entry, at) for entry in board.recent()],
            "refused": [_refused(refused, at) for refused in board.refused()],
            "state": state_json(runtime),
            "verdict": judge(runtime, is_heard=board.is_heard),
        }
    )


def news(board: SiteState, since: int, ahead_us: int) -> Json:
    """What was heard after `since`, and the number to go on from. ahead_us: of the run, see RunState."""
    changes = board.changes
    at = _Wall(ahead_us)
    recent = board.recent(since)
    found: Json = {"v": changes, "devices": [_device(device, board, None, at) for device in board.devices(since)]}
    found["recent"] = [_entry(entry, at) for entry in recent]
    if any(entry.device is None for entry in recent):
        found["refused"] = [_refused(refused, at) for refused in board.refused()]
    return found


def state_json(runtime: RunState) -> Json:
    """The state of the run, without the moment it was taken at: two of them are equal when nothing has happened."""
    at = _Wall(runtime.ahead_us)
    return {
        "gateway": runtime.gateway,
        "started": at.ms(runtime.started_us),
        "inputs": [
            _filled(
                name=i.name,
                last=at.ms(i.last_us),
                trouble=i.trouble,
                gateways=[_filled(name=g.name, last=at.ms(g.last_us), stat=g.stat) for g in i.gateways[:MAX_GATEWAYS]],
            )
            for i in runtime.inputs
        ],
        "destinations": [
            _filled(
                name=d.name,
                queued=d.queued,
                parked=d.parked,
                refused=d.refused,
                oldest=_ms(d.oldest_us),
                last=at.ms(d.last_us),
                trouble=d.trouble,
                held=d.held,
            )
            for d in runtime.destinations
        ],
        # In hundredths of the disk, so that it does not change all the time.
        "disk": {
            "free": round(100 * runtime.disk.free / max(runtime.disk.total, 1)),
            "spool": runtime.disk.spool >> 20,
        },
    }


class _Wall(Struct, frozen=True):
    """Moments of the steady clock as browsers have times."""

    ahead_us: int

    def ms(self, moment_us: int) -> int:
        """ms since 1970 UTC; 0 for never."""
        return _ms(moment_us + self.ahead_us) if moment_us else 0


def _device(device: DeviceView, board: SiteState, now_us: int | None, at: _Wall) -> Json:
    """One device; now_us: the end of the days that are sent along, None for none."""
    return _filled(
        id=device.id,
        name=device.name if device.name != device.id else None,
        last=at.ms(device.last_us),
        sf=device.sf,
        gateway=device.gateway,
        copies=[{"gateway": gateway} | _signal(rx.rssi_dbm, rx.snr_db) for gateway, rx in device.copies],
        heard=device.heard,
        missed=device.missed,
        problem=device.problem,
        battery=_shown(device.battery, at) if device.battery else None,
        sensors=[
            _shown(sensor, at) | ({} if now_us is None else _filled(day=board.day(device.id, sensor.name, now_us)))
            for sensor in device.sensors
        ],
    ) | _signal(device.rssi_dbm, device.snr_db)


def _signal(rssi_dbm: float | None, snr_db: float | None) -> Json:
    """What was measured: 0 dB is a signal."""
    return {key: value for key, value in (("rssi", rssi_dbm), ("snr", snr_db)) if value is not None}


def _shown(shown: Shown, at: _Wall) -> Json:
    return {"name": shown.name, "value": shown.value} | _filled(unit=shown.unit, time=at.ms(shown.time_us))


def _entry(entry: Entry, at: _Wall) -> Json:
    return _filled(time=at.ms(entry.time_us), device=entry.device, text=entry.text)


def _refused(refused: Refused, at: _Wall) -> Json:
    return _filled(
        check=refused.check,
        address=refused.address,
        count=refused.count,
        last=at.ms(refused.last_us),
        detail=refused.detail,
        fix=refused.fix,
    )


def _filled(**fields: object) -> Json:
    return {key: value for key, value in fields.items() if value not in (None, "", 0, [], {})}


def _ms(time_us: int) -> int:
    return time_us // 1000
