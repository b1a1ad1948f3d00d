"""What a reading costs over HTTP and over MQTT: bytes of TCP payload both ways, and as a network operator counts them.

    python -m tests.bench.bench_waziup_mqtt

Uplinks of two readings, one at a time; logins, looks and the platform's answers included, TLS not. The token is as long
as the platform's, 1.3 kB. The account that publishes is an administrator of the sandbox with a short name.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from lora_post.model import Reading
from lora_post.sandbox.endpoint import Settings
from lora_post.secret import Account, Secret
from tests.bench.bench_upload import LONG_NAME
from tests.support.broker import mosquitto
from tests.support.build import NOON_US, report
from tests.support.ports import free_port
from tests.support.upload_site import Site, work
from tests.support.waziup import CuttingProxy, Waziup, waziup
from tests.support.waziup_mqtt import MqttSite, platform

UPLINKS = 200


def main() -> None:
    users = {"admin": "admin", LONG_NAME: "long"}
    with waziup(Settings(users=users)) as server:
        _measure(server, "HTTP, connection open", Site, 0.0)
        _measure(server, "MQTT, connection open", MqttSite, 0.0)
        _measure(server, "MQTT, a connection for each uplink", MqttSite, 600.0)


def _measure(server: Waziup, title: str, kind: type[Site], apart_s: float) -> None:
    server.call("DELETE", "/devices/pond-7")
    port = free_port()
    http = CuttingProxy(server.url)
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder), port), platform(server.url, port) as mqtt:
        wire = CuttingProxy(f"mqtt://127.0.0.1:{mqtt.port}")
        site = kind(Path(folder), http.url)
        if isinstance(site, MqttSite):
            site.mqtt_port, site.account = int(wire.url.rpartition(":")[2]), "admin"
        uploader = site.uploader(Account(LONG_NAME, Secret("long")))
        for index in range(2):
            _put(site, index)
            work(uploader)
        payload, counted = http.bytes + wire.bytes, site.clients[0]._http.traffic.bytes
        for index in range(2, 2 + UPLINKS):
            if isinstance(site, MqttSite):
                site.now += apart_s
            _put(site, index)
            work(uploader)
        readings = UPLINKS * 2
        payload, counted = http.bytes + wire.bytes - payload, site.clients[0]._http.traffic.bytes - counted
        sys.stdout.write(
            f"{title}: {payload / readings:.0f} bytes a reading, {counted / readings:.0f} with packet headers\n"
        )
        site.close()
        wire.close()
    http.close()


def _put(site: Site, index: int) -> None:
    readings = (Reading("temperature_1", index / 10, "°C", 1), Reading("voltage_2", 3.3, "V"))
    site.put(report(*readings, time_us=NOON_US + index * 600_123_456))


if __name__ == "__main__":
    main()
