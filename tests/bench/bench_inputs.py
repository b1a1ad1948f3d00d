"""Microseconds a frame of every input's parser, beside the least that its bytes ask for.

    python -m tests.bench inputs [--frames N]

CPU time of one core, by turns: medians of the rounds, with the least and the most, and of the ratios in the same
rounds. The least is json.loads of each line, binascii.unhexlify of each line's digits, or
struct.unpack of each header, over the same bytes and without looking at the result.

udp is what happens to one datagram between the socket and the pipeline: its header, the queue, its JSON. mqtt is one
message, with a parser of its own. Neither has the network in it, nor the broker's client.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import struct
import sys
import time
from collections.abc import Callable
from datetime import UTC
from functools import partial

from lora_post.formats import FORMATS
from lora_post.formats.loratap_pcap import pcap_record, write_pcap_header
from lora_post.formats.rxpk_json import read_push_data
from lora_post.formats.semtech_udp import read_datagram
from lora_post.inputs.push_queue import Push, PushQueue
from lora_post.model import Frame, RxInfo
from tests.bench.turns import by_turns, ratio, spread
from tests.support.command import packet

PHY_PAYLOAD = bytes.fromhex("40035cab0100000002c53faad42929afbcd834bc63")
HEX = PHY_PAYLOAD.hex().upper().encode()
BASE64 = base64.b64encode(PHY_PAYLOAD)
START_US = 1_790_000_000_000_000
CHUNK = 1 << 16
RUNS = 9

RXPK = (
    b'{"rxpk":[{"tmst":%d,"time":"2024-05-14T08:15:30.123456Z","chan":2,"rfch":1,"freq":868.5,"stat":1,'
    b'"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-57,"lsnr":8.2,"size":21,"data":"' + BASE64 + b'"}]}\n'
)
REYAX = b"+RCV=7,21," + PHY_PAYLOAD + b",-57,8\r\n"
CHIRPSTACK = (
    b'{"deduplicationId":"3ac7e3c4-4401-4b8d-9386-a5c902f9202d","time":"2024-05-14T08:15:30.120456+00:00","deviceInfo":{'
    b'"tenantId":"52f14cd4-c6f1-4fbd-8f87-4025e1d49242","tenantName":"Farm","applicationName":"Ponds","deviceName":"p1",'
    b'"devEui":"02aabbccddeeff01"},"devAddr":"02345678","adr":true,"dr":5,"fCnt":4,"fPort":2,"confirmed":false,'
    b'"data":"A2cBEAVnAP8=","object":{"temperatureSensor":{"3":27.2,"5":25.5}},"rxInfo":[{"gatewayId":"b827ebfffe112233",'
    b'"uplinkId":24022,"nsTime":"2024-05-14T08:15:30.223456+00:00","rssi":-57,"snr":8.2,"channel":2,"crcStatus":"CRC_OK"}],'
    b'"txInfo":{"frequency":868500000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":7,"codeRate":"CR_4_5"}}}}\n'
)
TTN = (
    b'{"end_device_ids":{"device_id":"pond-1","dev_eui":"02AABBCCDDEEFF01","dev_addr":"02345678"},"received_at":'
    b'"2024-05-14T08:15:30.425Z","uplink_message":{"session_key_id":"AY93","f_port":2,"f_cnt":4,"frm_payload":"A2cBEAVnAP8=",'
    b'"decoded_payload":{"temperature_3":27.2,"temperature_5":25.5},"rx_metadata":[{"gateway_ids":{"gateway_id":"roof-1",'
    b'"eui":"B827EBFFFE112233"},"timestamp":3512348611,"rssi":-57,"snr":8.2}],"settings":{"data_rate":{"lora":{'
    b'"bandwidth":125000,"spreading_factor":7,"coding_rate":"4/5"}},"frequency":"868500000"},'
    b'"received_at":"2024-05-14T08:15:30.221Z"}}\n'
)
EUI = "b827ebfffe112233"
PCAP = pcap_record(Frame("b827ebfffe112233", START_US, PHY_PAYLOAD, RxInfo(-57, 8.25, 7, 125.0, "4/5", 868.5)))


def json_loads(stream: bytes) -> None:
    for line in stream.splitlines():
        json.loads(line)


def unhexlify(stream: bytes) -> None:
    for line in stream.splitlines():
        digits = line[-len(HEX) :]
        if len(digits) == len(HEX):
            binascii.unhexlify(digits)


def a2b_base64(stream: bytes) -> None:
    for line in stream.splitlines():
        binascii.a2b_base64(line)


def unpack(layout: str, stride: int) -> Callable[[bytes], None]:
    header = struct.Struct(layout)

    def work(stream: bytes) -> None:
        for at in range(0, len(stream) - header.size, stride):
            header.unpack_from(stream, at)

    return work


LOWCOST = packet(PHY_PAYLOAD, START_US)
# Format, what there is once, what there is of each frame, the least work, and what that is.
INPUTS: list[tuple[str, bytes, bytes, Callable[[bytes], None], str]] = [
    ("lowcost", b"", LOWCOST, unpack("<21s", len(LOWCOST)), "struct"),
    ("rxpk", b"", RXPK % 3512348611, json_loads, "json.loads"),
    ("lines", b"", HEX + b"\n", unhexlify, "unhexlify"),
    ("lines", b"", BASE64 + b"\n", a2b_base64, "a2b_base64"),
    ("rn2483", b"", b"radio_rx  " + HEX + b"\r\n8\r\n-57\r\nok\r\n", unhexlify, "unhexlify"),
    ("rak", b"", b"+EVT:RXP2P:-57:8:" + HEX + b"\r\n", unhexlify, "unhexlify"),
    ("reyax", b"", REYAX, unpack("<5s2x3x21s", len(REYAX)), "struct"),
    ("chirpstack", b"", CHIRPSTACK, json_loads, "json.loads"),
    ("ttn", b"", TTN, json_loads, "json.loads"),
    ("pcap", write_pcap_header(), PCAP, unpack("<IIII", len(PCAP)), "struct"),
]


def microseconds(work: Callable[[], object], frames: int) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) / frames * 1e6


def parse(name: str, chunks: list[bytes]) -> int:
    parser = FORMATS[name]("gw1", UTC)
    return sum(len(parser.feed(chunk, START_US)) for chunk in chunks) + len(parser.finish(START_US))


def udp(datagrams: list[bytes]) -> int:
    """What is done to each datagram, as `sources.udp` does it."""
    queue, events = PushQueue(), 0
    for at in range(0, len(datagrams), 64):
        for data in datagrams[at : at + 64]:
            datagram = read_datagram(data)
            queue.put(Push(datagram.gateway, datagram.token, datagram.body, START_US, 0.0))
        for push in queue.take(64, 0.0):
            events += len(read_push_data(push.body, push.gateway, push.time_us).events)
    return events


def push_datagram(number: int, eui: str = EUI) -> bytes:
    """Return a PUSH_DATA with one frame."""
    return bytes((2, *(number & 0xFFFF).to_bytes(2), 0)) + bytes.fromhex(eui) + RXPK % number


def push_datagrams(frames: int) -> list[bytes]:
    return [push_datagram(number) for number in range(frames)]


def mqtt(messages: list[bytes]) -> int:
    return sum(parse("chirpstack", [message]) for message in messages)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=5_000)
    frames = options.parse_args().frames
    sys.stdout.write(f"{'µs a frame':12}{'bytes':>6}  {'lora-post':26}{'least':26}{'ratio':>5}\n")
    for name, head, one, least, what in INPUTS:
        stream = head + one * frames
        chunks = [stream[at : at + CHUNK] for at in range(0, len(stream), CHUNK)]
        if parse(name, chunks) != frames:
            raise SystemExit(f"{name}: not {frames} frames")
        show(name, len(one), partial(parse, name, chunks), partial(least, stream), frames, what)
    datagrams = push_datagrams(frames)
    if udp(datagrams) != frames:
        raise SystemExit(f"udp: not {frames} frames")
    lines = b"".join(data[12:] for data in datagrams)
    show("udp", len(datagrams[-1]), partial(udp, datagrams), partial(json_loads, lines), frames, "json.loads")
    messages = partial(mqtt, [CHIRPSTACK] * frames)
    show("mqtt", len(CHIRPSTACK), messages, partial(json_loads, CHIRPSTACK * frames), frames, "json.loads")


def show(name: str, size: int, ours: Callable[[], object], least: Callable[[], object], frames: int, what: str) -> None:
    found = by_turns({"ours": partial(microseconds, ours, frames), "least": partial(microseconds, least, frames)}, RUNS)
    sys.stdout.write(
        f"{name:12}{size:6}  {spread(found['ours'], 2):26}{spread(found['least'], 2):26}"
        f"{ratio(found['ours'], found['least']):5.1f}  {what}\n"
    )


if __name__ == "__main__":
    main()
