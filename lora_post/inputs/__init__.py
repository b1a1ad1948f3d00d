"""Where frames come from: one kind a file, opened by its URL.

A stream of bytes goes with any format; inputs whose messages are whole have modules of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from lora_post.clocks.gateway import Times
from lora_post.clocks.system import SystemZone
from lora_post.config.inputs import MQTT_GATEWAYS, InputConfig
from lora_post.errors import ConfigError, Problem
from lora_post.formats import FORMATS, STREAM_FORMATS, Parser
from lora_post.formats.at_send import radio_of
from lora_post.formats.bare_payload import BarePayloadParser
from lora_post.formats.guarded import GuardedParser
from lora_post.formats.mistaken import MistakenFormat
from lora_post.formats.server_queues import SERVERS
from lora_post.inputs.byte_streams import is_regular, open_stream
from lora_post.inputs.downlink_file import DownlinkFile
from lora_post.inputs.stream import Hear, StreamInput, StreamTransmitter
from lora_post.metrics import Metrics
from lora_post.model import Heard
from lora_post.net.input_url import file_path, read_serial_url
from lora_post.net.mqtt_url import read_mqtt_url


class Input(Protocol):
    """Gives frames as they arrive. name: how logs call it."""

    name: str

    @property
    def trouble(self) -> Problem | None:
        """Return what keeps it from giving frames."""
        ...

    def events(self, timeout_s: float) -> Sequence[Heard] | None:
        """Return what arrived, empty when nothing did within timeout_s; None at the end of input."""
        ...

    def drain(self) -> Sequence[Heard]:
        """Return what is there already, without waiting."""
        ...

    def kept(self) -> None:
        """Tell the sender that all that was given so far is on disk."""
        ...

    def close(self) -> None: ...


class Surroundings(Struct, frozen=True):
    """What an input needs beside its own configuration.

    gateway: the id of frames that name none. only_listens: what it gives is not kept, so it takes nothing from other
    clients, and brokers keep no messages for it.
    """

    gateway: str
    metrics: Metrics
    only_listens: bool = False
    spool: Path | None = None
    """What may be remembered in; None: nothing is."""


def open_input(item: InputConfig, surroundings: Surroundings, hear: Hear = lambda data, now_us: None) -> Input:
    """Open an input. Raises ConfigError.

    hear: is given all bytes that arrive, where an input is a stream of bytes.
    """
    if item.url.startswith("udp:"):
        from lora_post.inputs.udp import UdpInput, bind_udp  # only where one is configured

        metrics, at_window = surroundings.metrics, item.at_window
        return UdpInput(bind_udp(item.url), item.gateways, metrics, transmits=item.transmit, at_window=at_window)
    if item.url.startswith("station:"):
        from lora_post.inputs.station import StationInput, bind_station, station_config  # only where one is configured

        return StationInput(bind_station(item.url), station_config(item), surroundings.metrics)
    if item.url.startswith(("mqtt:", "mqtts:")):
        return _open_mqtt(item, surroundings)
    stream = open_stream(item.url)
    way_back: StreamTransmitter | None = None
    if item.transmit and item.downlink_dir:
        way_back = DownlinkFile(item.downlink_dir, surroundings.metrics)
    if item.setup:
        from lora_post.inputs.module_sender import ModuleSender  # only where one is configured
        from lora_post.inputs.serial_module import set_up_by

        stream = module = set_up_by(item.setup, item.format, stream)
        radio = radio_of(item.format, item.setup)
        if item.transmit and radio:
            baud = read_serial_url(item.url).baud
            way_back = ModuleSender(module, item.format, radio, baud, surroundings.metrics)
    return StreamInput(stream, _stream_parser(item, surroundings.gateway), hear, way_back)


def _stream_parser(item: InputConfig, gateway: str) -> Parser:
    address = item.address
    if address is None:
        return parser_for(item.format, gateway)
    return GuardedParser(lambda: BarePayloadParser(parser_for(item.format, gateway), address))


def _open_mqtt(item: InputConfig, surroundings: Surroundings) -> Input:
    from lora_post.inputs.mqtt import BrokerAccount, MqttInput, client_id  # only where one is configured
    from lora_post.inputs.retained import TakenMessages

    address, gateway = read_mqtt_url(item.url), surroundings.gateway
    who = "" if surroundings.only_listens else client_id(gateway, item.url)
    if item.format != MQTT_GATEWAYS:
        parser_for(item.format, gateway)  # raises ConfigError
    taken = TakenMessages(None if surroundings.only_listens else surroundings.spool, f"retained {who}")
    login = BrokerAccount(item.password, item.ca_file)
    common = (address, login, who, lambda: parser_for(item.format, gateway), taken)
    if item.format in SERVERS and item.transmit and who:
        from lora_post.inputs.mqtt_servers import MqttServer

        return MqttServer(*common, server=item.format)
    if item.format != MQTT_GATEWAYS:
        return MqttInput(*common)
    from lora_post.inputs.mqtt_gateways import MqttGateways  # protobuf takes 7 MB

    return MqttGateways(*common, metrics=surroundings.metrics, transmits=item.transmit)


def times_of(item: InputConfig) -> Times:
    """Tell what the times of an input's frames are worth.

    Those of a file are true, those of a serial port may be of any clock. A broker may have kept messages for days, so
    they are as old as they say.
    """
    scheme = item.url.partition(":")[0]
    if scheme == "stdin":
        return Times.RECORDED if sys.stdin is not None and is_regular(sys.stdin.fileno()) else Times.PIPED
    if scheme == "file":
        return Times.RECORDED if file_path(item.url).is_file() else Times.PIPED
    return Times.PIPED if scheme in ("mqtt", "mqtts") else Times.LIVE


def parser_for(input_format: str, gateway: str) -> Parser:
    """Return a parser for a stream of bytes. Raises ConfigError when its format is unknown."""
    if input_format not in FORMATS:
        raise ConfigError(f"[[input]] format {input_format!r} is unknown", fix=f"known are {', '.join(FORMATS)}")
    parser = FORMATS[input_format](gateway, SystemZone())
    return MistakenFormat(parser, input_format) if input_format in STREAM_FORMATS else parser
