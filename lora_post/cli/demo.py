"""`lora-post demo`"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from datetime import UTC
from importlib import resources
from pathlib import Path
from threading import Event

import click
import msgspec
import requests
from msgspec.structs import replace

from lora_post.cli._options import read_decoding, watch_decoders
from lora_post.cli._output import print_table, say
from lora_post.clocks.scale import now_us
from lora_post.config import Config, parse_config
from lora_post.errors import ConfigError, Unavailable
from lora_post.formats import FORMATS
from lora_post.metrics import Metrics
from lora_post.model import Frame, Heard, Noise
from lora_post.run.delivery import open_delivery
from lora_post.run.live import Oversight
from lora_post.run.signals import stop_on_signals
from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.server import running_sandbox
from lora_post.text import plural
from lora_post.times import WallUs
from lora_post.uplink.model import Refusal
from lora_post.uplink.outcome import Outcome

USER = "demo"
DRAIN_S = 30.0


class SensorView(msgspec.Struct, frozen=True):
    """A sensor as the sandbox shows it."""

    id: str
    unit: str | None = None


class DeviceView(msgspec.Struct, frozen=True):
    """A device as the sandbox shows it."""

    id: str
    name: str
    sensors: list[SensorView]


class ValueView(msgspec.Struct, frozen=True):
    """A row of a sensor's history as the sandbox shows it."""

    value: object
    timestamp: str


@click.command(name="demo")
@click.option("--keep", is_flag=True, help="Leave sandbox and status page up, to be looked at with a browser.")
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=8008,
    show_default=True,
    help="With --keep: the sandbox's port; the status page has the next one. 0: free ones.",
)
def command(keep: bool, port: int) -> None:
    """See it work: a bundled capture goes through the real pipeline into a local sandbox.

    The capture holds two LoRaWAN devices with Cayenne LPP, one with its maker's own format and one
    that sends text, a forged frame, a replayed frame, a stranger and line noise. Nothing leaves
    this machine, and nothing is left on it.
    """
    logging.basicConfig(level=logging.ERROR)
    try:
        _show(keep=keep, port=port)
    except OSError as error:
        raise ConfigError(f"port {port}: {error.strerror}", fix="name another one with --port") from error


def _show(*, keep: bool, port: int) -> None:
    stop = stop_on_signals()
    data = resources.files("lora_post").joinpath("demo")
    with (
        tempfile.TemporaryDirectory(prefix="lora-post-demo-") as folder,
        running_sandbox(Settings(users={USER: USER}), port=port if keep else 0) as url,
    ):
        page_port = port + 1 if port else 0
        config = _config(data.joinpath("demo.toml").read_text("utf-8"), Path(folder), url, page_port)
        capture = data.joinpath("demo.lowcost").read_bytes()
        say(f"{len(capture)} bytes of a radio program's output → lora-post → a Waziup sandbox at {url}")
        say("")
        run = _Run(config)
        with run.delivery:
            run.deliver(capture, stop)
            show_arrived(url)
            say("")
            _show_refused(run.outcomes)
            say("")
            if keep:
                with run.oversight.over(run.delivery.destinations, run.delivery.clock) as page:
                    say(f"The status page: {page}   (Ctrl-C ends it)", bold=True)
                    say(f"The sandbox:     {url.removesuffix('/api/v2')}/   (user {USER}, password {USER})", bold=True)
                    stop.wait()
            else:
                say("Look at it with a browser:  lora-post demo --keep")
        say("Go on with your own:        lora-post init, then lora-post check")


def _config(text: str, folder: Path, url: str, page_port: int) -> Config:
    server = f'[waziup]\nurl = "{url}"\nusername = "{USER}"\npassword = "{USER}"\n[spool]\npath = "spool.db"\n'
    page = f'[status]\nlisten = "127.0.0.1:{page_port}"\n'
    return parse_config(text + server + page, folder / "demo.toml", {})


class _Run:
    """Parser, pipeline, spool, uploader and page of the demo, as `lora-post run` has them."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.outcomes: list[Outcome] = []
        self.oversight = Oversight(config, metrics := Metrics(), ())
        decode = read_decoding(config, watch_decoders())
        heartbeats = self.oversight.signs.heartbeats
        self.delivery = open_delivery(
            config, decode, metrics, self._hear, steady=self.oversight.clock, heartbeats=heartbeats
        )

    def _hear(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.oversight.site.hear(outcome)

    def deliver(self, capture: bytes, stop: Event) -> None:
        """Send a capture through, as if it had ended just now. Raises Unavailable."""
        parser = FORMATS["lowcost"](self._config.gateway_id, UTC)
        self.delivery.pipeline.handle(as_of(now_us(), [*parser.feed(capture, now_us()), *parser.finish(now_us())]))
        self.delivery.drain(DRAIN_S, stop)
        if any(counts.undelivered for counts in self.delivery.counts().values()):
            why = ", ".join(map(str, self.delivery.last_errors().values()))
            raise Unavailable(f"the sandbox did not take everything: {why}")


def as_of(end_us: WallUs, events: Sequence[Heard]) -> list[Heard]:
    """Return the same events with other times: the last frame comes at `end_us`."""
    last_us = max(event.time_us for event in events if isinstance(event, Frame))
    by_us = end_us - last_us
    return [replace(event, time_us=event.time_us + by_us) if isinstance(event, Frame) else event for event in events]


def show_arrived(url: str) -> None:
    """Print what the server has, asked through its own API."""
    token = requests.post(f"{url}/auth/token", json={"username": USER, "password": USER}, timeout=10).text
    headers = {"Authorization": f"Bearer {token}"}

    def get(path: str) -> bytes:
        answer = requests.get(f"{url}{path}", headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.content

    table: list[list[str]] = []
    for device in msgspec.json.decode(get("/devices"), type=list[DeviceView]):
        for sensor in device.sensors:
            path = f"/devices/{device.id}/sensors/{sensor.id}/values?limit=0"
            rows = msgspec.json.decode(get(path), type=list[ValueView])
            heard = rows[-1].timestamp[:19].replace("T", " ")
            table.append([device.name, sensor.id, "  ".join(str(row.value) for row in rows), sensor.unit or "", heard])
    headings = ("device", "sensor", "values, oldest first", "unit", "last heard (UTC)")
    print_table(headings, table, title=f"Arrived on Waziup: {plural(len(table), 'sensor')}")


def _show_refused(outcomes: list[Outcome]) -> None:
    table: list[list[str]] = []
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            table.append([outcome.check, outcome.detail])
            if outcome.fix:
                table.append(["", f"fix: {outcome.fix}"])
        elif isinstance(outcome, Noise):
            table.append([outcome.reason, f"{plural(outcome.size, 'byte')}: {outcome.detail}"])
    refused = sum(isinstance(outcome, Refusal | Noise) for outcome in outcomes)
    title = f"Refused: {refused} of {len(outcomes)} things heard"
    print_table(("check", "why"), table, title=title)
