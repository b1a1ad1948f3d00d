"""Damaged streams through every parser:  python -m tests.mutate --bytes 10000000 --seed 1 [FORMAT…]

A stream of valid frames in one format is damaged in a few places: bits flipped, bytes cut out, put in, or a piece of it
repeated. It is fed to the parser in pieces of random size, and then holds:

* no exception; every event is sound;
* the parser never holds more than its limit, see LIMITS;
* a frame is found when its bytes, and the byte before them, are untouched, and the last damage before it ends at least
  RESYNC bytes earlier. The others of which every byte is intact are counted too: "close" in the figures.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC
from functools import cache
from random import Random
from typing import NamedTuple

import msgspec

from lora_post.formats import FORMATS, Parser
from lora_post.formats.capture_file import MAGIC, data_lines, start_line
from lora_post.formats.loratap import build_loratap
from lora_post.formats.loratap_pcap import write_pcap_header
from lora_post.lorawan.phy_payload import MHDR_MASK, MHDR_UPLINKS, parse_data_frame
from lora_post.model import ClearUplink, Frame, Heard, NoiseReason
from lora_post.simulate.devices import clear_devices, in_turns, simulated_devices, simulated_frame
from lora_post.simulate.format_writers import WRITERS
from tests.mutate_json import SAMPLES, examine_json

NOW_US = 1_772_366_400_000_000
STREAM = 60  # frames in a stream
LIMITS = {
    "rxpk": 1 << 17,
    "chirpstack": 1 << 18,
    "ttn": 1 << 18,
    "auto": 1 << 19,
    "capture": 1 << 14,
    "pcap": 1 << 13,
    "pcapng": 1 << 13,
}
DEFAULT_LIMIT = 4096
RESYNC = 2048
"""What a parser may mistake for one unit: a line of 1 kB and a packet behind it."""


class Piece(NamedTuple):
    """One frame as it is printed. sent: what tells it from others: its PHYPayload, or FCnt where that was decrypted."""

    text: bytes
    sent: bytes


class Kind(NamedTuple):
    """A format as it is damaged. start: what a stream begins with, which stays intact; parser: in FORMATS."""

    parser: str
    start: bytes
    pieces: list[Piece]


class Damaged(NamedTuple):
    stream: bytes
    damages: int
    far: set[bytes]  # frames that must be found
    close: set[bytes]  # intact frames right behind damage


class Figures(NamedTuple):
    """What one format's run found."""

    size: int
    damages: int
    far: int
    close: int
    close_found: int
    strange: int
    most_held: int
    seconds: float


@cache
def kinds(frames: int = 300) -> dict[str, Kind]:
    """All stream formats that frames can be written in."""
    found: dict[str, Kind] = {}
    for name, write in WRITERS.items():
        devices = clear_devices(8) if name == "reyax" else simulated_devices(8, 1)
        turns = in_turns(devices, 0)
        heard = [simulated_frame(*next(turns), 1, NOW_US + n * 10_000_000) for n in range(frames)]
        start = write_pcap_header() if name == "pcap" else b""
        found[name] = Kind(name, start, [Piece(write(frame, 2), _as_read(name, frame)) for frame in heard])
    modem = found["rn2483"].pieces
    lines = [Piece(b"".join(data_lines(0, NOW_US, piece.text)), piece.sent) for piece in modem]
    found["capture"] = Kind("capture", MAGIC + start_line(0, NOW_US, "rn2483", "x"), lines)
    found["auto"] = Kind("auto", b"", found["lowcost"].pieces)
    found["chirpstack"] = Kind("chirpstack", b"", [_chirpstack(fcnt) for fcnt in range(frames)])
    found["ttn"] = Kind("ttn", b"", [_ttn(fcnt) for fcnt in range(frames)])
    frames_heard = [piece.sent for piece in found["rxpk"].pieces]
    lorawan = [sent for sent in frames_heard if sent[0] & MHDR_MASK in MHDR_UPLINKS]
    found["station"] = Kind("station", b"", [Piece(_station(sent), sent) for sent in lorawan])
    found["pkt_logger"] = Kind("pkt_logger", b"", [Piece(_pkt_logger(sent), sent) for sent in frames_heard])
    found["pcapng"] = Kind("pcap", _PCAPNG_START, [_pcapng(piece) for piece in modem])
    return found


