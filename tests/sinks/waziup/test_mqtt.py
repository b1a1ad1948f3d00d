"""Values over MQTT to a real sandbox behind a real mosquitto, with the platform's silences in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from lora_post.config import parse_config
from lora_post.model import Reading
from lora_post.run.upload_thread import open_outlet
from lora_post.sinks.announced import Announced
from lora_post.sinks.waziup.mqtt import HTTP_AFTER_LOSS_S, IDLE_S, LOOK_AFTER_S
from lora_post.spool.lanes import parked
from lora_post.spool.queue import Queue
from tests.support.broker import mosquitto
from tests.support.build import NOON_US, device, report
from tests.support.command import (
    DEVICES,
    HURRIED,
    PATIENCE_S,
    Admin,
    counting_packet,
    run,
    started,
    wait_until,
    write_site,
)
from tests.support.lanes import ready_lanes
from tests.support.ports import free_port
from tests.support.upload_site import IMPATIENT, USERS, Site, work
from tests.support.waziup import CuttingProxy, Fault, Waziup, waziup
from tests.support.waziup_mqtt import MqttSite, Platform, platform


class World(NamedTuple):
    """All that takes part."""

    site: MqttSite
    server: Waziup
    mqtt: Platform

    def over_http(self) -> int:
        """How many batches were pushed over HTTP: the others are the platform's own."""
        return len(self.server.days.pushes()) - len(self.mqtt.published)

    def looks(self) -> list[str]:
        return [line for line in self.server.days.seen if line.startswith("GET") and line.endswith("/values")]

    def values(self, sensor: str = "t", device: str = "pond-7") -> list[object]:
        return self.server.values(device, sensor)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker on a busy machine is not silent."""
    monkeypatch.setattr("lora_post.sinks.mqtt_connection.ACKNOWLEDGE_S", PATIENCE_S)


@pytest.fixture
def no_patience(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a broker that will be silent."""
    monkeypatch.setattr("lora_post.sinks.mqtt_connection.ACKNOWLEDGE_S", 0.5)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    port = free_port()
    with waziup(USERS) as server, mosquitto(tmp_path, port), platform(server.url, port) as mqtt:
        site = MqttSite(tmp_path, server.url, IMPATIENT)
        site.mqtt_port = mqtt.port
        yield World(site, server, mqtt)
        site.close()


def numbers(first: int, last: int) -> list[object]:
    return list(range(first, last))


def put(site: Site, first: int, last: int, device_id: str = "pond-7") -> None:
    """Numbers as readings of the sensor t, each at a time of its own."""
    of = device(device_id)
    site.put(*(report(Reading("t", n), time_us=NOON_US + n * 1_000_000, of=of) for n in range(first, last)))


def test_first_batch_goes_over_http_the_next_is_looked_for_and_then_mqtt_is_all(world: World) -> None:
    uploader = world.site.uploader()
    put(world.site, 0, 1)
    work(uploader)
    assert (world.over_http(), world.mqtt.stored()) == (1, 0)
    put(world.site, 1, 2)
    work(uploader)
    assert (world.over_http(), world.mqtt.stored(), len(world.looks())) == (1, 1, 1)
    before = len(world.server.days.seen)
    for n in range(2, 12):
        put(world.site, n, n + 1)
        work(uploader)
    assert world.mqtt.stored() == 11
    assert len(world.server.days.seen) - before == 10  # the platform's own
    assert world.mqtt.connections == 1
    assert world.values() == numbers(0, 12)
    assert set(world.mqtt.published) == {("devices/pond-7/sensors/t/value", 204)}


def test_backlog_arrives_once_in_order_and_each_hundred_is_looked_for(world: World) -> None:
    put(world.site, 0, 450)
    work(world.site.uploader())
    assert world.values() == numbers(0, 450)
    assert (world.over_http(), world.mqtt.stored()) == (1, 350)
    assert len(world.looks()) == 3  # of 100, 100 + 100, 50


def test_a_day_later_a_sensor_is_looked_for_again(world: World) -> None:
    uploader = world.site.uploader()
    for n in range(4):
        put(world.site, n, n + 1)
        work(uploader)
    assert len(world.looks()) == 1
    world.site.now += LOOK_AFTER_S
    put(world.site, 4, 5)
    work(uploader)
    assert len(world.looks()) == 2


