"""Values that are set on Waziup, found by looking at a sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests
from paho.mqtt.publish import single as publish_once

from lora_post.errors import SinkError
from lora_post.net.mqtt_url import Broker
from lora_post.net.traffic import Traffic
from lora_post.secret import Account, Secret
from lora_post.sinks.announced import Announced
from lora_post.sinks.watch import MAX_VALUE, Setting
from lora_post.sinks.waziup.client import WaziupClient
from lora_post.sinks.waziup.set_messages import SetMessages
from lora_post.sinks.waziup.set_values import ALL_EVERY_S, UNTOLD_EVERY_S, SetValues
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from tests.support.broker import mosquitto
from tests.support.command import PATIENCE_S, wait_until
from tests.support.ports import free_port
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

    def start(self, messages: SetMessages | None = None) -> None:
        account = Account("admin", Secret("admin"))
        client = WaziupClient(self.server.url, account, None, Traffic(), lambda: None)
        self.values = SetValues(client, Facts(self.spool_file, "set"), Announced(), 900.0, lambda: self.now, messages)

    def add(self, device: str, actuator: str, value: object) -> None:
        body = {"id": actuator, "actuator_value_type": "string", "value": value}
        assert self.server.call("POST", f"/devices/{device}/actuators", json=body).status_code == 204

    def put(self, value: object, actuator: str = "lamp", device: str = "valve") -> None:
        url = f"{self.server.url}/devices/{device}/actuators/{actuator}/value"  # anybody may
        headers = {"Content-Type": "application/json"}
        answer = requests.put(url, data=json.dumps(value), headers=headers, timeout=PATIENCE_S)
        assert answer.status_code == 204

    def look(self) -> list[Setting]:
        found = list(self.values.look(DEVICES))
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
        assert list(place.values.look(DEVICES)) == [Setting("valve", "lamp", "off")]


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


@contextmanager
def told(place: Place, folder: Path) -> Iterator[tuple[Callable[[str, object], None], Callable[[], None]]]:
    """Have values told by a broker; gives what publishes there, and what ends the broker."""
    port = free_port()
    with mosquitto(folder, port) as process:
        broker = Broker("[waziup]", "127.0.0.1", port, False, "", None, None)
        messages = SetMessages(broker, "lora-post-farm-set", Traffic(), lambda: place.now)
        place.start(messages)

        def publish(topic: str, value: object) -> None:
            publish_once(topic, json.dumps(value), hostname="127.0.0.1", port=port)

        yield publish, process.kill
        messages.close()


def until(place: Place, count: int) -> list[Setting]:
    """What is found, once there is so much."""
    found: list[Setting] = []

    def is_there() -> bool:
        found.extend(place.look())
        return len(found) >= count

    wait_until(is_there, f"not told: {found}")
    return found


def test_broker_tells_at_once_and_an_equal_value_counts(place: Place, tmp_path: Path) -> None:
    with told(place, tmp_path) as (publish, _):
        assert place.look() == []
        for value in ("on", "on"):
            publish("devices/valve/actuators/lamp/value", value)
            assert until(place, 1) == [Setting("valve", "lamp", "on")]
        for topic, strange in (("devices/valve/actuators/lamp/value", None), ("devices/valve/sensors/x/value", 1)):
            publish(topic, strange)
        publish("devices/valve/actuators/new/value", 5)
        assert until(place, 1) == [Setting("valve", "new", 5)]


def test_what_was_set_while_the_broker_was_away_is_found_by_looking(place: Place, tmp_path: Path) -> None:
    with told(place, tmp_path) as (_, kill):
        place.look()
        kill()
        place.put("off")
        wait_until(lambda: not place.values._messages.is_subscribed, "still up")  # type: ignore[union-attr]
        with pytest.raises(SinkError):
            place.look()
        place.now += UNTOLD_EVERY_S
        with pytest.raises(SinkError):
            place.look()
        assert place.look() == [Setting("valve", "lamp", "off")]


def test_connection_that_comes_back_is_followed_by_a_look(place: Place, tmp_path: Path) -> None:
    with told(place, tmp_path):
        place.look()
        place.put("off")
        assert place.look() == []  # the sandbox has no broker
        assert place.values._messages is not None
        place.values._messages.close()
        assert place.look() == [Setting("valve", "lamp", "off")]
