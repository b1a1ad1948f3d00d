"""Days of a server and its gateways, which pass in no time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.clocks.scale import now_us
from lora_post.model import Reading
from lora_post.sandbox.server import running_sandbox
from tests.support.build import report
from tests.support.command import PATIENCE_S
from tests.support.upload_site import IMPATIENT, USERS, Site, WatchedUploader
from tests.support.waziup import BadDays, Waziup

HOUR_US = 3_600_000_000
POLICY = replace(IMPATIENT, look_for_parked_every_s=0.0, share_write_for_s=0.0)


class World:
    """A server whose clock a test moves, and gateways that a test makes work. visibility: of what they create."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.moved_us = 0
        self.visibility = "private"
        self.days = BadDays()
        self._running = running_sandbox(USERS, clock=self.now_us, faults=self.days)
        self.server = Waziup(self._running.__enter__(), self.days)
        self.sites: dict[str, Site] = {}
        self.uploaders: dict[str, WatchedUploader] = {}
        # The server dates its answers by its own clock.
        monkeypatch.setattr("lora_post.clocks.server.read_date", lambda date: self.now_us() // 1_000_000 * 1_000_000)

    def now_us(self) -> int:
        return now_us() + self.moved_us

    def pass_h(self, hours: float) -> None:
        """Let time pass, for the server and for what is parked."""
        span_us = int(hours * HOUR_US)
        self.moved_us += span_us
        for site in self.sites.values():
            with site.store.transaction() as db:
                db.execute("UPDATE lane SET parked_us = parked_us - ? WHERE parked_us IS NOT NULL", (span_us,))
            for client in site.clients:
                # The machine's own clocks do not move here.
                client.clock.hear("")
                client._renew_at = 0.0

    def gateway(self, name: str) -> Site:
        """Return a gateway that has just started."""
        folder = self._folder / f"{name}-{len(self.sites)}"
        folder.mkdir()
        self.sites[name] = Site(folder, self.server.url, POLICY, name)
        self.restart(name)
        return self.sites[name]

    def restart(self, name: str) -> None:
        self.uploaders[name] = self.sites[name].uploader(visibility=self.visibility)

    def hear(self, name: str, value: int, *, apart_s: float = 0.0, sensor: str = "t") -> None:
        self.sites[name].put(report(Reading(sensor, value), time_us=self.now_us() + int(apart_s * 1e6)))

    def drain(self, name: str) -> None:
        """Send what may go out."""
        uploader, deadline = self.uploaders[name], time.monotonic() + PATIENCE_S
        uploader.step()
        while not uploader.is_idle():
            assert time.monotonic() < deadline, uploader.last_error
            time.sleep(min(uploader.step(), 0.05))

    def values(self, sensor: str = "t") -> list[object]:
        return self.server.values("pond-7", sensor)

    def named(self) -> object:
        return self.server.get("/devices/pond-7")["gateway_id"]  # type: ignore[index]

    def kept(self, name: str) -> int:
        return self.sites[name].queue().counts().parked

    def close(self) -> None:
        for site in self.sites.values():
            site.close()
        self._running.__exit__(None, None, None)