def _as_read(name: str, frame: Frame) -> bytes:
    if name != "reyax":
        return frame.phy_payload
    return frame.phy_payload[:3] + b"\0" + frame.phy_payload[4:]  # the module knows no sequence number


def _station(phy_payload: bytes) -> bytes:
    data = parse_data_frame(phy_payload)
    message = {
        "msgtype": "updf",
        "MHdr": phy_payload[0],
        "DevAddr": data.dev_addr,
        "FCtrl": data.fctrl,
        "FCnt": data.fcnt16,
        "FOpts": data.fopts.hex(),
        "FPort": -1 if data.fport is None else data.fport,
        "FRMPayload": data.frm_payload.hex(),
        "MIC": int.from_bytes(data.mic, "little"),
    }
    return msgspec.json.encode(message) + b"\n"


def _pkt_logger(phy_payload: bytes) -> bytes:
    heard = b'"0000B827EBAFBA00","","2026-03-01 12:00:00.123Z",1,868300000,1,1,"CRC_OK",%d' % len(phy_payload)
    return heard + b',"LORA",125000,"SF7","4/5",-57,9.0,' + b'"' + phy_payload.hex("-", -4).upper().encode() + b'"\n'


def _chirpstack(fcnt: int) -> Piece:
    line = {
        "time": "2026-03-01T12:00:00.123Z",
        "deviceInfo": {"devEui": "02aabbccddeeff01", "deviceName": "pond"},
        "fCnt": fcnt,
        "fPort": 2,
        "data": "A2cBEAVnAP8=",
        "rxInfo": [{"gatewayId": "b827ebfffe112233", "rssi": -57, "snr": 8.2}],
    }
    return Piece(msgspec.json.encode(line) + b"\n", b"%d" % fcnt)


def _ttn(fcnt: int) -> Piece:
    line = {
        "end_device_ids": {"device_id": "pond", "dev_eui": "02AABBCCDDEEFF01"},
        "uplink_message": {
            "f_port": 2,
            "f_cnt": fcnt,
            "frm_payload": "A2cBEAVnAP8=",
            "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": -57, "snr": 8.2}],
            "received_at": "2026-03-01T12:00:00.123456789Z",
        },
    }
    return Piece(msgspec.json.encode(line) + b"\n", b"%d" % fcnt)


_PCAPNG_START = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
_PCAPNG_START += struct.pack("<IIHHII", 1, 20, 270, 0, 0, 20)


def _pcapng(piece: Piece) -> Piece:
    from tests.support.build import frame

    data = build_loratap(frame(piece.sent), 1)
    padding = bytes(-len(data) % 4)
    size = 32 + len(data) + len(padding)
    head = struct.pack("<IIIIIII", 6, size, 0, NOW_US >> 32, NOW_US & 0xFFFFFFFF, len(data), len(data))
    return Piece(head + data + padding + struct.pack("<I", size), piece.sent)


def damaged(kind: Kind, random: Random) -> Damaged:
    """A stream of the format with one to twenty damages, and what is intact in it."""
    chosen = random.sample(kind.pieces, STREAM)
    stream = bytearray(kind.start)
    spans: list[tuple[int, int, bytes]] = []
    for piece in chosen:
        spans.append((len(stream), len(stream) + len(piece.text), piece.sent))
        stream += piece.text
    ends: list[int] = []
    for _ in range(random.randint(1, 20)):
        at = random.randint(len(kind.start), len(stream))
        stop = min(at + random.choice((1, 1, 2, 8, 40, 300)), len(stream))
        new = _change(bytes(stream[at:stop]), random)
        if new is None:  # put in, nothing taken away
            stop, new = at, random.randbytes(random.choice((1, 2, 8, 40, 300)))
        stream[at:stop] = new
        shift = len(new) - (stop - at)
        spans = [
            (start + shift, end + shift, phy) if start > stop else (start, end, phy)
            for start, end, phy in spans
            if end <= at or start > stop
        ]
        ends = [end + shift if end > stop else end if end <= at else at + len(new) for end in ends]
        ends.append(at + len(new))
    far: set[bytes] = set()
    close: set[bytes] = set()
    for start, _, phy in spans:
        before = [end for end in ends if end <= start]
        (far if not before or start - max(before) >= RESYNC else close).add(phy)
    return Damaged(bytes(stream), len(ends), far, close)


