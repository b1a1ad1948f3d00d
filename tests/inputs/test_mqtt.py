from __future__ import annotations

import base64
import datetime
import gc
import ipaddress
import json
import logging
import sqlite3
import subprocess
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lora_post.config import parse_config
from lora_post.config.inputs import InputConfig
from lora_post.errors import ConfigError
from lora_post.formats import FORMATS
from lora_post.inputs import Input, Surroundings, open_input
from lora_post.inputs.mqtt import MAX_MESSAGE, BrokerAccount, MqttInput, client_id
from lora_post.inputs.retained import TakenMessages
from lora_post.metrics import Metrics
from lora_post.model import ClearUplink, Frame, Heard, Noise
from lora_post.net.mqtt_url import MqttAddress, read_broker_url, read_mqtt_url, without_password
from lora_post.secret import Secret
from tests.support.command import started, wait_until
from tests.support.in_process import lora_post
from tests.support.keeping_broker import Broker, broker, publish, publisher
from tests.support.parsers import LAB_1, capture
from tests.support.programs import program

pytestmark = pytest.mark.usefixtures("believed_clock")

UPLINK = json.dumps(
    {
        "time": "2024-05-14T08:15:30.123456Z",
        "deviceInfo": {"devEui": "02aabbccddeeff01"},
        "fCnt": 4,
        "fPort": 2,
        "data": "A2cBEAVnAP8=",
        "rxInfo": [],
    }
).encode()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("broker")) as found:
        yield found


def mqtt_input(
    port: int, topic: str, name: str = "chirpstack", who: str = "", login: BrokerAccount | None = None, **changes: Any
) -> MqttInput:
    address = MqttAddress("127.0.0.1", port, topic, 1, False, "")
    address = MqttAddress(**({field: getattr(address, field) for field in address.__struct_fields__} | changes))
    return MqttInput(
        address,
        login or BrokerAccount(),
        who,
        lambda: FORMATS[name]("gw1", UTC),
        TakenMessages(None, who),
        wait=lambda seconds: None,
    )


def subscribed(found: MqttInput, caplog: pytest.LogCaptureFixture, times: int = 1) -> None:
    """Let it connect and subscribe."""
    caplog.set_level(logging.INFO)
    wait_until(lambda: found.events(0.02) or caplog.text.count(": subscribed") >= times, "not subscribed")


def collect(found: MqttInput, number: int) -> list[Heard]:
    """Events until there are so many, each batch acknowledged."""
    events: list[Heard] = []

    def enough() -> bool:
        events.extend(found.events(0.05))
        found.kept()
        return len(events) >= number

    wait_until(enough, f"only {len(events)} of {number} messages")
    return events


def payloads(events: Sequence[Heard]) -> list[str]:
    return [event.payload.hex() for event in events if isinstance(event, ClearUplink)]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://h/a", MqttAddress("h", 1883, "a", 1, False, "")),
        ("mqtts://me@h/a/b", MqttAddress("h", 8883, "a/b", 1, True, "me")),
        ("mqtt://h:1884/a/+/b/#?qos=0", MqttAddress("h", 1884, "a/+/b/#", 0, False, "")),
        ("mqtt://a%40b@h/x%3Fy%20z", MqttAddress("h", 1883, "x?y z", 1, False, "a@b")),
        ("mqtt://[::1]:1883/v3/+/devices/+/up?qos=1", MqttAddress("::1", 1883, "v3/+/devices/+/up", 1, False, "")),
    ],
)
def test_url_names_broker_and_topic(url: str, address: MqttAddress) -> None:
    assert read_mqtt_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://h",
        "mqtt://h/",
        "mqtt:///a",
        "mqtt://me:se/secret@h/a",
        "mqtt://me:x@secret@h/a",
        "mqtt://h/a?qos=2",
        "mqtt://h/a?q=1",
        "mqtt://h:x/a",
        "mqtt://h:0/a",
        "mqtt://h/a#",
        "mqtt://h/#/a",
        "mqtt://h/a+/b",
        "mqtt://h/%00",
        "mqtt://h/%ff",
        "mqtt://u:secret@h/a",
    ],
)
def test_strange_url_is_a_mistake_that_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigError, match="is not understood; write mqtt://") as caught:
        read_mqtt_url(url)
    assert "s3cret" not in str(caught.value) and "secret" not in without_password(url)


@pytest.mark.parametrize("url", ["mqtt://h", "mqtt://h/", "mqtt://h:1883"])
def test_url_of_a_destination_names_a_broker_alone(url: str) -> None:
    assert read_broker_url("[mqtt] url", url) == MqttAddress("h", 1883, "", 1, False, "")


