"""Downlinks for devices of a network server: given to it over a real broker, and what it says becomes their fate."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from lora_post.clocks.gateway import Times
from lora_post.clocks.scale import utc_text
from lora_post.command import Command, Fate, Moment
from lora_post.config import parse_config
from lora_post.downlink.commands import Commands
from lora_post.downlink.through_servers import NOT_HEARD, ThroughServers
from lora_post.formats import FORMATS
from lora_post.inputs.mqtt import BrokerAccount
from lora_post.inputs.mqtt_servers import MAX_DEVICES, MqttQueues, MqttServer
from lora_post.inputs.retained import TakenMessages
from lora_post.metrics import Metrics
from lora_post.model import Device, Link
from lora_post.net.mqtt_url import MqttAddress
from lora_post.run.pipeline import Pipeline
from lora_post.spool import downlinks
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import parse_duration
from lora_post.times import StampUs
from lora_post.uplink.model import Report
from tests.support.build import NOON_US
from tests.support.command import wait_until
from tests.support.in_process import lora_post
from tests.support.keeping_broker import Broker, broker, publisher

pytestmark = pytest.mark.usefixtures("believed_clock")

DEV_EUI = 0x02AABBCCDDEEFF01
EUI = f"{DEV_EUI:016x}"
POND = Device("pond-7", "Pond", Link.SERVER, DEV_EUI, "cayenne-lpp")
CHIRPSTACK, TTN = f"application/1/device/{EUI}", "v3/ponds@ttn/devices/pond-7"
UPLINKS: dict[str, tuple[str, dict[str, Any]]] = {
    "chirpstack": (
        f"{CHIRPSTACK}/event/up",
        {
            "time": "2024-05-14T08:15:30Z",
            "deviceInfo": {"devEui": EUI},
            "fPort": 2,
            "data": "A2cBEAVnAP8=",
            "rxInfo": [],
        },
    ),
    "ttn": (
        f"{TTN}/up",
        {
            "end_device_ids": {"dev_eui": EUI.upper()},
            "received_at": "2024-05-14T08:15:30Z",
            "uplink_message": {"f_port": 2, "frm_payload": "A2cBEAVnAP8=", "received_at": "2024-05-14T08:15:30Z"},
        },
    ),
}
FILTERS = {"chirpstack": "application/+/device/+/event/up", "ttn": "v3/+/devices/+/up"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("broker")) as found:
        yield found


class Site:
    """An input at a broker, a pipeline, and the network server at the other side of the broker."""

    def __init__(self, folder: Path, port: int, server: str, client: mqtt.Client) -> None:
        self.server, self.path = server, folder / "spool.db"
        self.store = SpoolFile(self.path)
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.wait_s = 0.0
        address = MqttAddress("127.0.0.1", port, FILTERS[server], 1, False, "")
        parser = partial(FORMATS[server], "gw1", UTC)
        self.input = MqttServer(
            address, BrokerAccount(), f"site{id(self)}", parser, TakenMessages(None, ""), server=server
        )
        metrics = Metrics()
        commands = Commands(lambda: Moment(NOON_US, "boot", round(self.wait_s * 1e6)), metrics, lambda: NOON_US)  # type: ignore[arg-type, return-value]
        through = ThroughServers(commands, lambda: [self.input.server_queue])
        ledger = SpoolLedger(self.store, [POND], QueueWriter(self.store, ["waziup"], 1 << 30))
        pipeline = Pipeline(
            ledger, lambda uplink: Report(uplink, ()), metrics, lambda outcome: None, through_servers=through
        )
        self.pipeline = pipeline.taking(Times.PIPED)
        self.client = client
        self.client.on_message = lambda client, userdata, message: self.got.append(
            (message.topic, json.loads(message.payload))
        )
        self.client.subscribe([("application/+/device/+/command/down", 1), ("v3/+/devices/+/down/push", 1)])

    def turn(self) -> None:
        self.pipeline.handle(self.input.events(0.02))
        self.input.kept()
        self.pipeline.tend()

    def until(self, done: Callable[[], object], why: str) -> None:
        def turn() -> object:
            self.turn()
            return done()

        wait_until(turn, why)

    def say(self, topic: str, message: dict[str, Any]) -> None:
        self.client.publish(topic, json.dumps(message), qos=1).wait_for_publish(5)

    def hear_uplink(self) -> None:
        self.until(self.input._client.is_connected, "not connected")
        self.turn()
        self.say(*UPLINKS[self.server])
        self.until(lambda: self.input.server_queue.knows(DEV_EUI), "the uplink has not come")

    def queue(self, **changes: Any) -> int:
        fields: dict[str, Any] = {"device": "pond-7", "fport": 7, "payload": b"on", "made": Moment(NOON_US, "boot", 0)}
        with closing(SpoolFile(self.path)) as other, other.transaction() as db:
            return downlinks.add(db, Command(**(fields | changes)), Moment(NOON_US, "boot", 0)).id

    def command(self, number: int) -> Command:
        found = downlinks.find(self.store, number)
        assert found
        return found

    def given(self) -> dict[str, Any]:
        """What the server was given next."""
        self.until(lambda: self.got, "nothing was given")
        topic, message = self.got.pop(0)
        assert topic == {"chirpstack": f"{CHIRPSTACK}/command/down", "ttn": f"{TTN}/down/push"}[self.server]
        return message

    def fate(self, number: int, fate: Fate) -> str:
        self.until(lambda: self.command(number).fate is fate, f"it is not {fate}")
        return self.command(number).steps[-1].text


@pytest.fixture
def open_site(tmp_path: Path, plain: Broker) -> Iterator[Callable[[str], Site]]:
    sites: list[Site] = []

    def open_(server: str) -> Site:
        sites.append(Site(tmp_path, plain.port, server, client))
        return sites[-1]

    with publisher(plain.port) as client:
        yield open_
    for site in sites:
        site.input.close()
        site.store.close()


def test_chirpstack_is_given_a_downlink_once_the_device_was_heard_and_tells_what_became_of_it(
    open_site: Callable[[str], Site],
) -> None:
    site = open_site("chirpstack")
    number = site.queue(is_confirmed=True)
    site.until(lambda: site.command(number).steps, "no step")
    assert site.command(number).steps[-1].text == f"not sent: {NOT_HEARD}"
    assert site.got == []
    site.hear_uplink()
    message = site.given()
    token = message.pop("id")
    assert message == {"devEui": EUI, "confirmed": True, "fPort": 7, "data": base64.b64encode(b"on").decode()}
    about = {"deviceInfo": {"devEui": EUI}, "queueItemId": token}
    site.say(f"{CHIRPSTACK}/event/txack", about | {"fCntDown": 3})
    site.until(lambda: site.command(number).fate is Fate.SENT, "not sent")
    site.say(f"{CHIRPSTACK}/event/ack", about | {"acknowledged": True})
    site.fate(number, Fate.ACKNOWLEDGED)
    assert site.got == []


def test_chirpstack_says_that_it_was_not_acknowledged_and_that_it_refuses(open_site: Callable[[str], Site]) -> None:
    site = open_site("chirpstack")
    site.hear_uplink()
    lost, long = site.queue(is_confirmed=True), site.queue(payload=bytes(200))
    tokens = [site.given()["id"], site.given()["id"]]
    site.say(f"{CHIRPSTACK}/event/ack", {"deviceInfo": {"devEui": EUI}, "queueItemId": tokens[0]})
    assert site.fate(lost, Fate.NOT_ACKNOWLEDGED).startswith("the network server says so")
    log = {"level": "ERROR", "code": "DOWNLINK_PAYLOAD_SIZE", "description": "too\x1b[2J long"}
    site.say(f"{CHIRPSTACK}/event/log", log | {"deviceInfo": {"devEui": EUI}, "context": {"queue_item_id": tokens[1]}})
    assert site.fate(long, Fate.REFUSED) == (r"the network server refuses it: DOWNLINK_PAYLOAD_SIZE: too\x1b[2J long")


def test_chirpstack_is_told_when_a_downlink_expires_and_tells_that_it_did(open_site: Callable[[str], Site]) -> None:
    site = open_site("chirpstack")
    site.hear_uplink()
    site.wait_s = 60.0
    number = site.queue(life_s=600.0)
    message = site.given()
    assert message["expiresAt"] == utc_text(StampUs(NOON_US + 540_000_000))
    log = {"level": "ERROR", "code": "EXPIRED", "description": "Device queue-item discarded because it has expired"}
    context = {"queue_item_id": message["id"]}
    site.say(f"{CHIRPSTACK}/event/log", log | {"deviceInfo": {"devEui": EUI}, "context": context})
    assert site.fate(number, Fate.EXPIRED) == "expired in the queue of the network server"


def test_chirpstack_is_told_no_end_that_its_calendar_does_not_have(open_site: Callable[[str], Site]) -> None:
    site = open_site("chirpstack")
    site.hear_uplink()
    site.queue(life_s=parse_duration("999999999d"))
    assert "expiresAt" not in site.given()


def test_the_things_stack_is_given_a_downlink_and_tells_what_became_of_it(open_site: Callable[[str], Site]) -> None:
    site = open_site("ttn")
    site.hear_uplink()
    number, refused = site.queue(is_confirmed=True), site.queue(payload=b"")
    (one,), (other,) = site.given()["downlinks"], site.given()["downlinks"]
    ids = one.pop("correlation_ids")
    data = base64.b64encode(b"on").decode()
    assert one == {"f_port": 7, "frm_payload": data, "confirmed": True, "priority": "NORMAL"}
    device = {"end_device_ids": {"dev_eui": EUI.upper()}}
    site.say(f"{TTN}/down/queued", device | {"downlink_queued": {"correlation_ids": ids}})
    site.until(lambda: site.command(number).steps[-1].text == "queued there", "not queued")
    site.say(f"{TTN}/down/nack", device | {"downlink_nack": {"correlation_ids": ids}})
    site.until(lambda: "sends it again" in site.command(number).steps[-1].text, "no nack")
    site.say(f"{TTN}/down/sent", device | {"downlink_sent": {"correlation_ids": ids}})
    site.say(f"{TTN}/down/ack", device | {"downlink_ack": {}, "correlation_ids": ["as:x", *ids]})
    site.fate(number, Fate.ACKNOWLEDGED)
    error = {"message_format": "application payload is too long"}
    failed = {"downlink": {"correlation_ids": other["correlation_ids"]}, "error": error}
    site.say(f"{TTN}/down/failed", device | {"downlink_failed": failed})
    assert site.fate(refused, Fate.REFUSED).endswith("application payload is too long")


def test_what_other_devices_or_others_downlinks_are_told_of_changes_nothing(open_site: Callable[[str], Site]) -> None:
    site = open_site("chirpstack")
    site.hear_uplink()
    number = site.queue(is_confirmed=True)
    token = site.given()["id"]
    other = {"deviceInfo": {"devEui": "02aabbccddeeff02"}, "queueItemId": token, "acknowledged": True}
    site.say(f"{CHIRPSTACK}/event/ack", other)
    site.say(
        f"{CHIRPSTACK}/event/ack", {"deviceInfo": {"devEui": EUI}, "queueItemId": token[:-1], "acknowledged": True}
    )
    site.say(f"{CHIRPSTACK}/event/ack", {"deviceInfo": [EUI], "queueItemId": {"a": token}})
    site.client.publish(f"{CHIRPSTACK}/event/log", b"\xff{" + token.encode(), qos=1).wait_for_publish(5)
    site.say(f"{CHIRPSTACK}/event/txack", {"deviceInfo": {"devEui": EUI}, "queueItemId": token})
    site.fate(number, Fate.SENT)


def test_who_publishes_on_another_topic_does_not_divert_downlinks(
    open_site: Callable[[str], Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = open_site("chirpstack")
    site.hear_uplink()
    other = f"application/666/device/{EUI}/event/up"
    for day in (1, 2):
        message = UPLINKS["chirpstack"][1] | {"time": f"2024-06-0{day}T08:15:30Z", "fCnt": day}
        site.say(other, message)
        site.until(lambda: "come on" in caplog.text, "not told")
    site.queue()
    site.given()  # on the first one's topic
    (line,) = [record.getMessage() for record in caplog.records if "come on" in record.getMessage()]
    assert other in line and f"{CHIRPSTACK}/command/down" in line


def test_made_up_devices_take_no_place_from_one_that_was_heard() -> None:
    queues = MqttQueues("chirpstack")
    queues.is_connected = True
    queues.heard(DEV_EUI, f"{CHIRPSTACK}/event/up")
    for number in range(MAX_DEVICES + 10):
        queues.heard(number, "application/1/device/x/event/up")
    assert queues.knows(DEV_EUI) and not queues.knows(MAX_DEVICES + 5)


@pytest.mark.parametrize(("is_confirmed", "is_queued"), [(False, False), (True, False), (True, True)])
def test_server_that_tells_nothing_leaves_a_command_with_a_fate_and_a_reason(
    is_confirmed: bool, is_queued: bool, open_site: Callable[[str], Site]
) -> None:
    site = open_site("ttn")
    site.hear_uplink()
    number = site.queue(is_confirmed=is_confirmed, life_s=60.0)
    (one,) = site.given()["downlinks"]
    if is_queued:
        queued = {"end_device_ids": {"dev_eui": EUI}, "downlink_queued": one}
        site.say(f"{TTN}/down/queued", queued)
        site.until(lambda: site.command(number).steps[-1].text == "queued there", "not queued")
    site.wait_s = 61.0
    why = "did not say in time that it was sent" if is_queued else "has told nothing of it; is the device still there"
    assert why in site.fate(number, Fate.EXPIRED)


def test_newer_value_does_not_take_back_what_the_server_has(open_site: Callable[[str], Site]) -> None:
    site = open_site("chirpstack")
    site.hear_uplink()
    older = site.queue(actuator="pump", value=True)
    token = site.given()["id"]
    newer = site.queue(actuator="pump", value=False)
    site.given()
    assert site.command(older).fate is site.command(newer).fate is Fate.QUEUED
    site.say(f"{CHIRPSTACK}/event/txack", {"deviceInfo": {"devEui": EUI}, "queueItemId": token})
    site.fate(older, Fate.SENT)


CONFIG = """
[gateway]
id = "gw1"
[json_lines]
path = "out"
[spool]
path = "spool.db"
[[input]]
url = "{url}"
format = "chirpstack"
{more}
[[device]]
id = "pond-7"
dev_eui = "02aabbccddeeff01"
decoder = "cayenne-lpp"
"""


def test_downlink_send_takes_devices_of_a_network_server_that_can_be_given_something(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    send = ["downlink", "send", "pond-7", "--port", "7", "--payload", "01", "-c", str(path)]
    path.write_text(CONFIG.format(url="mqtt://127.0.0.1/application/+/device/+/event/up", more=""))
    SpoolFile(tmp_path / "spool.db").close()
    assert "queued" in lora_post(*send).out
    assert parse_config(path.read_text(), path, {}).gives_to_servers
    path.write_text(CONFIG.format(url="file:uplinks.jsonl", more=""))
    refused = lora_post(*send)
    assert refused.code == 2 and "behind a network server" in refused.err
    silent = CONFIG.format(url="mqtt://127.0.0.1/application/+/device/+/event/up", more="transmit = false")
    assert not parse_config(silent, path, {}).gives_to_servers
