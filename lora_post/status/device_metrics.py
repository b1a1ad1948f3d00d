"""Write the lines of /metrics for devices as text.

Objects for each sample, as `prometheus_client` wants them, cost several times as much, every 15 seconds.
Source: prometheus/docs: content/docs/instrumenting/exposition_formats.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from lora_post.observed.device_view import DeviceView
from lora_post.times import SteadyUs

MAX_SENSORS: Final = 50_000
"""Names of sensors come from payloads, 256 of a device."""


def device_text(devices: Sequence[DeviceView], seconds: Callable[[SteadyUs], float]) -> str:
    """Return the metrics of devices. seconds: of a moment since 1970 UTC, 0 for never."""
    known = [(f'{{device="{_escaped(device.id)}"}}', device) for device in devices]
    last, rssi, missed = "device_last_uplink_timestamp_seconds", "device_rssi_dbm", "device_missed_frames_total"
    return "".join(
        (
            _family(last, "Latest uplink of a device, since 1970 UTC; 0 for none."),
            *[f"lora_post_{last}{who} {seconds(each.last_us)!r}\n" for who, each in known],
            _family(rssi, "Signal of the latest uplink of a device."),
            *[f"lora_post_{rssi}{who} {each.rssi_dbm!r}\n" for who, each in known if each.rssi_dbm is not None],
            _family(missed, "Frames not heard, by gaps of the device's FCnt.", "counter"),
            *[f"lora_post_{missed}{who} {each.missed!r}\n" for who, each in known],
        )
    )


def sensor_text(devices: Iterable[DeviceView]) -> str:
    """Return the latest values of the sensors of devices."""
    lines = (
        f'{start}{_escaped(shown.name)}",unit="{_escaped(shown.unit)}"}} {float(shown.value)!r}\n'
        for start, sensors in (
            (f'lora_post_sensor_value{{device="{_escaped(each.id)}",sensor="', each.sensors) for each in devices
        )
        for shown in sensors
        if type(shown.value) is not str
    )
    text = "Latest value of a sensor; 1 for true, 0 for false; texts and positions are left out."
    return _family("sensor_value", text) + "".join(islice(lines, MAX_SENSORS))


def _family(name: str, text: str, kind: str = "gauge") -> str:
    return f"# HELP lora_post_{name} {text}\n# TYPE lora_post_{name} {kind}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
