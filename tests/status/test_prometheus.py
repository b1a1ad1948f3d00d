"""The metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from lora_post.metrics import Metrics
from lora_post.model import Reading
from lora_post.observed.site_state import SiteState
from lora_post.uplink.model import Refusal
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