def test_idle_connection_is_left_and_made_again(world: World) -> None:
    uploader = world.site.uploader()
    for n in range(4):
        put(world.site, n, n + 1)
        work(uploader)
        world.site.now += IDLE_S + 1
    assert (world.mqtt.connections, world.mqtt.stored()) == (3, 3)


def test_sensor_that_is_gone_is_found_out_made_again_and_said(world: World, caplog: pytest.LogCaptureFixture) -> None:
    uploader = world.site.uploader()
    for n in range(3):
        put(world.site, n, n + 1)
        work(uploader)
    assert world.server.call("DELETE", "/devices/pond-7/sensors/t").status_code == 204
    put(world.site, 3, 6)
    work(uploader)  # acknowledged, and not looked for
    assert [status for _, status in world.mqtt.published[-3:]] == [404] * 3
    put(world.site, 6, 106)
    work(uploader)
    assert world.values() == numbers(6, 106)
    assert "were acknowledged by 127.0.0.1 and not stored; they are sent over HTTP, for a day; 4 before" in caplog.text
    published = len(world.mqtt.published)
    put(world.site, 106, 108)
    work(uploader)
    assert len(world.mqtt.published) == published
    world.site.now += HTTP_AFTER_LOSS_S
    put(world.site, 108, 110)
    work(uploader)
    assert len(world.mqtt.published) == published + 2
    assert world.values() == numbers(6, 110)


def test_device_that_was_given_away_is_parked_with_the_reason_and_the_others_go_on(world: World) -> None:
    uploader = world.site.uploader()
    for device_id in ("pond-7", "pond-8"):
        put(world.site, 0, 1, device_id)
    work(uploader)
    for field, value in (("visibility", "private"), ("owner", "alice")):
        assert world.server.call("PUT", f"/devices/pond-7/{field}", json=value).status_code == 204
    for device_id in ("pond-7", "pond-8"):
        put(world.site, 1, 4, device_id)
    work(uploader)
    (found,) = parked(world.site.store)
    assert (found.device, found.name) == ("pond-7", "t")
    assert found.why.what == "device pond-7 is a private device of another account"
    assert [status for topic, status in world.mqtt.published if "pond-7" in topic] == [403] * 3
    assert Queue(world.site.store, "waziup").counts().parked == 3
    assert world.values() == numbers(0, 1)
    assert world.values(device="pond-8") == numbers(0, 4)


@pytest.mark.usefixtures("no_patience")
def test_device_that_is_gone_silences_the_connection_and_http_makes_it_again(world: World) -> None:
    uploader = world.site.uploader()
    put(world.site, 0, 1)
    put(world.site, 0, 1, "pond-8")
    work(uploader)
    assert world.server.call("DELETE", "/devices/pond-7").status_code == 204
    put(world.site, 1, 5)
    put(world.site, 1, 5, "pond-8")
    work(uploader)
    assert world.values() == numbers(1, 5)
    assert world.values(device="pond-8") == numbers(0, 5)


def test_values_whose_acknowledgement_was_lost_are_not_sent_again(world: World) -> None:
    wire = CuttingProxy(f"mqtt://127.0.0.1:{world.mqtt.port}")
    world.site.mqtt_port = int(wire.url.rpartition(":")[2])
    try:
        uploader = world.site.uploader()
        for n in range(2):
            put(world.site, n, n + 1)
            work(uploader)
        wire.answers_to_take = 1
        put(world.site, 2, 7)
        work(uploader)
    finally:
        wire.close()
    assert world.values() == numbers(0, 7)


def test_look_that_fails_is_made_again_before_anything_is_sent_again(world: World) -> None:
    world.server.days.faults.append(Fault(r"^GET .*/values$", 503, times=3))
    uploader = world.site.uploader()
    put(world.site, 0, 1)
    work(uploader)
    put(world.site, 1, 5)
    work(uploader)
    assert world.values() == numbers(0, 5)
    assert world.mqtt.stored() == 4


