"""Input formats: one sans-IO parser a file, found by name in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final, Protocol

from lora_post.inputs.at_modem import rak_parser, rn2483_parser
from lora_post.inputs.at_reyax import ReyaxParser
from lora_post.inputs.hex_lines import hex_lines_parser
from lora_post.inputs.loratap_pcap import PcapParser
from lora_post.inputs.lowcost_gw import LowcostParser
from lora_post.inputs.rxpk_json import rxpk_parser
from lora_post.inputs.server_json import chirpstack_parser, ttn_parser
from lora_post.model import Event


class Parser(Protocol):
    """Bytes in, frames out; owns no clock and does no IO.

    The same bytes give the same events however they are cut. Times are µs since 1970 UTC.
    """

    def feed(self, data: bytes, now_us: int) -> Sequence[Event]:
        """Take bytes that arrived at now_us and return what they complete.

        b"" tells only that time has passed: a frame that stopped half-way is then given up.
        """
        ...

    def finish(self, now_us: int) -> Sequence[Event]:
        """End of input: return what the remaining bytes still give."""
        ...


FORMATS: Final[dict[str, Callable[[str, tzinfo], Parser]]] = {
    "lowcost": LowcostParser,
    "rxpk": rxpk_parser,
    "lines": hex_lines_parser,
    "rn2483": rn2483_parser,
    "rak": rak_parser,
    "reyax": ReyaxParser,
    "pcap": PcapParser,
    "chirpstack": chirpstack_parser,
    "ttn": ttn_parser,
}
"""Name of a format -> its parser, made from the gateway's id and the zone of times that tell none."""
