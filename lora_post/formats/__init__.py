"""Input formats: one parser without IO a file, found by name in `FORMATS`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from lora_post.formats.at_modem import rak_parser, rn2483_parser
from lora_post.formats.at_reyax import ReyaxParser
from lora_post.formats.auto import AutoParser
from lora_post.formats.capture_file import CaptureParser
from lora_post.formats.guarded import guarded
from lora_post.formats.hex_lines import hex_lines_parser
from lora_post.formats.loratap_pcap import PcapParser
from lora_post.formats.lowcost_gw import LowcostParser
from lora_post.formats.parser import MakeParser, Parser
from lora_post.formats.pkt_logger_csv import pkt_logger_parser
from lora_post.formats.rxpk_json import rxpk_parser
from lora_post.formats.server_json import chirpstack_parser, ttn_parser
from lora_post.formats.station_json import station_parser

__all__ = ["FORMATS", "STREAM_FORMATS", "MakeParser", "Parser"]

STREAM_FORMATS: Final[dict[str, MakeParser]] = {
    "lowcost": guarded(LowcostParser),
    "rxpk": guarded(rxpk_parser),
    "lines": guarded(hex_lines_parser),
    "rn2483": guarded(rn2483_parser),
    "rak": guarded(rak_parser),
    "reyax": guarded(ReyaxParser),
    "pcap": guarded(PcapParser),
    "chirpstack": guarded(chirpstack_parser),
    "ttn": guarded(ttn_parser),
    "pkt_logger": guarded(pkt_logger_parser),
    "station": guarded(station_parser),
}
"""What radio programs, modules and other tools write. How "auto" recognises each is in `signatures`."""


def _auto(formats: Mapping[str, MakeParser]) -> MakeParser:
    return guarded(partial(AutoParser, formats))


_DETECTED: Final[dict[str, MakeParser]] = {
    **STREAM_FORMATS,
    "capture": guarded(partial(CaptureParser, {**STREAM_FORMATS, "auto": _auto(STREAM_FORMATS)})),
}

FORMATS: Final[dict[str, MakeParser]] = {**_DETECTED, "auto": _auto(_DETECTED)}
"""Name of a format -> its parser, which never raises."""
