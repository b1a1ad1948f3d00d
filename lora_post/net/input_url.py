"""Read the URLs of inputs: stdin, files, serial ports, UDP; those of brokers are in `mqtt_url`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from lora_post.errors import ConfigError
from lora_post.net.mqtt_url import read_mqtt_url, without_password

SCHEMES: Final = (
    "stdin:, file:PATH, serial:///dev/ttyUSB0?baud=38400, udp://0.0.0.0:1700, station://0.0.0.0:3001 or "
    "mqtts://me@broker.example/topic"
)
DEFAULT_BAUD: Final = 38400  # LowCostLoRaGw's Arduino gateway
DEFAULT_PORT: Final = 1700
STATION_PORT: Final = 3001
THIS_MACHINE: Final = "127.0.0.1"


class SerialAddress(Struct, frozen=True):
    """A serial port and its speed."""

    path: str
    baud: int


class ListenAddress(Struct, frozen=True):
    """Where gateways are listened to."""

    host: str
    port: int


def check_input_url(url: str) -> None:
    """Raise ConfigError for a URL that names no input."""
    scheme = scheme_of(url)
    if scheme == "serial":
        read_serial_url(url)
    elif scheme == "udp":
        read_udp_url(url)
    elif scheme == "station":
        read_station_url(url)
    elif scheme in ("mqtt", "mqtts"):
        read_mqtt_url(url)
    elif scheme not in ("stdin", "file") or (scheme == "file" and not file_path(url).name):
        raise _strange(url, f"known are {SCHEMES}")


def scheme_of(url: str) -> str:
    """Return what stands before the colon; "" for a text without one."""
    return url.partition(":")[0] if ":" in url else ""


def file_path(url: str) -> Path:
    """Return the path that a file: URL names."""
    return Path(unquote(url.removeprefix("file:").removeprefix("//")))


def read_serial_url(url: str) -> SerialAddress:
    """Read serial:///dev/ttyUSB0?baud=38400. Raises ConfigError."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _strange(url, "write serial:///dev/ttyUSB0?baud=38400") from None
    if parts.netloc:
        raise ConfigError(f"[[input]] url {url!r} has two slashes", fix=f"write serial:///{url[len('serial://') :]}")
    options = dict(parse_qsl(parts.query))
    baud = options.pop("baud", str(DEFAULT_BAUD))
    if options or not re.fullmatch(r"[1-9][0-9]{1,6}", baud) or not parts.path:
        raise _strange(url, "write serial:///dev/ttyUSB0?baud=38400")
    return SerialAddress(unquote(parts.path), int(baud))


def read_udp_url(url: str) -> ListenAddress:
    """Read udp://HOST:PORT; this machine alone if the host is left out. Raises ConfigError."""
    return _read_listen_url(url, DEFAULT_PORT)


def read_station_url(url: str) -> ListenAddress:
    """Read station://HOST:PORT; this machine alone if the host is left out. Raises ConfigError."""
    return _read_listen_url(url, STATION_PORT)


def _read_listen_url(url: str, default_port: int) -> ListenAddress:
    try:
        parts = urlsplit(url)
        address = ListenAddress(parts.hostname or THIS_MACHINE, default_port if parts.port is None else parts.port)
        strange = parts.path not in ("", "/") or parts.query or parts.username is not None
    except ValueError:
        strange = True
    if strange:
        raise _strange(url, f"write {scheme_of(url)}://0.0.0.0:{default_port}")
    return address


def _strange(url: str, fix: str) -> ConfigError:
    return ConfigError(f"[[input]] url {without_password(url)!r} is not understood", fix=fix)
