"""Hostile values in every field of every JSON that an input reads, through the parsers and their boundary.

Each field is replaced in turn by each value, and removed; lists and objects are replaced whole, too. Nothing may raise:
what `GuardedParser` and `UdpInput` would catch is a failure here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC
from itertools import islice
from typing import Final, TypeAlias

from lora_post.formats import FORMATS
from lora_post.formats.guarded import GuardedParser
from lora_post.formats.rxpk_json import read_push_data
from lora_post.formats.semtech_udp import read_datagram
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.model import ClearUplink, Frame, Heard, Noise, NoiseReason
from lora_post.times import WallUs

NOW_US: Final = WallUs(1_772_366_400_000_000)
EUI: Final = "b827ebfffe112233"

HOSTILE: Final = {
    "310 digits": "9" * 310,
    "-310 digits": "-" + "9" * 310,
    "10^4 digits": "7" * 10_000,
    "10^4 decimals": "0." + "7" * 10_000,
    "1e308": "1e308",
    "-1e308": "-1e308",
    "1e309": "1e309",
    "1e-400": "1e-400",
    "2^63": str(2**63),
    "2^64": str(2**64),
    "-2^63": str(-(2**63)),
    "-1": "-1",
    "0": "0",
    "half": "0.5",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "null": "null",
    "true": "true",
    "false": "false",
    "empty text": '""',
    "blank": '" "',
    "text": '"x"',
    "digits in a text": '"' + "9" * 310 + '"',
    "many digits in a text": '"' + "9" * 10_000 + '"',
    "foreign digits": '"\u0663\u00b2"',
    "exponent in a text": '"1e999"',
    "NaN in a text": '"nan"',
    "null byte": '"\\u0000"',
    "half a character": '"\\ud800"',
    "year 0": '"0000-00-00T00:00:00Z"',
    "year 9999": '"9999-12-31T23:59:60.999999999+99:99"',
    "year 1": '"0001-01-01T00:00:00+14:00"',
    "base64": '"AAAA"',
    "long text": '"' + "A" * 20_000 + '"',
    "empty list": "[]",
    "list of null": "[null]",
    "list of lists": "[[[]]]",
    "list of numbers": "[" + "9" * 310 + ",1e999,-1]",
    "empty object": "{}",
    "object": '{"a":{"b":null}}',
    "empty key": '{"":0}',
    "deep lists": "[" * 3000 + "]" * 3000,
    "deep objects": '{"a":' * 3000 + "0" + "}" * 3000,
    "open lists": "[" * 3000,
    "broken": "{,",
    "no UTF-8": "\udcff",
}
"""Name of a value -> its JSON text."""

_RXPK = {
    "time": "2026-03-01T12:00:00.123456Z", "tmms": 1_456_000_000_000, "tmst": 3_512_348_611, "chan": 2, "rfch": 0,
    "freq": 868.5, "stat": 1, "modu": "LORA", "datr": "SF7BW125", "codr": "4/5", "rssi": -57, "lsnr": 8.2, "size": 21,
    "rsig": [{"ant": 0, "chan": 1, "rssic": -57, "lsnr": 8.2}], "data": "QANcqwEAAAACxT+q1Ckpr7zYNLxj",
}  # fmt: skip
_STAT = {
    "time": "2026-03-01 12:00:00 GMT", "rxnb": 2, "rxok": 2, "rxfw": 2, "ackr": 100.0, "dwnb": 0, "txnb": 0,
    "temp": 31.5, "lati": 48.1, "long": 11.5, "alti": 500,
}  # fmt: skip
_CHIRPSTACK = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d", "time": "2026-03-01T12:00:00.123Z",
    "deviceInfo": {"devEui": "02aabbccddeeff01", "deviceName": "pond", "tags": {"a": "b"}}, "devAddr": "00189440",
    "adr": True, "dr": 1, "fCnt": 4, "fPort": 2, "confirmed": False, "data": "A2cBEAVnAP8=", "object": {"t": 22.5},
    "rxInfo": [{
        "gatewayId": "b827ebfffe112233", "rssi": -57, "snr": 8.2, "time": "2026-03-01T12:00:00Z", "channel": 2,
        "nsTime": "2026-03-01T12:00:00Z", "gwTime": "2026-03-01T12:00:00Z", "location": {"latitude": 48.1},
    }],
    "txInfo": {"frequency": 868_500_000, "modulation": {
        "lora": {"bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5"},
    }},
}  # fmt: skip
_CHIRPSTACK_3 = {
    "applicationID": "1", "deviceName": "pond", "devEUI": "AqqgzN3u/wE=", "fCnt": 4, "fPort": 2, "data": "A2cBEAVnAP8=",
    "rxInfo": [{"gatewayID": "uCfr//4RIjM=", "rssi": -57, "loRaSNR": 8.2, "time": "2026-03-01T12:00:00Z"}],
    "txInfo": {"frequency": 868_500_000, "dr": 5},
}  # fmt: skip
_TTN = {
    "end_device_ids": {
        "device_id": "pond", "dev_eui": "02AABBCCDDEEFF01", "application_ids": {"application_id": "farm"},
    },
    "received_at": "2026-03-01T12:00:00.2Z",
    "uplink_message": {
        "f_port": 2, "f_cnt": 4, "frm_payload": "A2cBEAVnAP8=", "decoded_payload": {"t": 22.5},
        "rx_metadata": [{
            "gateway_ids": {"gateway_id": "roof", "eui": "B827EBFFFE112233"}, "rssi": -57, "channel_rssi": -57,
            "snr": 8.2, "time": "2026-03-01T12:00:00.1Z", "timestamp": 1, "received_at": "2026-03-01T12:00:00.1Z",
        }],
        "settings": {
            "data_rate": {"lora": {"bandwidth": 125_000, "spreading_factor": 7, "coding_rate": "4/5"}},
            "frequency": "868500000", "time": "2026-03-01T12:00:00.1Z", "timestamp": 1,
        },
        "received_at": "2026-03-01T12:00:00.123456789Z", "session_key_id": "AA==", "last_a_f_cnt_down": 1,
    },
}  # fmt: skip
_TTN_2 = {
    "app_id": "farm", "dev_id": "pond", "hardware_serial": "02AABBCCDDEEFF01", "port": 2, "counter": 4,
    "payload_raw": "A2cBEAVnAP8=", "metadata": {"time": "2026-03-01T12:00:00Z", "frequency": 868.5},
}  # fmt: skip
_STATION: Final = {
    "msgtype": "updf", "MHdr": 64, "DevAddr": 1_639_104, "FCtrl": 0, "FCnt": 4, "FOpts": "", "FPort": 2,
    "FRMPayload": "036701", "MIC": -1_234, "DR": 5, "Freq": 868_500_000,
    "upinfo": {"rctx": 0, "xtime": 1, "gpstime": 0, "rssi": -57, "snr": 8.2, "rxtime": 1_772_366_400.1},
}  # fmt: skip

Samples: TypeAlias = dict[str, object]

SAMPLES: Final[dict[str, Samples]] = {
    "rxpk": {
        "rxpk": {"rxpk": [_RXPK, _RXPK]},
        "alone": _RXPK,
        "stat": {"stat": _STAT},
        "both": {"rxpk": [_RXPK], "stat": _STAT},
        "ack": {"txpk_ack": {"error": "NONE", "warn": "x", "value": 20}},
        "txpk": {"txpk": {"imme": True, "freq": 868.5, "data": "AAAA", "size": 3}},
    },
    "station": {
        "data": _STATION,
        "join": {
            "msgtype": "jreq",
            "MHdr": 0,
            "JoinEui": "70-B3-D5-7E-D0-01-9A-7C",
            "DevEui": "00-8B-1A-90-C8-D4-A8-B2",
            "DevNonce": 23,
            "MIC": -1,
            "DR": 5,
            "Freq": 868_100_000,
            "upinfo": _STATION["upinfo"],
        },
        "proprietary": {"msgtype": "propdf", "FRMPayload": "e0aa", "upinfo": _STATION["upinfo"]},
    },
    "chirpstack": {
        "4": _CHIRPSTACK,
        "3": _CHIRPSTACK_3,
        "join": {"deviceInfo": {"devEui": "02aabbccddeeff01"}, "devAddr": "00189440"},
        "ack": {"deviceInfo": {"devEui": "02aabbccddeeff01"}, "acknowledged": True, "fCntDown": 1},
        "status": {"deviceInfo": {"devEui": "02aabbccddeeff01"}, "margin": 1, "batteryLevel": 50.5},
    },
    "ttn": {"3": _TTN, "2": _TTN_2, "join": {"end_device_ids": _TTN["end_device_ids"], "join_accept": {"x": 1}}},
}
"""Format -> a message of each kind that its stream may have; "auto" is given all of them."""

PREFIXES: Final = ("", "application/1/device/02aabbccddeeff01/event/up ", "v3/farm@ttn/devices/pond/up ", "JSON up: ")
"""What stands before the JSON in some streams."""

_MARK: Final = "\x1a"
_REMOVED: Final = object()


def mutations(sample: object) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON text of each change of a message, with a name for it."""
    for place, marked in _places(sample):
        text = json.dumps(marked)
        for name, value in HOSTILE.items():
            changed = text.replace(json.dumps(_MARK), value, 1)
            yield f"{place}: {name}", changed.encode("utf-8", "surrogateescape")
    for place, without in _without(sample):
        yield f"{place}: removed", json.dumps(without).encode()


