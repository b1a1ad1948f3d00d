"""What `fleet init` writes works, and what keys do not allow is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lora_post.config import load_config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.errors import FleetError
from lora_post.fleet.home.offers import look_subject, offer_subject
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub_files import Hub, write_fleet
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.streams import ensure_streams
from tests.support.command import PATIENCE_S, run, wait_until
from tests.support.fleet_site import free_hub, server
from tests.support.in_process import lora_post
from tests.support.nats_servers import SERVER
from tests.support.programs import program


def fleet_of(folder: Path) -> FleetConfig:
    fleet = load_config(folder / "lora-post.toml").fleet
    assert fleet is not None
    return fleet


@contextmanager
def linked(fleet: FleetConfig, name: str) -> Iterator[Link]:
    with closing(Link(fleet, name)) as link:
        assert link.wait(PATIENCE_S)
        yield link


def test_unit_of_the_server_is_understood_by_systemd_and_stays_as_it_was_changed(tmp_path: Path) -> None:
    write_fleet(tmp_path, [Hub("a"), Hub("b")], [], [])
    unit = tmp_path / "hub" / "1" / "nats-server.service"
    text = unit.read_text()
    unit.write_text(text.replace("ExecStart=nats-server ", f"ExecStart={SERVER} "))
    words = [program("systemd-analyze"), "verify", "--man=no", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert unit not in write_fleet(tmp_path, [Hub("a"), Hub("b")], ["north"], []) and SERVER in unit.read_text()
    assert (tmp_path / "hub" / "2" / "nats-server.service").read_text() == text


@pytest.mark.long
def test_keys_allow_what_they_are_for_and_nothing_else(tmp_path: Path) -> None:
    write_fleet(tmp_path, [free_hub()], ["north.1", "south"], ["desk"])
    north, desk = fleet_of(tmp_path / "gateways" / "north.1"), fleet_of(tmp_path / "workers" / "desk")
    assert north.roles == {Role.GATEWAY}
    assert (tmp_path / "gateways" / "south" / "south.nk").stat().st_mode & 0o077 == 0
    with server(tmp_path / "hub" / "1"), linked(desk, "desk") as worker, linked(north, "north.1") as gateway:
        ensure_streams(worker, 1, may_make_log=True)
        stream = gateway.client.jetstream()
        gateway.call(stream.publish("raw.3.26011bda.north~2e1", b"x"))
        gateway.say("gw.north~2e1.state", b"{}")
        heard: list[bytes] = []
        gateway.listen("hub.north~2e1", lambda _, data: heard.append(data))
        worker.say("hub.north~2e1", b"done")
        for refused in ("raw.3.26011bda.south", "log.3.pond", "hub.all", "gw.south.state"):
            with pytest.raises(FleetError):
                gateway.call(stream.publish(refused, b"x", timeout=1))
            assert "does not allow" in str(gateway.trouble)
        with pytest.raises(FleetError):
            gateway.call(gateway.client.jetstream(timeout=1).stream_info("LP_LOG"))
        assert NatsLog(worker).read("log.3.", 0) == []
        wait_until(lambda: heard == [b"done"], "the gateway did not hear the hub")


@pytest.mark.long
def test_key_of_a_home_gateway_allows_the_logs_of_its_devices(tmp_path: Path) -> None:
    hub = free_hub()
    write_fleet(tmp_path, [hub], [], ["desk"], {"hill": ["pond.1"]})
    write_fleet(tmp_path, [hub], [], [], {"hill": ["shed"]})
    hill, desk = fleet_of(tmp_path / "gateways" / "hill"), fleet_of(tmp_path / "workers" / "desk")
    assert hill.roles == {Role.GATEWAY, Role.HOME}
    with server(tmp_path / "hub" / "1"), linked(desk, "desk") as worker:
        ensure_streams(worker, 1, may_make_log=True)
        asked: list[bytes] = []
        worker.listen(look_subject("hill"), lambda _, data: asked.append(data))
        with linked(hill, "hill") as home:
            log = NatsLog(home)
            assert None not in log.append([("log.3.pond~2e1", b"x"), ("log.4.shed", b"x"), ("log.9.shed", b"x")])
            assert log.append([("log.3.barn", b"x")]) == [None]
            assert "does not allow" in str(home.trouble)
            with pytest.raises(FleetError):
                log.read("log.3.", 0)
            home.say(look_subject("hill"), b"?")
            heard: list[bytes] = []
            home.listen(offer_subject("hill"), lambda _, data: heard.append(data))
            worker.say(offer_subject("hill"), b"!")
            wait_until(lambda: (asked, heard) == ([b"?"], [b"!"]), "they do not hear each other")


def test_what_is_there_stays_and_more_is_added(tmp_path: Path) -> None:
    hubs = [Hub("hub1.example.org"), Hub("hub2.example.org"), Hub("hub3.example.org")]
    write_fleet(tmp_path, hubs, ["north"], [])
    toml, seed = (tmp_path / "gateways" / "north" / name for name in ("lora-post.toml", "north.nk"))
    toml.write_text(toml.read_text() + "# mine\n")
    before = toml.read_text(), seed.read_bytes(), (tmp_path / "hub" / "2" / "cert.pem").read_bytes()
    written = write_fleet(tmp_path, hubs, ["south"], ["desk"])
    assert (toml.read_text(), seed.read_bytes(), (tmp_path / "hub" / "2" / "cert.pem").read_bytes()) == before
    assert seed not in written
    accounts = (tmp_path / "hub" / "3" / "accounts.conf").read_text()
    assert [line.partition("# ")[2] for line in accounts.splitlines() if "nkey" in line] == [
        "gateway north",
        "gateway south",
        "worker desk",
    ]
    conf = (tmp_path / "hub" / "2" / "nats.conf").read_text()
    assert "sync_interval: always" in conf
    assert "tls://hub1.example.org:6222" in conf
    assert subprocess.run([SERVER, "-t", "-c", "nats.conf"], cwd=tmp_path / "hub" / "2", check=False).returncode == 0
    assert fleet_of(tmp_path / "workers" / "desk").replicas == 3


def test_command(tmp_path: Path) -> None:
    done = run("fleet", "init", "f", "--hub", "a", "--gateway", "north", cwd=tmp_path)
    assert done.returncode == 0
    assert b"One server is for a trial" in done.stdout
    assert b"give three, or one" in run("fleet", "init", "f", "--hub", "a", "--hub", "b", cwd=tmp_path).stderr
    more = run("fleet", "init", "f", "--hub", "a", "--home", "north=pond", cwd=tmp_path).stdout.decode()
    assert more.splitlines().count("wrote f/gateways/north/devices") == 1
    assert "systemctl reload nats-server" in more
    assert "its nats-server.service to /etc/systemd/system" in more


@pytest.mark.parametrize(
    ("option", "text", "named"),
    [
        ("gateway", "north 1", "north 1"),
        ("worker", "../desk", "../desk"),
        ("home", '"=pond', '"'),
        ("home", "a=b/c", "b/c"),
    ],
)
def test_id_that_no_configuration_takes_is_refused_before_a_file_is_written(
    option: str, text: str, named: str, tmp_path: Path
) -> None:
    ran = lora_post("fleet", "init", tmp_path / "f", "--hub", "a", f"--{option}", text)
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
    assert f"--{option} {named!r}; write 1 to 128 letters, digits, '_', '-' and '.'" in ran.err
