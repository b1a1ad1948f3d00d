"""A thread that uploads is stalled only when nothing gets on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from lora_post.clocks.scale import now_us
from lora_post.config import parse_config
from lora_post.observed.signs import Heartbeats
from lora_post.run.upload_thread import BEAT_S, open_outlet, thread_name
from lora_post.sandbox.server import running_sandbox
from lora_post.sinks.announced import Announced
from lora_post.times import WallUs
from tests.support.lanes import ready_lanes
from tests.support.upload_site import Site

SENSORS = 12


def test_many_sensors_that_are_missing_at_a_slow_server_are_no_stall(tmp_path: Path) -> None:
    """Each request takes minutes, and all of them together longer than one round may."""
    seconds, stalled = [0.0], list[str]()
    heartbeats = Heartbeats(lambda: seconds[0])

    def pass_minutes() -> WallUs:
        seconds[0] += 100
        stalled.extend(heartbeats.stalled())
        return now_us()

    with running_sandbox(clock=pass_minutes) as url, closing(Site(tmp_path, url)) as site:
        account = 'username = "demo"\npassword = "demo"\n'
        config = parse_config(f'[gateway]\nid = "gw1"\n[waziup]\nurl = "{url}"\n{account}', tmp_path / "x.toml", {})
        outlet = open_outlet("waziup", config, site.store, Announced(), heartbeats=heartbeats)
        heartbeats.beat(thread_name("waziup"), BEAT_S)
        with closing(outlet.sink):
            for number in range(SENSORS):  # the device is made with the first one, and has not got the others
                site.put_values(f"sensor_{number}", 20.5)
                if number in (0, SENSORS - 1):
                    lane = next(each for each in ready_lanes(outlet.queue) if each.name == f"sensor_{number}")
                    batch = outlet.queue.claim(lane, 100)
                    assert batch is not None
                    outlet.sink.send(batch)
    assert seconds[0] > BEAT_S
    assert stalled == []
