"""The tables of the configuration file, key by key, with their defaults; those of devices in
device_tables.py, those of destinations beside their sinks.

What each table and key is for stands in the docstring of its class, `key: meaning`; docs/configuration.md is made from
it by `python -m tests.docs`. A secret `KEY` is described once, for `KEY_file` and `KEY_env` too.
"""

from __future__ import annotations

from msgspec import Struct

from lora_post.config.device_tables import DecoderRuleTable, DeviceTable, Visibility
from lora_post.sinks import SINKS
from lora_post.spool.lanes import WhenFull


class GatewayTable(Struct, frozen=True, forbid_unknown_fields=True):
    """This gateway, as it is known on Waziup.

    id: Its id on Waziup. 1 to 128 letters, digits, `_`, `-`, `.`, with at least one letter: Waziup does not list the
        devices of a gateway whose id looks like a number.
    name: Default: the id.
    visibility: `"private"`: only your account sees the data. `"public"`: anybody may read and write it. Default of the
        devices, too.
    location: Where it is: `[latitude, longitude]` in degrees, as `[48.1, 11.5]`. Not the devices' default.
    """

    id: str
    name: str = ""
    visibility: Visibility = "private"
    location: list[int | float] = []


class SpoolTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The queue on disk. See [delivery](delivery.md).

    path: The file (SQLite). Beside it are others that end in `-wal`, `-shm`, `-hang`, and in a destination's name.
    max_mb: What the file may hold, in MiB; 1 or more. A reading takes 20 to 30 bytes for each destination.
    when_full: Which readings the sensor with the longest queue gives up.
    keep_strangers: Keep the last frames of [strangers](devices.md#strangers), to try keys on them; 100 kB at most.
    """

    path: str = "/var/lib/lora-post/spool.db"
    max_mb: int = 256
    when_full: WhenFull = "drop-oldest"
    keep_strangers: bool = True


class UploadTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What sending to Waziup Cloud may cost. See [sending](upload.md).

    schedule: When to send, as `"22:00-06:00"`, in the gateway's time zone. Default: always.
    max_bytes_per_day: As a network operator counts them; 65536 or more, 0 for no limit.
    hold: How long readings are collected to share a request: `"90s"`, `"10min"`, at most a day.
    """

    schedule: list[str] = []
    max_bytes_per_day: int = 0
    hold: str = "0s"


class StatusTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The [status page](status-page.md), `/metrics`, `/healthz` and `/readyz`: only with this table or `--status`.

    listen: Address and port. All but this machine's loopback address need a token.
    token: What a browser or program has to show, 16 characters or more.
    sensor_values: `/metrics` has the latest value of each sensor, too.
    edit: Keys can be tried and devices added on the page, with its token; never without one.
    """

    listen: str = "127.0.0.1:8080"
    sensor_values: bool = False
    edit: bool = True
    token: str = ""
    token_file: str = ""
    token_env: str = ""


class AlertsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What is told once when it begins, and once when it is over. See [status page](status-page.md#alerts).

    no_frame: No input gave a frame for so long: `"30min"`, `"6h"`, `"2d"`; `"never"`: no such alert.
    no_upload: Readings wait, and a destination took none for so long; or `"never"`.
    silent: A device is silent after four times its usual distance, at least an hour, at most this; or `"never"`.
    battery_percent: A battery is below this; 0: no such alert.
    battery_volts: A battery is below this; 0: no such alert.
    webhook: An `http(s)://` address that gets alerts as JSON.
    webhook_token: Sent to it as `Authorization: Bearer`.
    email: Who gets alerts by mail; needs `smtp`.
    email_from: The sender. Default: the address in `email`.
    smtp: The mail server: `smtps://USER@HOST` (port 465), or `smtp://USER@HOST` (port 587, with STARTTLS unless it is
        on this machine). An `@` in the user's name is written `%40`.
    smtp_password: The password of the user in `smtp`.
    """

    no_frame: str = "3h"
    no_upload: str = "1d"
    silent: str = "1d"
    battery_percent: int | float = 15
    battery_volts: int | float = 2.5
    webhook: str = ""
    webhook_token: str = ""
    webhook_token_file: str = ""
    webhook_token_env: str = ""
    email: str = ""
    email_from: str = ""
    smtp: str = ""
    smtp_password: str = ""
    smtp_password_file: str = ""
    smtp_password_env: str = ""


class DecodersTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Decoders of your own. See [decoders](decoders.md).

    folder: A folder with one file each; a file there replaces a shipped decoder of the same name.
    """

    folder: str = ""


class NetworkTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Answer devices, which join here: see [joining](devices.md#joining-otaa). Without it lora-post only listens.

    region: The channel plan: `EU868`, `EU433`, `US915`, `AU915`, `AS923-1` to `AS923-4`, `IN865`, `KR920`, `RU864` or
        `CN470`. The packet forwarder must be set up for the same.
    net_id: 6 hex digits, of type 0. Keep it: the keys of a join follow from it.
    rx_delay_s: How long after an uplink a device that joined listens for an answer, 1 to 15.
    """

    region: str
    net_id: str = "000000"
    rx_delay_s: int = 5


class FleetTable(Struct, frozen=True, forbid_unknown_fields=True):
    """This lora-post is a part of a [fleet](fleet.md): many gateways, shared devices. Needs `lora-post[fleet]`.

    servers: Those of the hub, `tls://HOST:4222`; `nats://` is not encrypted, and for trials. nats-server 2.12 or later.
    role: `"gateway"`: hears frames and passes them on. `"worker"`: accepts and decodes them. `"uploader"`: sends the
        readings to the destinations. A list for several: `["worker", "uploader"]`.
    nkey: The seed (`SU…`) by which the hub knows this one. Default: the hub asks for none.
    ca_file: The authority (PEM) that signed the servers' certificates. Default: those of this system.
    replicas: On how many servers everything is kept: 3, or 1 for a trial.
    """

    servers: list[str]
    role: str | list[str]
    nkey: str = ""
    nkey_file: str = ""
    nkey_env: str = ""
    ca_file: str = ""
    replicas: int = 3


class InputTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where frames come from, once for each input. Without any: stdin. See [inputs](README.md#inputs).

    url: `stdin:`, `file:PATH` (from the current folder), `serial:///dev/ttyUSB0?baud=38400` (the default speed),
        `udp://HOST:PORT` for packet forwarders, `station://HOST:PORT` for LoRa Basics Stations (needs `[network]`),
        `mqtt://USER@HOST/TOPIC` or `mqtts://…` for a broker.
    format: What the bytes are: `lowcost`, `rxpk`, `lines`, `rn2483`, `rak`, `reyax`, `pcap`, `chirpstack`, `ttn`,
        `pkt_logger`, `station`, `gateway` (with `mqtt://`: gateways with ChirpStack's MQTT forwarder or gateway
        bridge), `capture`, or `auto`: what the first frame shows. With `udp://` always `rxpk`, with `station://` always
        `station`.
    setup: What a serial module is told whenever it starts: `"auto"`, or a list of commands. Default: nothing.
    address: For bare payloads without a header (`rn2483`, `rak`, `lines`, `rxpk`, `lowcost`): the `address` of the one
        device that sends them. lora-post cannot verify that.
    gateways: With `udp://` and `station://`: EUIs of the gateways to listen to. Default: all.
    transmit: With `udp://`, `station://` or format `gateway`, and `[network]`: `false` sends nothing through these
        gateways. Default: `true`.
    downlink_at: With `udp://` and `[network]`: `"window"` for forwarders that send at once what they are given, as
        WaziGate's for one channel does. Default: as soon as it is decided.
    downlink_dir: With format `lowcost` and `[network]`: the folder `downlink` of the radio program, through which
        devices are answered. Default: they are not.
    cert_file: With `station://`: the certificate (PEM) that stations see; the connection is then encrypted (`wss://`).
    key_file: The private key (PEM) of `cert_file`. Default: it is in the same file.
    password: With `mqtt://` and `mqtts://`: the password of the user in `url`.
    ca_file: With `mqtts://`: the authority (PEM) that signed the broker's certificate. Default: those of this system.
    """

    url: str = "stdin:"
    format: str = "lowcost"
    setup: str | list[str] = []
    address: int | None = None
    gateways: list[str] = []
    transmit: bool | None = None
    downlink_at: str = ""
    downlink_dir: str = ""
    cert_file: str = ""
    key_file: str = ""
    password: str = ""
    password_file: str = ""
    password_env: str = ""
    ca_file: str = ""


TABLES: dict[str, type[Struct]] = {
    "gateway": GatewayTable,
    **{name: destination.table for name, destination in SINKS.items()},
    "spool": SpoolTable,
    "upload": UploadTable,
    "decoders": DecodersTable,
    "status": StatusTable,
    "network": NetworkTable,
    "fleet": FleetTable,
    "alerts": AlertsTable,
}
LISTS: dict[str, type[Struct]] = {"input": InputTable, "device": DeviceTable, "decoder_rule": DecoderRuleTable}


def _homes() -> dict[str, str]:
    found: dict[str, list[str]] = {}
    named = [(f"[{name}]", kind) for name, kind in TABLES.items()]
    named += [(f"[[{name}]]", kind) for name, kind in LISTS.items()]
    for place, kind in named:
        for key in kind.__struct_encode_fields__:
            found.setdefault(key, []).append(place)
    return {key: " or ".join(places) for key, places in found.items()}


HOMES = _homes()
"""Tables by the keys that they have."""