def test_broker_that_is_restarted_gets_the_rest_once(tmp_path: Path) -> None:
    port = free_port()
    with waziup(USERS) as server, platform(server.url, port) as mqtt:
        site = MqttSite(tmp_path, server.url, IMPATIENT)
        site.mqtt_port = mqtt.port
        uploader = site.uploader()
        put(site, 0, 1)
        work(uploader)
        put(site, 1, 3)
        with mosquitto(tmp_path, port):
            work(uploader)
        put(site, 3, 6)
        work(uploader, lambda: bool(uploader.last_error))
        with mosquitto(tmp_path, port):
            work(uploader)
        assert server.values("pond-7", "t") == numbers(0, 6)
        site.close()


def test_public_device_takes_values_without_an_account(world: World) -> None:
    body = {"id": "pond-7", "visibility": "public", "sensors": [{"id": "t"}]}
    assert world.server.call("POST", "/devices", json=body).status_code == 204
    text = (
        f'[gateway]\nid = "gw1"\n[waziup]\nurl = "{world.server.url}"\nprovision = "never"\n'
        f'protocol = "mqtt"\nmqtt_url = "mqtt://127.0.0.1:{world.mqtt.port}"\n'
    )
    spool = Queue(world.site.store, "waziup")
    put(world.site, 0, 3)
    (lane,) = ready_lanes(spool)
    config = parse_config(text, Path("x.toml"), {})
    sink = open_outlet("waziup", config, world.site.store, Announced()).sink
    world.site.sink = sink  # type: ignore[assignment]
    for _ in range(3):
        batch = spool.claim(lane, 1)
        assert batch is not None
        sink.prepare()
        sink.send(batch)
        spool.settle({batch.lane.id: batch.times_us})
    assert world.values() == numbers(0, 3)
    assert world.mqtt.stored() == 2


def test_bytes_on_the_broker_s_connection_count_as_waziup_s(world: World) -> None:
    uploader = world.site.uploader()
    for n in range(2):
        put(world.site, n, n + 1)
        work(uploader)
    traffic = world.site.clients[0]._http.traffic
    spent = traffic.bytes
    put(world.site, 2, 3)
    work(uploader)
    assert 150 < traffic.bytes - spent < 600


def test_kill_loses_and_doubles_nothing(tmp_path: Path) -> None:
    port, frames = free_port(), 60
    with ExitStack() as stack:
        server = stack.enter_context(waziup(USERS))
        mqtt = stack.enter_context(platform(server.url, port))
        config = write_site(tmp_path, server.url)
        text = config.read_text()
        extra = f'protocol = "mqtt"\nmqtt_url = "mqtt://127.0.0.1:{mqtt.port}"\n'
        config.write_text(text.replace("[spool]", extra + "[spool]"))
        stack.enter_context(mosquitto(tmp_path, port))
        capture = b"".join(counting_packet(n) for n in range(frames))
        with started("run", "-q", "-c", str(config)) as process:
            assert process.stdin is not None
            process.stdin.write(b"".join(counting_packet(n) for n in range(DEVICES)))
            wait_until(lambda: len(server.days.pushes()) == 2 * DEVICES, "nothing is sent")
            process.stdin.write(b"".join(counting_packet(n) for n in range(DEVICES, frames)))
            wait_until(lambda: len(mqtt.published) > 10, "nothing is published")
            process.kill()
        done = run("run", "-c", str(config), stdin=capture, command=HURRIED)
        assert done.returncode == 0, done.stderr.decode()
        for index in range(DEVICES):
            expected = [n / 100 for n in range(frames // DEVICES)]
            rows = Admin(server.url).rows(f"counter-{index}", "analog_in_1")
            assert [value for value, _ in rows] == expected


def test_check_says_whether_the_platform_s_broker_takes_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with waziup(USERS) as server, platform(server.url, port) as mqtt:
        config = write_site(tmp_path, server.url)
        text = config.read_text()
        extra = f'protocol = "mqtt"\nmqtt_url = "mqtt://127.0.0.1:{mqtt.port}"\n'
        config.write_text(text.replace("[spool]", extra + "[spool]"))
        with mosquitto(tmp_path, port):
            out = run("check", "-c", str(config)).stdout.decode()
        assert re.search(rf"ok +server +the broker at 127.0.0.1 port {mqtt.port} accepts the connection as demo\n", out)
        out = run("check", "-c", str(config)).stdout.decode()
        assert re.search(rf"FAIL +server +the broker at 127.0.0.1 port {mqtt.port} does not answer", out)
