"""Datagrams of Semtech's packet forwarders (GWMP, versions 1 and 2), and their answers.

    offset  bytes
    0       1      version, 1 or 2
    1       2      token; the answer repeats it
    3       1      what it is
    4       8      the gateway's EUI, most significant byte first
    12      …      JSON, see `rxpk_json`

Source: Lora-net/packet_forwarder: PROTOCOL.TXT, version 1.4, sections 3 and 5.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from lora_post.errors import FrameError
from lora_post.text import plural, printable

PUSH_DATA: Final = 0x00
PUSH_ACK: Final = 0x01
PULL_DATA: Final = 0x02
PULL_RESP: Final = 0x03
PULL_ACK: Final = 0x04
TX_ACK: Final = 0x05

_VERSIONS: Final = (1, 2)
_HEADER: Final = 12
_MAX_WORD: Final = 40
_ANSWERS: Final = {PUSH_DATA: bytes((PUSH_ACK,)), PULL_DATA: bytes((PULL_ACK,))}
# LowCostLoRaGw's downlink program confirms a transmission with the number of a PULL_ACK.
_FROM_GATEWAYS: Final = (PUSH_DATA, PULL_DATA, TX_ACK, PULL_ACK)


class Datagram(Struct, frozen=True, gc=False):
    """What a gateway sent.

    kind: PUSH_DATA, PULL_DATA or TX_ACK. gateway: its EUI, 16 hex digits.
    answer: what it waits for, b"" for nothing. body: the JSON, not looked at yet.
    """

    kind: int
    gateway: str
    token: int
    answer: bytes
    body: bytes


class _TxpkAck(Struct, frozen=True):
    error: object = None
    warn: object = None


class _Ack(Struct, frozen=True):
    txpk_ack: _TxpkAck = _TxpkAck()


def pull_resp(version: int, token: int, txpk: object) -> bytes:
    """Return the datagram that has a gateway send. token: of its TX_ACK, 16 bits."""
    return bytes((version,)) + token.to_bytes(2) + bytes((PULL_RESP,)) + msgspec.json.encode({"txpk": txpk})


ERRORS: Final = {
    "TOO_LATE": "the frame came too late: the link or this machine is slow, and rx_delay_s short",
    "TOO_EARLY": "its window is minutes ahead: was the gateway started anew?",
    "COLLISION_PACKET": "it has another frame to send at that time",
    "COLLISION_BEACON": "it sends a beacon at that time",
    "TX_FREQ": "it does not send on that frequency: do its settings and the [network] region agree?",
    "TX_POWER": "its settings have no entry for that power",
    "GPS_UNLOCKED": "it has no time from GPS",
    "QUEUE_FULL": "it has too many frames to send",
    "DUTY_CYCLE_OVERFLOW": "it has used up its duty cycle",
    "IGNORED": "another window of this frame was used",
    "INTERNAL_ERROR": "its radio failed",
    "UNKNOWN": "it does not say why",
}
"""What is meant by the errors of TX_ACK.

Sources: Lora-net/packet_forwarder: PROTOCOL.TXT, section 5.3; Lora-net/sx1302_hal: packet_forwarder/src/jitqueue.c;
chirpstack/chirpstack: api/proto/gw/gw.proto, TxAckStatus.
"""


def explain_error(error: str) -> str:
    """Return an error of TX_ACK with what it means."""
    meaning = ERRORS.get(error)
    return f"{error}, {meaning}" if meaning else error


def error_label(error: str) -> str:
    """Return how an error of TX_ACK is counted: one of few, whatever a gateway says."""
    return error.lower().replace("_", "-") if error in ERRORS else "refused"


def read_tx_ack(body: bytes) -> tuple[str, str]:
    """Return error and warning of a TX_ACK, "" for none: a gateway that sends says nothing, or NONE."""
    try:
        ack = msgspec.json.decode(body.strip(b" \t\r\n\0") or b"{}", type=_Ack).txpk_ack
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    error, warn = (each if isinstance(each, str) else "" for each in (ack.error, ack.warn))
    return "" if error == "NONE" else printable(error)[:_MAX_WORD], printable(warn)[:_MAX_WORD]


def read_datagram(data: bytes) -> Datagram:
    """Read the header of a datagram. Raises FrameError for what packet forwarders never send."""
    if len(data) < _HEADER:
        raise FrameError(f"{plural(len(data), 'byte')}, a packet forwarder sends at least {_HEADER}")
    if data[0] not in _VERSIONS:
        raise FrameError(f"version {data[0]} of the protocol, known are 1 and 2")
    kind = data[3]
    if kind not in _FROM_GATEWAYS:
        raise FrameError(f"identifier {kind:02x}, a packet forwarder sends 00, 02 and 05")
    answer = data[:3] + _ANSWERS[kind] if kind in _ANSWERS else b""
    return Datagram(
        TX_ACK if kind == PULL_ACK else kind, data[4:12].hex(), int.from_bytes(data[1:3]), answer, data[_HEADER:]
    )
