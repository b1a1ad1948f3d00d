"""Checks of the broker that [mqtt] names: a connection is made and ended, nothing is published."""

from __future__ import annotations

from lora_post.checks.finding import Finding, fail, ok
from lora_post.config_mqtt import MqttConfig
from lora_post.errors import Unavailable

SUBJECT = "mqtt"


def check_mqtt(config: MqttConfig, gateway_id: str) -> Finding:
    """Name, connection, TLS and account."""
    from lora_post.sinks.mqtt_connection import MqttConnection

    try:
        # Another id than `lora-post run` has: a broker ends the older one of two with the same.
        MqttConnection(config.broker, f"lora-post-check-{gateway_id}", ping_every_s=0).close()
    except Unavailable as error:
        text, _, fix = str(error).partition("; ")
        return fail(SUBJECT, text, fix or "is it up, is [mqtt] url right, does a firewall allow it?")
    who = f"as {config.broker.username}" if config.broker.username else "without an account"
    return ok(SUBJECT, f"{config.url} takes us {who}{', and its certificate is good' if config.broker.tls else ''}")
