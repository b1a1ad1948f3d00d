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

    id: Its id on Waziup, and the first part of device ids that are not given. 1 to 128 letters, digits, `_`, `-`, `.`,
        with at least one letter: Waziup does not list the devices of a gateway whose id looks like a number.
    name: What people call it. Without one: the id.
    visibility: `"private"`: only your account sees the data. `"public"`: anybody may read it, and write to it. Also the
        default of the devices.
    """

    id: str
    name: str = ""
    visibility: Visibility = "private"


class SpoolTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The queue on disk. See [delivery](delivery.md).

    path: The file (SQLite). Beside it are others that end in `-wal`, `-shm`, `-hang`, and in a destination's name.
    max_mb: What the file may hold, in MiB; 1 or more. A reading takes 20 to 30 bytes for each destination.
    when_full: The sensor with the most queued readings gives up its oldest ones, or with `"drop-newest"` its newest
        ones.
    """

    path: str = "/var/lib/lora-post/spool.db"
    max_mb: int = 256
    when_full: WhenFull = "drop-oldest"


class UploadTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What sending to Waziup Cloud may cost. See [sending](upload.md).

    schedule: Times of the day at which is sent, as `"22:00-06:00"`, in the gateway's time zone. Without any: always.
    max_bytes_per_day: Bytes a day, as a network operator counts them; 65536 or more, 0 for no limit.
    hold: Readings are collected for so long, so that those of one sensor share a request; `"90s"`, `"10min"`, at most
        a day.
    """

    schedule: list[str] = []
    max_bytes_per_day: int = 0
    hold: str = "0s"


class StatusTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The status page, `/metrics`, `/healthz` and `/readyz`. There are none without this table or `--status`. See
    [status page](status-page.md).

    listen: Address and port. Another than this machine's own loopback address needs a token.
    token: What a browser or program has to show, 16 characters or more.
    """

    listen: str = "127.0.0.1:8080"
    token: str = ""
    token_file: str = ""
    token_env: str = ""


class AlertsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What is told once when it begins, and once when it is over. See [status page](status-page.md#alerts).

    no_frame: No input has given a frame for so long. Times are written `"30min"`, `"6h"`, `"2d"`; `"never"`
        switches the alert off.
    no_upload: Readings wait, and a destination has taken none for so long; or `"never"`.
    silent: A device is silent after four times its usual distance, one hour at least, and after this at the latest;
        or `"never"`.
    battery_percent: A device's battery is below this, in per cent; 0 switches the alert off.
    battery_volts: A device's battery is below this, in volts; 0 switches the alert off.
    webhook: An `http(s)://` address that alerts are posted to, as JSON.
    webhook_token: Sent with them as `Authorization: Bearer`.
    email: An address that alerts are mailed to; needs `smtp`.
    email_from: The sender of these mails. Without one: the address in `email`.
    smtp: The mail server: `smtps://USER@HOST` (port 465), or `smtp://USER@HOST` (port 587, encrypted by STARTTLS but
        for a server on this machine). An `@` in the user's name is written `%40`.
    smtp_password: The password that goes with the user in `smtp`.
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


class InputTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where frames come from, once for each input. Without any: stdin. See [inputs](README.md#inputs).

    url: `stdin:`, `file:PATH` (from the current folder), `serial:///dev/ttyUSB0?baud=38400` (the baud
        rate may be left out), `udp://HOST:PORT` for packet forwarders, `mqtt://USER@HOST/TOPIC` or `mqtts://…` for a
        broker's topic.
    format: What the bytes are: `lowcost`, `rxpk`, `lines`, `rn2483`, `rak`, `reyax`, `pcap`, `chirpstack`, `ttn`,
        `capture`, or `auto`, which finds it out from the first frame. With `udp://` it is always `rxpk`.
    setup: What a serial module is told when its port is opened and whenever it has started anew: `"auto"`, or a list of
        commands. Without: nothing is written.
    address: With radios that hear bare payloads without any header (`rn2483`, `rak`, `lines`, `rxpk`): the `address` of
        the device that they all come from. Nothing proves that it was this device.
    gateways: With `udp://`: EUIs of the packet forwarders that are listened to. Without any: whoever sends.
    password: With `mqtt://` and `mqtts://`: the password of the user in `url`.
    ca_file: With `mqtts://`: a file (PEM) with certificates by which the broker is known. Without one: those of this
        system.
    """

    url: str = "stdin:"
    format: str = "lowcost"
    setup: str | list[str] = []
    address: int | None = None
    gateways: list[str] = []
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
    "alerts": AlertsTable,
}
LISTS: dict[str, type[Struct]] = {"input": InputTable, "device": DeviceTable, "decoder_rule": DecoderRuleTable}
