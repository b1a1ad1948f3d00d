"""Write /metrics in the text format of Prometheus; names follow its conventions, labels come from closed sets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from lora_post.metrics import HISTOGRAMS, Metrics
from lora_post.observed.run_state import Look, RunState
from lora_post.observed.site_state import SiteState
from lora_post.status.device_metrics import device_text, sensor_text
from lora_post.times import SteadyUs, WallUs

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS: Final = {
    "uplinks": ("Uplinks accepted.", ""),
    "readings": ("Readings decoded and queued.", ""),
    "copies": ("Uplinks heard once more, by another gateway.", ""),
    "downlinks": ("Frames for devices, by what became of them at the gateway.", "result"),
    "commands": ("Downlinks that were given, by what became of them.", "fate"),
    "joins": ("Join messages, by kind.", "message"),
    "refused": ("Frames refused, by the check that failed.", "check"),
    "noise": ("Pieces of input that were not a frame, by reason.", "reason"),
    "input_failures": ("Failures of an input, after which it is opened again.", "input"),
    "undecoded": ("Uplinks whose decoder failed, by decoder.", "decoder"),
    "delivered": ("Readings delivered, by destination.", "destination"),
    "parked": ("Sensors set aside, by destination.", "destination"),
    "rejected": ("Readings that the server rejected one by one, by destination.", "destination"),
    "retries": ("Failed requests, by kind of error; each is tried again.", "error"),
    "dropped": ("Datagrams dropped unread for lack of room, by where.", "reason"),
}
"""Name in `Metrics` → help and label; other names are not shown."""


def metrics_text(metrics: Metrics, site: SiteState, look: Look, *, sensor_values: bool) -> bytes:
    """Return all metrics at this moment."""
    run = look()
    registry = CollectorRegistry()
    registry.register(_Run(metrics, run))
    devices = site.devices()
    text = device_text(devices, partial(_seconds, run)) + (sensor_text(devices) if sensor_values else "")
    return generate_latest(registry) + text.encode()


class _Run(Collector):
    def __init__(self, metrics: Metrics, runtime: RunState) -> None:
        self._metrics = metrics
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        for name, (text, label) in COUNTERS.items():
            family = CounterMetricFamily(f"lora_post_{name}", text, labels=[label] if label else [])
            for value, amount in self._metrics.labels(name).items():
                family.add_metric([value] if label else [], amount)
            yield family

    def _histograms(self) -> Iterator[Metric]:
        for name, kind in HISTOGRAMS.items():
            labels = [kind.label] if kind.label else []
            family = HistogramMetricFamily(f"lora_post_{name}_seconds", kind.help, labels=labels)
            for label, (counts, total_s) in self._metrics.durations(name).items():
                running, buckets = 0, []
                for bound, count in zip([*map(str, kind.buckets_s), "+Inf"], counts, strict=True):
                    running += count
                    buckets.append((bound, float(running)))
                family.add_metric([label] if labels else [], buckets, total_s)
            yield family

    def _gauges(self) -> Iterator[Metric]:
        run = self._runtime
        yield _gauge("start_time_seconds", "Start of this run, since 1970 UTC.", _seconds(run, run.started_us))
        yield _gauge("disk_free_bytes", "Free on the spool's file system.", run.disk.free)
        yield _gauge("spool_bytes", "Size of the spool.", run.disk.spool)
        yield _gauge("stalled_threads", "Threads that are stalled.", len(run.stalled))
        yield _by(
            "input_last_frame_timestamp_seconds",
            "Latest frame of an input, since 1970 UTC; 0 for none.",
            "input",
            {item.name: _seconds(run, item.last_us) for item in run.inputs},
        )
        yield _by(
            "input_up",
            "Whether an input can give frames.",
            "input",
            {item.name: float(not item.trouble) for item in run.inputs},
        )
        yield _by(
            "queue_oldest_age_seconds",
            "Age of the oldest reading in the queue of a destination.",
            "destination",
            {
                item.name: max(0, WallUs(run.now_us + run.ahead_us) - item.oldest_us) / 1e6 if item.oldest_us else 0.0
                for item in run.destinations
            },
        )
        yield _by(
            "last_delivery_timestamp_seconds",
            "Latest delivery to a destination, since 1970 UTC; 0 for none.",
            "destination",
            {item.name: _seconds(run, item.last_us) for item in run.destinations},
        )
        yield _by(
            "destination_up",
            "Whether a destination accepted what it was last sent.",
            "destination",
            {item.name: float(not item.trouble) for item in run.destinations},
        )
        yield _by(
            "destination_held",
            "Whether the configuration holds readings back at the moment.",
            "destination",
            {item.name: float(bool(item.held)) for item in run.destinations},
        )
        queue = GaugeMetricFamily(
            "lora_post_queue_readings",
            "Readings not delivered, by destination and state.",
            labels=["destination", "state"],
        )
        for item in run.destinations:
            for state, amount in (("queued", item.queued), ("parked", item.parked), ("refused", item.refused)):
                queue.add_metric([item.name, state], amount)
        yield queue
        air_time = GaugeMetricFamily(
            "lora_post_air_time_used_ratio",
            "What a gateway has used of the air time that a sub-band allows in an hour.",
            labels=["gateway", "sub_band"],
        )
        for each in run.air_time:
            air_time.add_metric([each.gateway, each.sub_band.text], each.used)
        yield air_time
        yield _by("alert", "An alert that is raised.", "alert", dict.fromkeys(run.alerts, 1.0))


def _seconds(run: RunState, moment_us: SteadyUs) -> float:
    """Return seconds since 1970 UTC; 0 for never."""
    return (moment_us + run.ahead_us) / 1e6 if moment_us else 0.0


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"lora_post_{name}", text, value=value)


def _by(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(f"lora_post_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
