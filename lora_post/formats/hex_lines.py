"""One frame a line, in hex or base64: what people paste, and what simple scripts print.

Hex may have blanks, tabs, colons, commas, hyphens and 0x in it; base64 may be URL-safe and without
padding. Empty lines and lines that begin with # are skipped.

The two are told apart line by line, which is safe: in base64 a LoRaWAN uplink begins with Q or g and
a LowCostLoRaGw packet to the gateway with AR, and neither Q, g nor R is hex.
"""

from __future__ import annotations

import binascii
from datetime import tzinfo

from lora_post.errors import FrameError
from lora_post.formats.line_reader import LineParser
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD
from lora_post.model import Frame, Noise, NoiseReason, RxInfo
from lora_post.secret import hide_secrets
from lora_post.text import MAX_TEXT, parse_bytes
from lora_post.times import WallUs

_NO_RX = RxInfo()


def hex_lines_parser(gateway: str, zone: tzinfo) -> LineParser:
    """Return a parser for one such stream. zone: not used, the lines have no times."""
    return LineParser(gateway, MAX_TEXT, read_line)


def read_line(line: bytes, gateway: str, now_us: WallUs) -> list[Frame | Noise]:
    """Return the frame of one line, if it has one."""
    text = line.strip()
    if not text or text.startswith(b"#"):
        return []
    try:
        phy_payload = binascii.unhexlify(text)
    except binascii.Error:
        try:
            phy_payload = parse_bytes(text.decode("ascii", "replace")).data
        except FrameError as error:
            return [Noise(NoiseReason.BAD_LINE, len(line), hide_secrets(str(error)))]
    if len(phy_payload) > MAX_PHY_PAYLOAD:
        return [Noise(NoiseReason.BAD_LINE, len(line), f"{len(phy_payload)} bytes, a frame has at most 255")]
    return [Frame(gateway, now_us, phy_payload, _NO_RX)]