@pytest.mark.parametrize(
    "url", ["mqtt://h/a", "mqtt://h?qos=1", "h", "mqtt://", "mqtt://h:0", "http://me:secret@h", "mqtt://me:s3cret@h/a"]
)
def test_destination_with_a_topic_or_an_account_in_its_url_is_a_mistake(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^\[mqtt\] url (is|holds a user)") as caught:
        read_broker_url("[mqtt] url", url)
    assert "s3cret" not in str(caught.value)


GATEWAY = '[gateway]\nid = "gw1"\n[[input]]\n'


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('url = "mqtt://me:s3cret@h/a"', "number 1 (mqtt://me@h/a, line 3) url 'mqtt://me@h/a' is not understood"),
        ('url = "mqtt://h/a"\npassword = "s3cret"', "the url names no user"),
        ('url = "mqtt://h/a"\nca_file = "x.pem"', "the connection is not encrypted"),
        ('url = "mqtt://h/a"\ngateways = ["0011223344556677"]', "only gateways (udp"),
        ('url = "stdin:"\npassword = "s3cret"', "only brokers"),
        ('url = "mqtt://me@h/a"\npassword_file = "missing"', "password_file"),
    ],
)
def test_mistake_in_a_broker_is_told_without_its_password(table: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(GATEWAY + table, tmp_path / "x.toml", {})
    assert complaint in str(caught.value) and "s3cret" not in str(caught.value)


def test_password_that_goes_over_the_network_in_clear_is_warned_of(tmp_path: Path) -> None:
    text = GATEWAY + 'url = "mqtt://me@broker.example/a"\npassword_env = "P"'
    config = parse_config(text, tmp_path / "x.toml", {"P": "secret"})
    assert "use mqtts://" in str(config.warnings[0])
    assert config.inputs[0].password == Secret("secret") and "secret" not in repr(config)


def test_topic_may_have_an_at_sign(tmp_path: Path) -> None:
    url = "mqtt://h:1883/v3/ponds@ttn/devices/+/up"
    assert parse_config(GATEWAY + f'url = "{url}"', tmp_path / "x.toml", {}).inputs[0].url == url
    assert read_mqtt_url(url).topic == "v3/ponds@ttn/devices/+/up"


def test_check_says_whether_the_broker_answers(plain: Broker, tmp_path: Path) -> None:
    config = tmp_path / "lora-post.toml"
    for port, verdict in ((plain.port, f"the broker at 127.0.0.1:{plain.port} answers"), (1, "does not answer")):
        config.write_text(GATEWAY + f'url = "mqtt://127.0.0.1:{port}/a"\nformat = "ttn"\n')
        assert verdict in lora_post("check", "-c", config).out


def test_name_at_the_broker_is_the_same_at_each_start() -> None:
    assert client_id("gw1", "mqtt://h/a") == client_id("gw1", "mqtt://h/a") != client_id("gw1", "mqtt://h/b")
    assert len(client_id("gw1", "mqtt://h/a")) == 23


def test_message_is_given_again_until_it_is_kept(plain: Broker, caplog: pytest.LogCaptureFixture) -> None:
    first = mqtt_input(plain.port, "again/#", who="again")
    subscribed(first, caplog)
    publish(plain.port, ("again/up", UPLINK), ("again/join", b'{"deviceInfo":{"devEui":"02aabbccddeeff01"}}'))
    wait_until(lambda: payloads(first.events(0.05)), "no message")
    first._client.socket().close()  # as a killed process leaves it: nothing acknowledged, no good-bye
    second = mqtt_input(plain.port, "again/#", who="again")
    assert payloads(collect(second, 1)) == ["03670110056700ff"]
    second.close()
    third = mqtt_input(plain.port, "again/#", who="again")
    publish(plain.port, ("again/up", UPLINK.replace(b"A2cBEAVnAP8=", b"AQ==")))
    assert payloads(collect(third, 1)) == ["01"]
    third.close()


def test_broker_keeps_messages_while_nobody_is_there(plain: Broker, caplog: pytest.LogCaptureFixture) -> None:
    first = mqtt_input(plain.port, "kept/+", who="kept")
    subscribed(first, caplog)
    first.close()
    publish(plain.port, *(("kept/up", UPLINK) for _ in range(100)))
    again = mqtt_input(plain.port, "kept/+", who="kept")
    assert len(collect(again, 100)) == 100
    again.close()


def test_dry_run_takes_nothing_from_the_real_one(plain: Broker, caplog: pytest.LogCaptureFixture) -> None:
    item = InputConfig(f"mqtt://127.0.0.1:{plain.port}/dry/up", "chirpstack")
    real = open_input(item, Surroundings("gw1", Metrics()))
    dry = open_input(item, Surroundings("gw1", Metrics(), only_listens=True))
    assert isinstance(real, MqttInput) and isinstance(dry, MqttInput)
    subscribed(real, caplog)
    subscribed(dry, caplog, 2)
    publish(plain.port, ("dry/up", UPLINK))
    assert len(collect(dry, 1)) == 1
    assert len(collect(real, 1)) == 1
    dry.close()
    real.close()


def test_any_line_format_can_be_a_message(plain: Broker, caplog: pytest.LogCaptureFixture) -> None:
    rxpk = mqtt_input(plain.port, "fmt/rxpk", "rxpk", who="fmt1")
    lines = mqtt_input(plain.port, "fmt/lines", "lines", who="fmt2")
    lowcost = mqtt_input(plain.port, "fmt/lowcost", "lowcost", who="fmt3")
    for times, found in enumerate((rxpk, lines, lowcost), start=1):
        subscribed(found, caplog, times)
    broken = b"^p1,16,3,0,50,8,-54\n"  # the rest never comes: it must not swallow the next message
    good = b"^p1,16,3,0,3,8,-54\n^r125,5,12,868100\n\xff\xfeabc"
    publish(
        plain.port,
        ("fmt/rxpk", b'{"rxpk":[{"data":"QANcqwEAAAACxT+q1Ckpr7zYNLxj"}]}'),
        ("fmt/lines", LAB_1.hex().encode()),
        ("fmt/lines", b"x" * 300_000),
        ("fmt/lowcost", broken),
        ("fmt/lowcost", good),
    )
    assert [event.phy_payload for event in collect(rxpk, 1) if isinstance(event, Frame)] == [LAB_1]
    one, huge = collect(lines, 2)
    assert isinstance(one, Frame) and one.phy_payload == LAB_1
    assert isinstance(huge, Noise) and "300000 bytes" in huge.detail
    assert [event.phy_payload[4:] for event in collect(lowcost, 2) if isinstance(event, Frame)] == [b"abc"]
    for found in (rxpk, lines, lowcost):
        found.close()


def test_broker_that_is_away_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = Broker(tmp_path)
    found = mqtt_input(away.port, "up", who="away")
    found._monotonic = iter(range(0, 10**6, 100)).__next__  # type: ignore[assignment]
    for _ in range(3):
        assert found.events(0.0) == ()
    assert caplog.text.count("waiting for the broker") == 1
    try:
        away.start()
        subscribed(found, caplog)
        away.forget()
        wait_until(lambda: not found.events(0.05) and caplog.text.count("waiting for the broker") > 1, "not noticed")
        away.start()
        subscribed(found, caplog, 2)
        assert "has not kept the session" in caplog.text
        publish(away.port, ("up", UPLINK))
        assert len(collect(found, 1)) == 1
        found.close()
    finally:
        away.stop()


def test_user_and_password_are_shown_to_the_broker(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(
        [program("mosquitto_passwd"), "-c", "-b", str(passwords), "me", "se cret"], check=True, capture_output=True
    )
    with broker(tmp_path, f"password_file {passwords}", "allow_anonymous false", "user root") as found:
        wrong = mqtt_input(found.port, "up", who="wrong", login=BrokerAccount(Secret("guess")), user="me")
        wait_until(lambda: not wrong.events(0.05) and "it refuses the connection" in caplog.text, "not refused")
        assert "guess" not in caplog.text
        wrong.close()
        right = mqtt_input(found.port, "up", who="right", login=BrokerAccount(Secret("se cret")), user="me")
        subscribed(right, caplog)
        right.close()


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate for an address that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test broker")])
    now = datetime.datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "broker.pem", folder / "broker.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


# The library leaves a socket whose handshake failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_broker_with_tls_must_show_the_right_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = certificate(tmp_path, "127.0.0.1")
    with broker(tmp_path, f"certfile {cert}", f"keyfile {key}", "allow_anonymous true", "user root") as found:
        stranger = mqtt_input(found.port, "up", who="tls1", tls=True)
        wait_until(lambda: not stranger.events(0.05) and "self-signed certificate" in caplog.text, "not refused")
        known = mqtt_input(found.port, "up", who="tls2", login=BrokerAccount(ca_file=cert), tls=True)
        subscribed(known, caplog)
        known.close()
    gc.collect()


def test_certificate_file_of_no_use_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=f"{name}.*PEM"):
            mqtt_input(1, "up", login=BrokerAccount(ca_file=tmp_path / name), tls=True)


def test_topic_is_shown_safely() -> None:
    assert mqtt_input(1, "up\x1b[2J").name.isprintable()


def test_reading_from_a_broker_reaches_the_output(plain: Broker, tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text(
        f'[gateway]\nid = "gw1"\n[[input]]\nurl = "mqtt://127.0.0.1:{plain.port}/v3/ponds%40ttn/devices/+/up"\n'
        'format = "ttn"\n'
        '[[device]]\ndev_eui = "02aabbccddeeff01"\ndecoder = "cayenne-lpp"\n'
    )
    with started("run", "--dry-run", "-c", str(config)) as process:
        assert process.stderr is not None and process.stdout is not None
        while b"subscribed" not in (line := process.stderr.readline()):
            assert line
        publish(plain.port, ("v3/ponds@ttn/devices/x/up", capture("ttn_up.ttn").splitlines()[1]))
        uplink = json.loads(process.stdout.readline())
    assert [reading["value"] for reading in uplink["readings"]] == [27.2, 25.5]


def test_kill_at_any_moment_loses_and_doubles_nothing(plain: Broker, tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text(
        '[gateway]\nid = "gw1"\n[waziup]\nurl = "http://127.0.0.1:1/"\nprovision = "never"\n[spool]\n'
        f'path = "spool.db"\n[[input]]\nurl = "mqtt://127.0.0.1:{plain.port}/killed/up"\nformat = "chirpstack"\n'
        '[[device]]\ndev_eui = "02aabbccddeeff01"\ndecoder = "cayenne-lpp"\n'
    )
    number = 120
    event = json.loads(UPLINK)
    messages = [
        ("killed/up", json.dumps(event | {"fCnt": n, "data": base64.b64encode(bytes((1, 2, 0, n))).decode()}).encode())
        for n in range(number)
    ]

    def queued() -> list[bytes]:
        db = sqlite3.connect(f"file:{tmp_path / 'spool.db'}?mode=ro", uri=True)
        try:
            return [value for (value,) in db.execute("SELECT value FROM reading")]
        finally:
            db.close()

    def run_until(enough: int) -> None:
        with started("run", "-q", "-c", str(config)) as process:
            wait_until(lambda: process.poll() is not None or (tmp_path / "spool.db").exists(), "no spool")
            if not enough:
                wait_until(
                    lambda: plain.knows(client_id("gw1", f"mqtt://127.0.0.1:{plain.port}/killed/up")), "no session"
                )
            wait_until(lambda: len(queued()) >= enough, f"{len(queued())} of {enough}")

    run_until(0)
    publish(plain.port, *messages)
    for enough in (1, 30, 70, number):
        run_until(enough)
    values = queued()
    assert sorted(float(value) for value in values) == [n / 100 for n in range(number)]


def test_long_messages_are_not_held_and_those_behind_arrive(plain: Broker, caplog: pytest.LogCaptureFixture) -> None:
    found = mqtt_input(plain.port, "long/#", who="long")
    subscribed(found, caplog)
    long = b"x" * 20_000_000
    publish(plain.port, ("long/up", UPLINK), *(("long/picture", long) for _ in range(3)), ("long/up", UPLINK))
    tracemalloc.start()
    events = collect(found, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert payloads(events) == ["03670110056700ff"] * 2
    noise = [event for event in events if isinstance(event, Noise)]
    assert [event.size for event in noise] == [len(long)] * 3 and "long/picture" in noise[0].detail
    assert peak < 8 * MAX_MESSAGE
    found.close()
    again = mqtt_input(plain.port, "long/#", who="long")
    publish(plain.port, ("long/up", UPLINK))
    assert len(collect(again, 1)) == 1  # the long ones were acknowledged
    again.close()


@pytest.mark.parametrize("published_first", [True, False])
def test_retained_message_is_taken_once_over_all_starts(
    plain: Broker, caplog: pytest.LogCaptureFixture, tmp_path: Path, published_first: bool
) -> None:
    topic, payload = f"retained/{published_first}", b"011006055c2154432f32322e35"
    item = InputConfig(f"mqtt://127.0.0.1:{plain.port}/{topic}", "lines")
    caplog.set_level(logging.INFO)
    heard: list[Heard] = []
    for start in range(3):
        found = open_input(item, Surroundings("gw1", Metrics(), spool=tmp_path / "spool.db"))
        with publisher(plain.port) as client:
            if published_first and start == 0:
                client.publish(topic, payload, 1, retain=True).wait_for_publish()

            def is_subscribed(found: Input = found, times: int = start + 1) -> bool:
                heard.extend(found.events(0.05) or ())
                return caplog.text.count(": subscribed") >= times

            wait_until(is_subscribed, "not subscribed")
            if not published_first and start == 0:
                client.publish(topic, payload, 1, retain=True).wait_for_publish()

            def is_settled(found: Input = found, start: int = start) -> bool:
                heard.extend(found.events(0.05) or ())
                return len(heard) > 1 or (bool(heard) and caplog.text.count("left out a retained") == start)

            wait_until(is_settled, "it does not come")
        found.kept()
        found.close()
    assert len(heard) == 1
