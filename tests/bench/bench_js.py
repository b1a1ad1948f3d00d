"""JavaScript codecs: ours beside a bare call of the same function in the same engine, in one run.

The bare call gets the bytes as a list and returns JSON text, which is parsed: without any protection
against the codec, in one world for all frames. Ours enters the file anew for each frame, has limits,
checks that nothing was left behind, and makes readings. By turns: the least, and the median of the ratios. Of a call
also the CPU time here and in the process of the codecs, the same of a call among many that go there in one message, as
those of frames that wait, and the wall time of one that comes after a pause, as most do.

    python -m tests.bench js [FILE.js FPORT HEX]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec
import quickjs  # type: ignore[import-untyped]

from lora_post.decoding.javascript.codec import load_js_codec
from lora_post.decoding.javascript.host import HOST, Codec
from tests.bench.turns import by_turns, ratio

# As vendors write them: channels and types, a polyfill, helper functions.
TYPICAL = """
function decodeUplink(input) { return { data: decode(input.bytes) }; }
function Decode(fPort, bytes) { return decode(bytes); }
function Decoder(bytes, port) { return decode(bytes); }
function decode(bytes) {
  var out = {};
  for (var i = 0; i < bytes.length; ) {
    var channel = bytes[i++], type = bytes[i++];
    if (channel === 0x01 && type === 0x75) { out.battery = bytes[i]; i += 1; }
    else if (channel === 0x03 && type === 0x67) { out.temperature = int16(bytes.slice(i, i + 2)) / 10; i += 2; }
    else if (channel === 0x04 && type === 0x68) { out.humidity = bytes[i] / 2; i += 1; }
    else if (channel === 0x20 && type === 0xce) {
      var point = {};
      point.timestamp = uint32(bytes.slice(i, i + 4));
      point.temperature = int16(bytes.slice(i + 4, i + 6)) / 10;
      point.humidity = bytes[i + 6] / 2;
      out.history = out.history || [];
      out.history.push(point);
      i += 7;
    } else break;
  }
  return out;
}
function uint16(bytes) { return ((bytes[1] << 8) + bytes[0]) & 0xffff; }
function int16(bytes) { var value = uint16(bytes); return value > 0x7fff ? value - 0x10000 : value; }
function uint32(bytes) { return ((bytes[3] << 24) + (bytes[2] << 16) + (bytes[1] << 8) + bytes[0]) >>> 0; }
if (!Object.assign) {
  Object.defineProperty(Object, "assign", { value: function (target) { return target; } });
}
"""
SMALL = "function Decoder(b, port) { return { temperature: ((b[0] << 8) | b[1]) / 100, battery: b[2] / 50 }; }"
CASES = {
    "two values": (SMALL, 5, "0898b4"),
    "three channels": (TYPICAL, 85, "0175640367040104687b"),
    "four in a history": (TYPICAL, 85, "20ce6de0e0650401 7b".replace(" ", "") * 4),
}
CALLS, RUNS = 500, 7
PAUSE_S, PAUSES = 0.02, 10
TOGETHER = 64
CODECS = 20


def microseconds(call: Callable[[], object], calls: int = CALLS, pause_s: float = 0.0) -> float:
    """Wall time of a call: the median, which other processes on this machine change least."""

    def once() -> float:
        if pause_s:
            time.sleep(pause_s)
        began = time.perf_counter()
        call()
        return (time.perf_counter() - began) * 1e6

    return median(once() for _ in range(calls))


def cpu_microseconds(work: Callable[[], None]) -> tuple[float, float]:
    """CPU time of a call, here and in the process of the codecs; the least of some runs. work: CALLS calls."""

    def once() -> tuple[float, float]:
        here, there = time.process_time(), _there_s()
        work()
        return (time.process_time() - here) / CALLS * 1e6, (_there_s() - there) / CALLS * 1e6

    return min((once() for _ in range(RUNS)), key=sum)


def one_by_one(codec: Codec, payload: bytes, fport: int) -> None:
    for _ in range(CALLS):
        codec.call(payload, fport, "", 0.0)


def together(codec: Codec, payload: bytes, fport: int) -> None:
    for first in range(0, CALLS, TOGETHER):
        times = range(first, min(first + TOGETHER, CALLS))
        for time_s in times:
            codec.expect(payload, fport, "", time_s)
        for time_s in times:
            codec.call(payload, fport, "", time_s)


def _there_s() -> float:
    return int(Path(f"/proc/{HOST.pid}/schedstat").read_text().split()[0]) / 1e9


def bare(text: str, fport: int, payload: bytes) -> Callable[[], object]:
    world = quickjs.Context()
    world.eval(text)
    call = world.eval(
        "(function (text, fPort) { var bytes = JSON.parse(text);"
        "return JSON.stringify(typeof decodeUplink === 'function' ? decodeUplink({bytes: bytes, fPort: fPort})"
        ": {data: typeof Decode === 'function' ? Decode(fPort, bytes) : Decoder(bytes, fPort)}); })"
    )
    return lambda: msgspec.json.decode(call(str(list(payload)), fport))


def resident_kib() -> int:
    return int(Path(f"/proc/{HOST.pid}/statm").read_text().split()[1]) * 4


def main() -> None:
    if len(sys.argv) == 4:
        cases = {Path(sys.argv[1]).name: (Path(sys.argv[1]).read_text(), int(sys.argv[2]), sys.argv[3])}
    else:
        cases = CASES
    print(
        f"{'µs per frame':20}{'bare':>7}{'lora-post':>11}{'CPU here':>10}{'there':>7}{f'of {TOGETHER}':>8}"
        f"{'CPU here':>10}{'there':>7}{f'after {PAUSE_S * 1000:.0f} ms':>13}{'readings too':>14}{'ratio':>7}"
    )
    for name, (text, fport, digits) in cases.items():
        payload = bytes.fromhex(digits)
        codec = Codec(text)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "codec.js"
            path.write_text(text)
            decode = load_js_codec(path).decode
        call = partial(codec.call, payload, fport, "", 0.0)
        works: dict[str, Callable[[], object]] = {
            "bare": bare(text, fport, payload),
            "call": call,
            "readings": partial(decode, payload, fport),
        }
        many = partial(together, codec, payload, fport)
        found = by_turns(
            {
                **{what: partial(microseconds, work) for what, work in works.items()},
                "many": partial(microseconds, many, 1),
                "pause": partial(microseconds, call, PAUSES, PAUSE_S),
            },
            RUNS,
        )
        here, there = cpu_microseconds(partial(one_by_one, codec, payload, fport))
        here_of_many, there_of_many = cpu_microseconds(many)
        way = "" if codec.is_closed else "  (a new world each)"
        print(
            f"{name:20}{min(found['bare']):7.1f}{min(found['call']):11.1f}{here:10.1f}{there:7.1f}"
            f"{min(found['many']) / CALLS:8.1f}{here_of_many:10.1f}{there_of_many:7.1f}{min(found['pause']):13.0f}"
            f"{min(found['readings']):14.1f}{ratio(found['readings'], found['bare']):7.1f}{way}"
        )
    text, fport, digits = next(iter(cases.values()))
    before = resident_kib()
    loaded = [Codec(text) for _ in range(CODECS)]
    listed = resident_kib()
    for codec in loaded:
        codec.call(bytes.fromhex(digits), fport, "", 0.0)
    used = resident_kib()
    print(f"KiB per codec: {(listed - before) / CODECS:.0f} loaded, {(used - before) / CODECS:.0f} in use")


if __name__ == "__main__":
    main()
