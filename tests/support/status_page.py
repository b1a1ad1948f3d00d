"""A status page that is served, and the state of a run that it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event

import requests

from lora_post.metrics import Metrics
from lora_post.observed.run_state import DestinationState, Disk, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.secret import Secret
from lora_post.spool.strangers import Stranger
from lora_post.status.access import AccessRule
from lora_post.status.app import Sources, create_app
from lora_post.status.form import AnswerForm
from lora_post.status.trends import LoadTrends
from lora_post.web.serving import base_url, listen, serving
from tests.support.build import NOON_US, device
from tests.support.command import PATIENCE_S

TOKEN = "a-token-of-this-test"
WELL = RunState(
    gateway="Farm",
    started_us=NOON_US,
    now_us=NOON_US,
    inputs=(InputState("stdin", NOON_US),),
    destinations=(DestinationState("waziup", 3, 0, 0, NOON_US, NOON_US),),
    disk=Disk(1 << 30, 1 << 31, 1 << 20),
    stalled=(),
    troubles={},
)


@contextmanager
def page(
    site: SiteState | None = None,
    runtime: RunState = WELL,
    token: str | None = None,
    metrics: Metrics | None = None,
    *,
    sensor_values: bool = False,
    load_trends: LoadTrends = lambda device, span_s, since_us: (),
    load_strangers: Callable[[], Sequence[Stranger]] = lambda: (),
    answer_form: AnswerForm | None = None,
) -> Iterator[str]:
    """A status server; gives its address."""
    stop = Event()
    gate = AccessRule(Secret(token) if token else None)
    shown = site or SiteState([device()])
    sources = Sources(
        shown, metrics or Metrics(), lambda: runtime, load_trends, load_strangers, answer_form, sensor_values
    )
    app = create_app(sources, gate, stop)
    with listen("127.0.0.1", 0) as listener, serving(app, listener, "status"):
        try:
            yield base_url(listener)
        finally:
            stop.set()


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=PATIENCE_S, allow_redirects=False)
