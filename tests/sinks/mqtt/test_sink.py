"""The sink of [mqtt] against a real mosquitto: down, restarted, cut off before its acknowledgement."""

from __future__ import annotations

import datetime
import ipaddress
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import OutcomeUnknown, Unavailable
from lora_post.secret import Secret
from lora_post.sinks.mqtt.sink import MqttSink, topic_of
from lora_post.spool.spool_file import SpoolFile
from tests.support.broker import Listener, listener, mosquitto
from tests.support.command import PATIENCE_S, counting_packet, run, started, wait_until, write_site
from tests.support.mqtt_sink import batch, settings, site
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.relay import Relay
from tests.support.waziup import CuttingProxy

pytestmark = pytest.mark.usefixtures("believed_clock")


class Bench(NamedTuple):
    """A broker, who listens there, and a sink."""

    port: int
    heard: Listener
    sink: MqttSink


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    port = free_port()
    with mosquitto(tmp_path, port), listener(port) as heard:
        sink = MqttSink(settings(port), site("gw1"))
        yield Bench(port, heard, sink)
        sink.close()


def test_reading_is_a_message_on_the_sensor_s_topic(bench: Bench) -> None:
    bench.sink.send(batch(27.2, 27.5))
    wait_until(lambda: len(bench.heard.messages) == 2, "nothing heard")
    first = bench.heard.messages[0]
    assert first.topic == "lora/pond-7/temperature_3"
    assert (first.qos, first.retain) == (1, False)
    assert json.loads(first.payload) == {
        "device": "pond-7",
        "sensor": "temperature_3",
        "value": 27.2,
        "unit": "°C",
        "quantity": "Temperature",
        "time": "2026-03-01T12:00:00Z",
    }
    assert bench.heard.values() == [27.2, 27.5]


def test_whole_batch_goes_over_one_connection(bench: Bench) -> None:
    for start in (0, 100):
        bench.sink.send(batch(*range(start, start + 100), start=start))
    wait_until(lambda: len(bench.heard.messages) == 200, "not all heard")
    assert bench.heard.values() == list(range(200))


def test_retained_message_reaches_who_comes_later(bench: Bench) -> None:
    sink = MqttSink(settings(bench.port, retain=True, topic="all/{gateway}"), site("gw2"))
    sink.send(batch(1, 2))
    sink.close()
    with listener(bench.port) as late:
        wait_until(lambda: late.messages, "nothing was retained")
        assert [(message.topic, message.retain) for message in late.messages] == [("all/gw2", True)]
        assert late.values() == [2]


@given(st.text(), st.text())
def test_no_name_chooses_another_level_or_a_wildcard(device: str, sensor: str) -> None:
    topic = topic_of("lora/{device}/{sensor}", "gw1", device, sensor)
    assert topic.count("/") == 2
    assert not set(topic) & set("+#\0\n")
    assert all(topic.split("/"))


def test_broker_that_is_down_is_unavailable() -> None:
    sink = MqttSink(settings(free_port()), site("gw1"))
    with pytest.raises(Unavailable, match="Connection refused"):
        sink.send(batch(1))
    with pytest.raises(Unavailable, match="no connection to"):
        MqttSink(settings(1883, host="x" * 70 + ".invalid"), site("gw1")).send(batch(1))


def test_message_whose_acknowledgement_is_lost_is_in_doubt_and_comes_again_with_its_time(bench: Bench) -> None:
    proxy = CuttingProxy(f"mqtt://127.0.0.1:{bench.port}")
    sink = MqttSink(settings(int(proxy.url.rpartition(":")[2])), site("gw1"))
    try:
        sink.send(batch(1))
        proxy.answers_to_take = 1
        with pytest.raises(OutcomeUnknown, match="1 of 1 messages were not acknowledged"):
            sink.send(batch(2, start=1))
        assert sink.stored(batch(2, start=1), 1) == []
        sink.send(batch(2, start=1))
        wait_until(lambda: len(bench.heard.messages) >= 3, "not heard again")
        assert bench.heard.values() == [1, 2, 2]
        times = [json.loads(message.payload)["time"] for message in bench.heard.messages]
        assert times[1] == times[2]
        assert len(sink.stored(batch(2, start=1), 1)) == 1
    finally:
        sink.close()
        proxy.close()


