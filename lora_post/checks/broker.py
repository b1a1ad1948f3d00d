"""Checks of the brokers that readings go to: a connection is made and ended, nothing is published."""

from __future__ import annotations

from lora_post.errors import Unavailable
from lora_post.finding import Finding, fail, ok
from lora_post.net.mqtt_url import Broker


def check_broker(subject: str, url_key: str, broker: Broker, gateway_id: str) -> Finding:
    """Name, connection, TLS and account. url_key: where the address is configured."""
    from lora_post.sinks.mqtt_connection import MqttConnection

    try:
        # Another id than `lora-post run` has: a broker ends the older one of two with the same.
        MqttConnection(broker, f"lora-post-check-{gateway_id}", ping_every_s=0).close()
    except Unavailable as error:
        return fail(subject, error.what, error.fix or f"is it up, is {url_key} right, does a firewall allow it?")
    who = f"as {broker.username}" if broker.username else "without an account"
    tls = ", and its certificate is good" if broker.tls else ""
    return ok(subject, f"the broker at {broker.host} port {broker.port} takes us {who}{tls}")
