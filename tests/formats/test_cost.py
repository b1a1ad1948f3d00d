"""What a stream costs: time grows as its length does, whatever is in it.

A search that begins anew at each byte takes 64 times as long for eight times the bytes, which is minutes on a small
board, with all threads standing still meanwhile.
"""

from __future__ import annotations

import struct
from time import thread_time
from typing import Final

import pytest

from lora_post.formats import FORMATS
from tests.support.parsers import events_of

SHORT: Final = 3_000
TIMES: Final = 8
"""How much longer the long stream is. Its time may grow four times as much, since caches and the machine's load count
too; where the search begins anew, it grows eight times as much."""
TOO_SHORT_TO_TELL_S: Final = 0.1

_PCAP: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 270)
_PCAPNG: Final = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
OPENINGS: Final = {
    "lowcost": [b"", b"--- rxlora. dst=", b"^p1,16,6,0,", b"^p1,16,6,0,200,8,-54\n\xff\xfe"],
    "rxpk": [b"", b'{"rxpk":[', b'{"rxpk":[{', b'{"rxpk":[{"a":"', b"May 14 08:15:30 gw "],
    "lines": [b"", b"40", b"0x"],
    "rn2483": [b"", b"radio_rx "],
    "rak": [b"", b"+EVT:RXP2P:", b"at+recv=0,"],
    "reyax": [b"", b"+RCV=1,", b"+RCV=1,200,"],
    "pcap": [b"", _PCAP, _PCAPNG],
    "chirpstack": [b"", b'{"deviceInfo":{', b'{"deviceInfo":{"devEui":"'],
    "ttn": [b"", b'{"uplink_message":{', b'v3/a {"uplink_message":{'],
    "pkt_logger": [b"", b'"gateway ID","node MAC"\n', b'"gateway ID","node MAC"\n"'],
    "station": [b"", b'{"msgtype":"updf",', b'{"msgtype":"'],
    "capture": [b"", b"lora-post-capture 1\n", b"lora-post-capture 1\nD 0 1 "],
    "auto": [b"", b"application/", b'{"rxpk":[{"'],
}
REPEATED: Final = [
    *(b"{", b"[", b'"', b"\\", b'\\"', b'{"', b"{},", b'"a":1,', b'{"rxpk":[', b"JSON up: ", b"application/"),
    *(b" ", b"\t", b"\n", b"\r", b"\0", b"-", b"---", b"9", b"9,", b"40", b"40 ", b"=", b":", b"\xff\xfe", b"\xff"),
    *(b"^p", b"--- rxlora. dst=", b"radio_rx ", b"+EVT:RXP2P:", b"+RCV=1,", b"\x00a\x00\x0f", b"\x06\0\0\0"),
]


@pytest.mark.parametrize("step", [2, pytest.param(1, marks=pytest.mark.long)], ids=["half", "all"])
@pytest.mark.parametrize("name", FORMATS)
def test_time_grows_as_the_stream_does(name: str, step: int) -> None:
    """In half of them each piece comes with every format, behind another opening."""
    for number, opening in enumerate(OPENINGS[name]):
        for piece in REPEATED[number % step :: step]:
            stream = opening + piece * (SHORT * TIMES // len(piece))
            short, took_s = stream[: len(opening) + SHORT], seconds(name, stream)
            if took_s > TOO_SHORT_TO_TELL_S and took_s >= 4 * TIMES * seconds(name, short):
                # A machine that has its processor from another one counts what that takes away: the least of three.
                long_s, short_s = (min(seconds(name, each) for _ in range(3)) for each in (stream, short))
                assert long_s < 4 * TIMES * short_s, (name, opening, piece)


def seconds(name: str, stream: bytes) -> float:
    began = thread_time()
    events_of(name, [stream])
    return thread_time() - began