def test_wrong_password_is_said_and_left_alone_for_a_while(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "passwords").write_text("")
    subprocess.run([program("mosquitto_passwd"), "-b", str(tmp_path / "passwords"), "me", "good"], check=True)
    with mosquitto(tmp_path, port, f"allow_anonymous false\npassword_file {tmp_path}/passwords\n"):
        good = MqttSink(settings(port, username="me", password=Secret("good")), site("gw1"))
        good.send(batch(1))
        good.close()
        for username, password in (("me", Secret("5ec2e7")), ("", None)):
            with pytest.raises(Unavailable, match="refuses the connection: Not authorized") as refused:
                MqttSink(settings(port, username=username, password=password), site("gw1")).send(batch(1))
            assert refused.value.retry_after_s == 300
            assert "5ec2e7" not in str(refused.value)


def certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "broker.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "broker.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_certificate_is_checked_against_the_authority_that_is_named(tmp_path: Path) -> None:
    certificate(tmp_path)
    port = free_port()
    tls = f"allow_anonymous true\ncertfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
    with mosquitto(tmp_path, port, tls):
        good = MqttSink(settings(port, tls=True, ca_file=tmp_path / "broker.pem"), site("gw1"))
        good.send(batch(1))
        good.close()
        with pytest.raises(Unavailable, match="certificate"):
            MqttSink(settings(port, tls=True), site("gw1")).send(batch(1))
        with pytest.raises(Unavailable, match="with or without TLS"):
            MqttSink(settings(port), site("gw1")).send(batch(1))


def test_broker_that_is_restarted_gets_everything_once_and_the_others_do_not_wait(tmp_path: Path) -> None:
    port = free_port()
    relay = Relay(port)  # nothing is sent before somebody listens
    config = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    text = config.read_text()
    config.write_text(
        text.replace(
            text[text.index("[waziup]") : text.index("[spool]")], f'[mqtt]\nurl = "mqtt://127.0.0.1:{relay.port}"\n'
        )
        + '[json_lines]\npath = "readings.jsonl"\n'
    )
    lines = tmp_path / "readings.jsonl"
    with closing(relay), started("run", "-c", str(config)) as process:
        relay.cut()
        assert process.stdin is not None
        process.stdin.write(counting_packet(0))
        wait_until(lambda: lines.exists() and lines.read_bytes().count(b"\n") == 2, "the file waits for the broker")
        with mosquitto(tmp_path, port), listener(port) as heard:
            relay.mend()
            wait_until(lambda: len(heard.messages) == 2, "nothing after the broker came up")
            with closing(SpoolFile(tmp_path / "spool.db")) as spool:
                wait_until(lambda: not spool.rows("SELECT 1 FROM reading"), "what was acknowledged is not settled")
            relay.cut()
        process.stdin.write(counting_packet(1))
        wait_until(lambda: lines.read_bytes().count(b"\n") == 4, "the file waits for the broker")
        with mosquitto(tmp_path, port), listener(port) as heard:
            relay.mend()
            process.stdin.close()
            assert process.wait(PATIENCE_S) == 0, process.stderr and process.stderr.read()
            wait_until(lambda: len(heard.messages) == 2, "nothing after the broker came back")
            assert {message.topic for message in heard.messages} == {
                "lora/counter-1/analog_in_1",
                "lora/counter-1/temperature_2",
            }


def test_check_says_whether_the_broker_takes_us(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "lora-post.toml"
    config.write_text(
        f'[gateway]\nid = "gw1"\n[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n[spool]\npath = "{tmp_path}/spool.db"\n'
    )

    def verdict() -> str:
        out = run("check", "-c", str(config)).stdout.decode()
        return next(line for line in out.splitlines() if line[8:].strip().startswith("mqtt"))

    assert verdict().startswith("FAIL")
    with mosquitto(tmp_path, port):
        assert verdict().startswith("ok")
        assert "accepts the connection without an account" in verdict()
