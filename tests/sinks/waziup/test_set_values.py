"""Values that are set on Waziup, found by looking at a sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from lora_post.errors import SinkError
from lora_post.net.traffic import Traffic
from lora_post.secret import Account, Secret
from lora_post.sinks.announced import Announced
from lora_post.sinks.watch import Setting
from lora_post.sinks.waziup.client import WaziupClient
from lora_post.sinks.waziup.set_values import ALL_EVERY_S, MAX_VALUE, SetValues
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from tests.support.command import PATIENCE_S
from tests.support.waziup import Fault, Waziup, waziup

DEVICES = ("valve", "plain", "missing")


class Place:
    """A device with a lamp that is on since long ago, and one without an actuator."""

    def __init__(self, server: Waziup, folder: Path) -> None:
        self.server = server
        self.now = 1000.0
        self.spool_file = SpoolFile(folder / "spool.db")
        for device in ("valve", "plain"):
            body = {"id": device, "gateway_id": "farm", "name": device, "visibility": "public", "sensors": []}
            assert server.call("POST", "/devices", json=body).status_code == 204
        self.add("valve", "lamp", "on")
        self.start()

    def start(self) -> None:
        account = Account("admin", Secret("admin"))
        client = WaziupClient(self.server.url, account, None, Traffic(), lambda: None)
        self.values = SetValues(client, Facts(self.spool_file, "set"), Announced(), 900.0, lambda: self.now)

    def add(self, device: str, actuator: str, value: object) -> None:
        body = {"id": actuator, "actuator_value_type": "string", "value": value}
        assert self.server.call("POST", f"/devices/{device}/actuators", json=body).status_code == 204

    def put(self, value: object, actuator: str = "lamp", device: str = "valve") -> None:
        url = f"{self.server.url}/devices/{device}/actuators/{actuator}/value"  # anybody may
        headers = {"Content-Type": "application/json"}
        answer = requests.put(url, data=json.dumps(value), headers=headers, timeout=PATIENCE_S)
        assert answer.status_code == 204

    def look(self) -> list[Setting]:
        found = self.values.look(DEVICES)
        for setting in found:
            self.values.taken(setting)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with waziup() as server:
        place = Place(server, tmp_path)
        with closing(place.spool_file), closing(place.values):
            yield place


def test_first_sight_is_no_command_and_a_change_is_one(place: Place) -> None:
    assert place.look() == []
    place.put("off")
    assert place.look() == [Setting("valve", "lamp", "off")]
    assert place.look() == []
    place.put({"level": 5})
    assert place.look() == [Setting("valve", "lamp", {"level": 5})]


def test_what_was_set_while_lora_post_was_away_is_found(place: Place) -> None:
    place.look()
    place.put("off")
    place.start()
    assert place.look() == [Setting("valve", "lamp", "off")]
    place.start()
    assert place.look() == []


def test_value_that_was_not_taken_is_found_again(place: Place) -> None:
    place.look()
    place.put("off")
    for _ in range(2):
        assert place.values.look(DEVICES) == [Setting("valve", "lamp", "off")]


@pytest.mark.parametrize("value", [None, "x" * MAX_VALUE])
def test_nothing_and_what_no_frame_holds_are_no_commands(value: object, place: Place) -> None:
    place.look()
    place.put(value)
    assert place.look() == []


def test_actuator_that_is_added_later_is_found_within_a_day(place: Place) -> None:
    place.look()
    place.add("plain", "door", "open")
    place.look()
    place.put("shut", "door", "plain")
    assert place.look() == []
    place.now += ALL_EVERY_S
    assert place.look() == []  # the first sight
    place.put("open", "door", "plain")
    assert place.look() == [Setting("plain", "door", "open")]


def test_server_in_trouble_costs_no_command(place: Place) -> None:
    place.look()
    place.put("off")
    place.server.days.faults.append(Fault("GET .*actuators", 503))
    with pytest.raises(SinkError):
        place.look()
    assert place.look() == [Setting("valve", "lamp", "off")]
