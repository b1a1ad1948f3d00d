"""[[input]] tables → where frames come from."""

from __future__ import annotations

import re

from msgspec import Struct

from lora_post.config_decoders import plain_hex
from lora_post.config_reader import TableReader
from lora_post.config_tables import InputTable


class InputConfig(Struct, frozen=True):
    """Where bytes come from, and what they are.

    gateways: the EUIs of the packet forwarders that are listened to, 16 hex digits each; empty: all.
    """

    url: str
    format: str
    gateways: frozenset[str] = frozenset()


def read_inputs(reader: TableReader) -> tuple[InputConfig, ...]:
    """The inputs of a document; stdin when it names none."""
    tables = reader.list("input", InputTable) or [("[[input]]", InputTable())]
    return tuple(_input(reader, place, table) for place, table in tables)


def _input(reader: TableReader, place: str, table: InputTable) -> InputConfig:
    scheme = table.url.partition(":")[0]
    input_format = table.format
    if scheme == "udp":
        if input_format not in ("rxpk", InputTable().format):
            reader.mistakes.append(f"{place} format is {input_format!r}; packet forwarders send rxpk: remove it")
        input_format = "rxpk"
    elif table.gateways:
        reader.mistakes.append(f"{place} gateways: only packet forwarders (udp://…) are told apart; remove it")
    return InputConfig(table.url, input_format, frozenset(_eui(reader, place, text) for text in table.gateways))


def _eui(reader: TableReader, place: str, text: str) -> str:
    eui = plain_hex(text)
    if not re.fullmatch(r"[0-9a-f]{16}", eui):
        reader.mistakes.append(f"{place} gateways has {text!r}; a gateway's EUI has 16 hex digits")
    return eui
