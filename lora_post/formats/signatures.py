"""How input formats are told apart: by the first bytes of a file, or by one line.

    pcap, pcapng    the magic number in the file's first four bytes
    capture         the first line of a capture of lora-post
    lowcost         a ^p line in full, or what is printed for people before it
    rxpk            JSON with the packet forwarder's keys, at the start of a line or behind other text
    chirpstack, ttn JSON with those servers' keys
    station         JSON with Basics Station's msgtype updf or jreq
    pkt_logger      the column names of util_pkt_logger
    rn2483          radio_rx and hex
    rak             +EVT:RXP2P or at+recv=
    reyax           +RCV=address,length,
    lines           hex or base64 of what may be a frame

Answers to commands, log lines (^$…, INFO: …) and numbers tell nothing: several formats have such lines.

Sources: as named in the parsers of these formats; chirpstack/chirpstack: api/proto/integration/integration.proto;
TheThingsNetwork/lorawan-stack: api/ttn/lorawan/v3/messages.proto.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Final

import msgspec

from lora_post.errors import FrameError
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD
from lora_post.text import MAX_TEXT, parse_bytes

MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": "pcap",
    b"\xa1\xb2\xc3\xd4": "pcap",
    b"\x4d\x3c\xb2\xa1": "pcap",
    b"\xa1\xb2\x3c\x4d": "pcap",
    b"\x0a\x0d\x0d\x0a": "pcap",
}
MAGIC_SIZE: Final = 4

_LINES: Final = {
    "capture": re.compile(rb"lora-post-capture \d"),
    "lowcost": re.compile(rb"--- rxlora(?:\[\d{1,10}\])?\. dst=|\^p(?:-?\d{1,5},){6}-?\d{1,5}$"),
    "rxpk": re.compile(rb'.{0,400}?(?:JSON up: \{|\{\s*"rxpk"\s*:\s*\[)'),
    "rn2483": re.compile(rb"radio_rx +(?:[0-9A-Fa-f]{2})+$"),
    "rak": re.compile(rb"\+EVT:RXP2P[:,]|at\+recv=\d"),
    "pkt_logger": re.compile(rb'"gateway ID","node MAC"'),
    "reyax": re.compile(rb"\+RCV=\d{1,5},\d{1,3},"),
}
_JSON: Final[dict[str, Callable[[set[str]], bool]]] = {
    "rxpk": lambda keys: (
        "rxpk" in keys or keys == {"stat"} or ("data" in keys and bool(keys & {"tmst", "datr", "freq", "lsnr"}))
    ),
    "chirpstack": lambda keys: "deviceInfo" in keys or keys >= {"devEUI", "fCnt"},
    "ttn": lambda keys: bool(keys & {"uplink_message", "end_device_ids", "payload_raw"}),
    "station": lambda keys: keys >= {"msgtype", "MHdr", "MIC"},
}
# What mosquitto_sub -v writes in front of a message.
_match_topic: Final = re.compile(rb"(?:application/|v3/)\S{1,1000} (?=\{)").match
_FROM_BROKERS: Final = {"chirpstack", "ttn"}
_decode_keys: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_MIN_LORAWAN: Final = 12
_MIN_LOWCOST: Final = 5
_JOIN_REQUEST: Final = 23


def formats_of(line: bytes) -> set[str]:
    """Return the formats that surely have this line, usually one or none.

    line: without blanks around it.
    """
    found = {name for name, pattern in _LINES.items() if pattern.match(line)}
    if line.startswith(b"{"):
        return found | _formats_of_json(line)
    if topic := _match_topic(line):
        return _formats_of_json(line[topic.end() :]) & _FROM_BROKERS
    if not found and _looks_like_frame(line):
        return {"lines"}
    return found


def _formats_of_json(text: bytes) -> set[str]:
    try:
        keys = set(_decode_keys(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return set()
    return {name for name, fits in _JSON.items() if fits(keys)}


def may_be_hex(line: bytes) -> bool:
    """Tell whether a line is hex and long enough for a frame, whatever its first bytes are."""
    try:
        return _MIN_LORAWAN <= len(binascii.unhexlify(line)) <= MAX_PHY_PAYLOAD
    except binascii.Error:
        return False


def _looks_like_frame(line: bytes) -> bool:
    if len(line) > MAX_TEXT:
        return False
    try:
        frame = parse_bytes(line.decode("ascii")).data
    except (FrameError, UnicodeDecodeError):
        return False
    size = len(frame)
    if not _MIN_LOWCOST <= size <= MAX_PHY_PAYLOAD:
        return False
    if size >= _MIN_LORAWAN and frame[0] in (0x40, 0x80):
        return 12 + (frame[5] & 0x0F) <= size
    if frame[0] == 0 and size == _JOIN_REQUEST:
        return True
    # A number alone, such as a time, is not a packet.
    return frame[0] in (0, 1) and frame[1] & 0xF0 in (0x10, 0x20) and not line.isdigit()