def _change(old: bytes, random: Random) -> bytes | None:
    """Other bytes for these; None: they stay, and something is put in before them."""
    match random.randrange(4):
        case 0:
            return bytes(byte ^ (1 << random.randrange(8)) if random.random() < 0.5 else byte for byte in old)
        case 1:
            return b""
        case 2:
            return old + old
        case _:
            return None


def feed(parser: Parser, stream: bytes, random: Random) -> Iterator[tuple[Sequence[Heard], int]]:
    """The events of each piece fed, and how many bytes the parser then holds."""
    at = 0
    while at < len(stream):
        size = random.choice((1, 7, 64, 500, 4096))
        yield parser.feed(stream[at : at + size], NOW_US), held(parser)
        at += size
    yield parser.finish(NOW_US), 0


def held(thing: object) -> int:
    """Bytes that an object and what it owns hold, numbers as 8."""
    if isinstance(thing, (bytes, bytearray, str)):
        return len(thing)
    if isinstance(thing, (list, tuple, set)):
        return sum(map(held, thing)) + 8 * len(thing)
    if isinstance(thing, dict):
        return sum(held(key) + held(value) for key, value in thing.items())
    if isinstance(thing, msgspec.Struct):
        return sum(held(getattr(thing, name)) for name in thing.__struct_fields__)
    if isinstance(thing, (int, float)) or thing is None:
        return 8
    if type(thing).__module__.startswith("lora_post") and hasattr(thing, "__dict__"):
        return sum(held(value) for name, value in vars(thing).items() if name != "_formats")
    return 0


def examine(name: str, kind: Kind, size: int, seed: int) -> Figures:
    """Feed so many damaged bytes; raises AssertionError with what is needed to see the failure again."""
    random = Random(f"{seed}/{name}")
    limit = LIMITS.get(name, DEFAULT_LIMIT)
    sent = {piece.sent for piece in kind.pieces}
    total = damages = far = close = close_found = strange = most_held = rounds = 0
    began = time.monotonic()
    while total < size:
        what = damaged(kind, random)
        found: list[bytes] = []
        parser = FORMATS[kind.parser]("gw1", UTC)
        for events, holds in feed(parser, what.stream, random):
            most_held = max(most_held, holds)
            for event in events:
                if isinstance(event, Frame):
                    assert len(event.phy_payload) <= 255, f"{name}, round {rounds}: {event}"
                    found.append(event.phy_payload)
                elif isinstance(event, ClearUplink):
                    found.append(b"%d" % event.fcnt)
                else:
                    assert event.reason is not NoiseReason.DEFECT, f"{name}, round {rounds}: {event}"
                    sound = event.size > 0 and event.detail.isprintable() and len(event.detail) < 500
                    assert sound, f"{name}, round {rounds}: {event}"
        missing = what.far.difference(found)
        assert not missing, f"{name}, seed {seed}, round {rounds}: {len(missing)} frames lost, {min(missing).hex()}"
        assert most_held <= limit, f"{name}, round {rounds}: {most_held} bytes held"
        rounds += 1
        total += len(what.stream)
        damages += what.damages
        far += len(what.far)
        close += len(what.close)
        close_found += len(what.close.intersection(found))
        strange += len(set(found) - sent)
    return Figures(total, damages, far, close, close_found, strange, most_held, time.monotonic() - began)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bytes", type=int, default=10_000_000, help="damaged bytes for each format")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("formats", nargs="*", metavar="FORMAT", help="default: all")
    given = arguments.parse_args()
    all_kinds = kinds()
    print(
        f"{'format':12}{'bytes':>10} {'damages':>8} {'far':>7} {'close, found':>14} {'false':>6} {'held':>7} {'s':>6}"
    )
    for name in given.formats or all_kinds:
        if name not in all_kinds:
            sys.exit(f"{name} is unknown; known are {', '.join(all_kinds)}")
        f = examine(name, all_kinds[name], given.bytes, given.seed)
        share = f"{f.close_found}/{f.close}"
        print(
            f"{name:12}{f.size:10} {f.damages:8} {f.far:7} {share:>14} {f.strange:6} {f.most_held:7} {f.seconds:6.1f}"
        )
        if name in SAMPLES or name == "auto":
            print(f"{'':12}{examine_json(name)} hostile values in JSON")


if __name__ == "__main__":
    main()
