"""`lora-post check` of the part in a fleet, with a real server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from lora_post.checks.fleet import check_fleet
from lora_post.config import load_config
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub_files import write_fleet
from lora_post.fleet.log.streams import ensure_streams
from lora_post.sinks.finding import Grade
from tests.support.command import PATIENCE_S, run
from tests.support.fleet_site import free_hub, server


def found(path: Path, *, offline: bool = False) -> list[tuple[Grade, str]]:
    config = load_config(path / "lora-post.toml")
    assert config.fleet is not None
    return [(each.verdict, each.text) for each in check_fleet(config, config.fleet, offline=offline)]


def test_hub_with_and_without_what_it_needs(tmp_path: Path) -> None:
    write_fleet(tmp_path, [free_hub()], ["north"], ["desk"])
    north, desk = tmp_path / "gateways" / "north", tmp_path / "workers" / "desk"
    text = (desk / "lora-post.toml").read_text()
    (desk / "lora-post.toml").write_text(f'{text}[[device]]\nid = "shed"\naddress = 6\ndecoder = "text"\n')
    assert found(north, offline=True)[-1] == (Grade.SKIPPED, "--offline")
    with server(tmp_path / "hub" / "1"):
        ((grade, what),) = found(north)
        assert grade is Grade.OK
        assert what.startswith("the hub answers, nats-server 2.")
        assert [grade for grade, _ in found(desk)] == [Grade.OK, Grade.OK]
        fleet = load_config(desk / "lora-post.toml").fleet
        assert fleet is not None
        with closing(Link(fleet, "desk")) as link:
            assert link.wait(PATIENCE_S)
            ensure_streams(link, 1, may_make_log=True)
        assert found(desk)[1:] == [
            (Grade.OK, "0 gateways, 0 entries in the log"),
            (Grade.WARNING, "nobody works on some partitions"),
        ]
        done = run("fleet", "status", "-c", str(desk / "lora-post.toml"))
        assert b"nobody: 16 of 16 partitions" in done.stdout
        assert b"does not allow" in run("fleet", "status", "-c", str(north / "lora-post.toml")).stderr
    conf = tmp_path / "hub" / "1" / "nats.conf"
    conf.write_text(conf.read_text().replace(", sync_interval: always", ""))
    with server(conf.parent):
        grade, what = found(north)[-1]
        assert grade is Grade.FAIL
        assert "can be lost with power" in what


def test_gateway_is_not_told_that_it_has_no_devices(tmp_path: Path) -> None:
    write_fleet(tmp_path, [free_hub()], ["north"], ["desk"])
    shown = {
        name: run("check", "--offline", "-c", str(tmp_path / name / "lora-post.toml")).stdout.decode()
        for name in ("gateways/north", "workers/desk")
    }
    assert "every frame will be refused" not in shown["gateways/north"]
    assert "nowhere to send to" not in "".join(shown.values())
    assert "a worker without devices accepts nothing" in shown["workers/desk"]


def test_what_does_not_fit_a_role(tmp_path: Path) -> None:
    write_fleet(tmp_path, [free_hub()], ["north"], ["desk"])
    north = tmp_path / "gateways" / "north"
    text = (north / "lora-post.toml").read_text()
    (north / "lora-post.toml").write_text(
        text.replace('url = "udp://127.0.0.1:1700"', 'url = "mqtt://localhost/a"\nformat = "ttn"')
        + '[[device]]\nid = "shed"\naddress = 6\ndecoder = "text"\n'
    )
    assert [(grade, text.partition(":")[0]) for grade, text in found(north, offline=True)][:2] == [
        (Grade.FAIL, "input mqtt"),
        (Grade.WARNING, "a gateway needs no devices, and here are 1 device with their keys"),
    ]
    assert found(tmp_path / "workers" / "desk", offline=True)[0][0] is Grade.FAIL  # no devices