def _places(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Yield the message once for each of its values, with a mark in its stead."""
    yield place, _MARK
    for key, inner in _inner(value):
        for deeper, marked in _places(inner, f"{place}.{key}"):
            yield deeper, _with(value, key, marked)


def _without(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    for key, inner in _inner(value):
        yield f"{place}.{key}", _with(value, key, _REMOVED)
        for deeper, changed in _without(inner, f"{place}.{key}"):
            yield deeper, _with(value, key, changed)


def _inner(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _with(value: object, key: str | int, new: object) -> object:
    """Return a copy of an object or list with another value at one place."""
    pairs = [(at, new if at == key else old) for at, old in _inner(value)]
    kept = [(at, one) for at, one in pairs if one is not _REMOVED]
    return dict(kept) if isinstance(value, dict) else [one for _, one in kept]


def examine_json(name: str, step: int = 1) -> int:
    """Feed each `step`-th mutation of a format's messages; return how many. Raises AssertionError for what raises."""
    wanted = [name] if name in SAMPLES else list(SAMPLES)
    readers: list[Callable[[bytes], object]] = [_streamed(name)]
    if name == "rxpk":
        readers.append(_pushed)
    fed = 0
    for kind, sample in ((f"{each} {kind}", sample) for each in wanted for kind, sample in SAMPLES[each].items()):
        for change, text in islice(mutations(sample), 0, None, step):
            for prefix in PREFIXES:
                for read in readers if not prefix else readers[:1]:
                    try:
                        read(prefix.encode() + text)
                    except Exception as error:
                        raise AssertionError(f"{name}, {kind}, {prefix}{change}: {error!r}") from error
                    fed += 1
    return fed


def _streamed(name: str) -> Callable[[bytes], object]:
    def read(text: bytes) -> None:
        parser = FORMATS[name]("gw1", UTC)
        inner = parser.inner if isinstance(parser, GuardedParser) else parser
        for event in [*inner.feed(text + b"\n", NOW_US), *inner.finish(NOW_US)]:
            _assert_sound(event)

    return read


def _pushed(text: bytes) -> None:
    book = GatewayBook("udp")
    datagram = read_datagram(bytes.fromhex("02123400" + EUI) + text)
    book.heard(datagram.gateway, "192.0.2.1:1700")
    found = read_push_data(datagram.body, datagram.gateway, NOW_US)
    book.told(datagram.gateway, found.stat)
    assert all(f"{value:g}" and float(value) == float(value) for value in found.stat.values())
    json.dumps([gateway.stat for gateway in book.snapshot(1)], allow_nan=False)
    for event in found.events:
        _assert_sound(event)


def _assert_sound(event: Heard) -> None:
    if isinstance(event, Noise):
        assert event.reason is not NoiseReason.DEFECT and event.detail.isprintable() and len(event.detail) < 1000, event
    elif isinstance(event, Frame):
        assert len(event.phy_payload) <= 255
    else:
        assert isinstance(event, ClearUplink) and 0 <= event.fcnt < 1 << 32
