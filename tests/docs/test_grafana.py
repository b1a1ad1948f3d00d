"""docs/grafana-dashboard.json: it asks for what /metrics has, with the labels that it has there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from lora_post.downlink.duty_cycle import AirTime
from lora_post.lorawan.region import SubBand
from lora_post.metrics import HISTOGRAMS, Metrics
from lora_post.model import Reading
from lora_post.observed.run_state import RunState
from lora_post.observed.site_state import SiteState
from lora_post.status.prometheus import COUNTERS
from tests.support.build import device, report
from tests.support.paths import DOCS
from tests.support.status_page import WELL, get, page

DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
PAGE = (DOCS / "status-page.md").read_text("utf-8")
OF_PROMETHEUS = {"instance", "job", "le"}
AIR_TIME = AirTime("gw1", SubBand(868_000_000, 868_600_000, 0.01, 14), 0.5, 60.0)
ALARMED: RunState = replace(WELL, alerts=("no-frame",), air_time=(AIR_TIME,))


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["definition"] == variable["query"]["query"]
            yield re.sub(r"^label_values\((.*), (\w+)\)$", r"sum by (\2) (\1)", variable["definition"])


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """Every metric of a run that has counted everything once, and its labels."""
    metrics, site = Metrics(), SiteState([device()])
    for name, (_, label) in COUNTERS.items():
        metrics.count(name, "x" if label else "")
    for name, kind in HISTOGRAMS.items():
        metrics.observe(name, 0.1, "x" if kind.label else "")
    site.hear(report(Reading("t", 1, "°C")))
    with page(site, ALARMED, metrics=metrics, sensor_values=True) as url:
        text = get(url + "/metrics").text
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    }


@pytest.mark.parametrize("query", list(queries()))
def test_query_asks_for_metrics_and_labels_that_there_are(query: str, served: dict[str, set[str]]) -> None:
    names = re.findall(r"lora_post_\w+", query)
    assert names
    labels = set(re.findall(r"(\w+)=~?\"", query))
    for group in re.findall(r"by \(([^)]*)\)", query):
        labels |= set(group.split(", "))
    assert set(names) <= served.keys()
    for name in names:
        assert labels <= served[name] | OF_PROMETHEUS
    assert query.count("(") == query.count(")")


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_legend_names_labels_that_the_query_keeps(panel: dict[str, Any], served: dict[str, set[str]]) -> None:
    for target in panel["targets"]:
        kept = {label for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(", ")}
        kept = kept or served[re.findall(r"lora_post_\w+", target["expr"])[0]]
        assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= kept


def test_panels_do_not_lie_on_one_another_and_have_numbers_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_the_page_names_every_metric_and_no_other(served: dict[str, set[str]]) -> None:
    _, _, listed = PAGE.partition("Metrics, all with `lora_post_` before their name:\n\n* ")
    heads = [item.partition(": ")[0] for item in listed.partition("\n\n")[0].split("\n* ")]
    named = {re.sub(r"\{.*", "", word) for head in heads for word in re.findall(r"`([a-z]\S*?)`", head)}
    there = {re.sub(r"_(bucket|count|sum)$", "", name.removeprefix("lora_post_")) for name in served}
    there = {name for name in there if not name.endswith("_created")}
    missing = {name for name in there if not any(_is(word, name) for word in named)}
    assert missing == set()
    assert {word for word in named if not any(_is(word, name) for name in there)} == set()


def _is(word: str, name: str) -> bool:
    return name.startswith(word.removesuffix("…")) if word.endswith("…") else word == name
