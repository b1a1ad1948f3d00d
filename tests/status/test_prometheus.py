"""The metrics."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lora_post.metrics import Metrics
from lora_post.model import Reading, Value
from lora_post.observed.site_state import SiteState
from lora_post.status import device_metrics
from lora_post.uplink.model import Refusal
from lora_post.waziup.names import to_id
from tests.support.build import NOON_US, device, frame, report
from tests.support.status_page import get, page


def test_metrics_are_prometheus_text_with_bounded_labels() -> None:
    metrics, site = Metrics(), SiteState([device()])
    metrics.count("refused", "mic", 2)
    metrics.count("uplinks", amount=5)
    metrics.count("something internal", "x")
    for seconds in (0.0005, 0.2, 100.0):
        metrics.observe("delivery_duration", seconds, "waziup")
    site.hear(report(Reading("t", 1)))
    site.hear(Refusal(frame(b'"\n\\'), "frame", "x"))
    with page(site, metrics=metrics) as url:
        answer = get(url + "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    samples = {(s.name, tuple(s.labels.items())): s.value for family in families.values() for s in family.samples}
    assert samples["lora_post_refused_total", (("check", "mic"),)] == 2
    assert samples["lora_post_uplinks_total", ()] == 5
    assert samples["lora_post_delivery_duration_seconds_bucket", (("destination", "waziup"), ("le", "0.25"))] == 2
    assert samples["lora_post_delivery_duration_seconds_count", (("destination", "waziup"),)] == 3
    assert samples["lora_post_queue_readings", (("destination", "waziup"), ("state", "queued"))] == 3
    assert samples["lora_post_device_last_uplink_timestamp_seconds", (("device", "pond-7"),)] == NOON_US / 1e6
    assert not any("internal" in name for name in families)
    assert "lora_post_sensor_value" not in families


def test_sensor_values_are_there_when_asked_for_and_no_name_breaks_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    site = SiteState([device("pond-7"), device("pond-8")])
    position: dict[str, Value] = {"latitude": 1.5, "longitude": 2.5}
    site.hear(
        report(
            Reading("t", 22.5, "°C"),
            Reading("door", True),
            Reading("state", "open"),
            Reading("gps", position),
            Reading('a"}\n 1\nb', 1, '"\\\n'),
        )
    )

    def samples() -> dict[tuple[str, str, str], float]:
        with page(site, sensor_values=True) as url:
            families = list(text_string_to_metric_families(get(url + "/metrics").text))
        found = next(family for family in families if family.name == "lora_post_sensor_value").samples
        return {(s.labels["device"], s.labels["sensor"], s.labels["unit"]): s.value for s in found}

    assert samples() == {
        ("pond-7", "t", "°C"): 22.5,
        ("pond-7", "door", ""): 1.0,
        ("pond-7", to_id('a"}\n 1\nb'), '"\\\n'): 1.0,
    }
    monkeypatch.setattr(device_metrics, "MAX_SENSORS", 2)
    assert len(samples()) == 2
