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
    """This gateway, as Waziup knows it.

    id: 1 to 128 letters, digits, `_-.`, at least one letter.
    name: Default: the id.
    visibility: `"public"`: anybody may read and write its data. Also the devices' default.
    location: `[latitude, longitude]` in degrees, as `[48.1, 11.5]`.
    """

    id: str
    name: str = ""
    visibility: Visibility = "private"
    location: list[int | float] = []


class SpoolTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The [queue](delivery.md) on disk.

    path: The file (SQLite). Others beside it begin with its name.
    max_mb: MiB that it may hold. A reading takes 20 to 30 bytes a destination.
    when_full: Which readings the sensor with the longest queue gives up.
    keep_strangers: Keep the last frames of [strangers](devices.md#strangers); 100 kB at most.
    """

    path: str = "/var/lib/lora-post/spool.db"
    max_mb: int = 256
    when_full: WhenFull = "drop-oldest"
    keep_strangers: bool = True


class UploadTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What [sending](upload.md) to Waziup Cloud may cost.

    schedule: When to send, as `"22:00-06:00"`, in the gateway's time zone. Default: always.
    max_bytes_per_day: 65536 or more; 0: no limit.
    hold: Collect readings for so long, to share a request: `"10min"`, at most a day.
    """

    schedule: list[str] = []
    max_bytes_per_day: int = 0
    hold: str = "0s"


class StatusTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The [status page](status-page.md), `/metrics`, `/healthz` and `/readyz`: only with this table or `--status`.

    listen: Address and port. Addresses that other machines reach need a token.
    token: 16 characters or more.
    sensor_values: `/metrics` has the latest value of each sensor.
    edit: With a token, devices can be added on the page.
    """

    listen: str = "127.0.0.1:8080"
    sensor_values: bool = False
    edit: bool = True
    token: str = ""
    token_file: str = ""
    token_env: str = ""


class AlertsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[Alerts](status-page.md#alerts): trouble that lasts is told.

    no_frame: No frame for so long. `"never"`: no such alert.
    no_upload: A destination took nothing for so long.
    silent: A device was silent for four times its usual distance; at most so long.
    battery_percent: A battery is below this.
    battery_volts: The same in volts.
    webhook: An `http(s)://` address that gets alerts.
    webhook_token: Sent to it as `Authorization: Bearer`.
    email: Who gets mail.
    email_from: The sender. Default: `email`.
    smtp: `smtps://USER@HOST` (port 465), or `smtp://USER@HOST` (port 587, STARTTLS). Write `@` in USER as `%40`.
    smtp_password: Of USER.
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
    """[Decoders](decoders.md) of your own.

    folder: One file each. It replaces a shipped decoder of the same name.
    """

    folder: str = ""


class NetworkTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Devices [join](devices.md#joining-otaa) here and are answered. Without it lora-post only listens.

    region: The channel plan: `EU868`, `EU433`, `US915`, `AU915`, `AS923-1` to `AS923-4`, `IN865`, `KR920`, `RU864` or
        `CN470`; that of the packet forwarder.
    net_id: 6 hex digits, of type 0. Keep it: keys follow from it.
    rx_delay_s: Seconds after an uplink that a joined device listens, 1 to 15.
    sub_band: `US915`, `AU915`, `CN470`: the eight channels that the gateways hear, from 1. Default: those in which a
        device is heard; of stations the second.
    rx2_mhz: Where devices that joined [listen in RX2](downlinks.md#what-devices-are-told). Default: the region's.
    rx2_data_rate: The data rate there, by number.
    uplink_dwell: `AS923`, `AU915`: devices are told to send 400 ms at most, or longer. Default: nothing.
    device_duty_cycle: The share of time that devices may send, as `0.01`.
    """

    region: str
    net_id: str = "000000"
    rx_delay_s: int = 5
    sub_band: int | None = None
    rx2_mhz: int | float | None = None
    rx2_data_rate: int | None = None
    uplink_dwell: bool | None = None
    device_duty_cycle: int | float = 1


class FleetTable(Struct, frozen=True, forbid_unknown_fields=True):
    """This lora-post is a part of a [fleet](fleet.md). Needs `lora-post[fleet]`.

    servers: The hub's, `tls://HOST:4222`; for trials `nats://`, not encrypted.
    role: `"gateway"`, `"worker"`, `"uploader"`, or [several](fleet.md#what-runs-where);
        `["gateway", "home"]` for a [home gateway](fleet.md#home-gateways).
    nkey: The seed (`SU…`) by which the hub knows this one.
    ca_file: The authority (PEM) of the certificates. Default: this system's.
    replicas: How many servers keep everything: 3, or 1 for a trial.
    takeover_after: Workers answer for a home gateway that was away so long. `"never"`: only after
        `lora-post fleet take-over`.
    """

    servers: list[str]
    role: str | list[str]
    nkey: str = ""
    nkey_file: str = ""
    nkey_env: str = ""
    ca_file: str = ""
    replicas: int = 3
    takeover_after: str = "1h"


class InputTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where [frames come from](README.md#inputs). Without any: stdin.

    url: `stdin:`, `file:PATH` (from the current folder), `serial:///dev/ttyUSB0?baud=38400` (the default speed),
        `udp://HOST:PORT` for packet forwarders, `station://HOST:PORT` for LoRa Basics Stations (needs `[network]`),
        `mqtt(s)://USER@HOST/TOPIC` for a broker.
    format: `lowcost`, `rxpk`, `lines`, `rn2483`, `rak`, `reyax`, `pcap`, `chirpstack`, `ttn`, `pkt_logger`, `station`,
        `gateway` (with `mqtt://`), `capture`, or `auto`: what the first frame shows. With `udp://` always `rxpk`, with
        `station://` always `station`.
    setup: What a [serial module](inputs/serial-modules.md) is told at each start: `"auto"`, or commands.
    address: Of the device, where payloads have no header.
    gateways: With `udp://`, `station://`: EUIs to listen to. Default: all.
    transmit: `false`: nothing is sent to devices. Default: `true`.
    downlink_at: With `udp://`: `"window"` for [forwarders that send at once](inputs/semtech-udp.md).
    downlink_dir: With `lowcost` and `[network]`: the radio program's [folder](inputs/lora-gateway-pipe.md) `downlink`.
    cert_file: With `station://`: a certificate (PEM) for `wss://`.
    key_file: Its private key (PEM). Default: in the same file.
    password: With `mqtt(s)://`: of USER in `url`.
    ca_file: With `mqtts://`: as in `[mqtt]`.
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
