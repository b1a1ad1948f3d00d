"""JavaScript codecs: the dialects, the host objects, the limits, and that no frame sees another one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post import ConfigError, Decoded, Reading, WrongFormat
from lora_post.clocks.scale import boot_zero
from lora_post.decoding.choice import Decoding
from lora_post.decoding.decode import decode
from lora_post.decoding.javascript.answer import CodecResult
from lora_post.decoding.javascript.codec import load_js_codec
from lora_post.decoding.javascript.host import HOST, Codec
from lora_post.decoding.loading import load_decoder, load_folder
from lora_post.errors import DecoderCrash, DecoderHang
from lora_post.metrics import Metrics
from lora_post.model import Decoder
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger
from lora_post.times import WallUs
from lora_post.uplink.model import Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, device, frame
from tests.support.command import PATIENCE_S
from tests.support.in_process import lora_post
from tests.support.paths import FIXTURES

HOSTILE = sorted((FIXTURES / "hostile_codecs").glob("*.js"))

TS013 = """
    function decodeUplink(input) {
      if (input.fPort !== 5) return { errors: ["unexpected FPort " + input.fPort] };
      var b = input.bytes;
      var t = (b[0] << 8) | b[1];
      if (t > 32767) t -= 65536;
      return { data: { temperature: t / 100, battery: b[2] / 50 }, warnings: b[2] < 150 ? ["low battery"] : [] };
    }
    """
NORMALIZES = (
    TS013
    + """
    function normalizeUplink(input) {
      return { data: { air: { temperature: input.data.temperature }, battery: input.data.battery } };
    }
    """
)


def call(text: str, payload: bytes = b"\x01", fport: int = 1, variables: str = "") -> CodecResult:
    return Codec(dedent(text)).call(payload, fport, variables, time())


def values(expressions: Iterable[str], payload: bytes = b"\x01") -> dict[str, object]:
    """What expressions are inside of a codec."""
    named = {f"e{number}": expression for number, expression in enumerate(expressions)}
    fields = ",\n".join(f"{name}: {expression}" for name, expression in named.items())
    data = call(f"function decodeUplink(input) {{ return {{ data: {{\n{fields}\n}} }}; }}", payload).data
    return {expression: data.get(name, "absent") for name, expression in named.items()}


def value(expression: str, payload: bytes = b"\x01") -> object:
    """What an expression is inside of a codec."""
    return values([expression], payload)[expression]


def codec_file(folder: Path, text: str, name: str = "acme-th1.js") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def uplink(payload: bytes, fport: int) -> Uplink:
    return Uplink(frame(), device(), 1, fport, payload, authentic=True)


# dialects


def test_ts013_gives_data_and_warnings() -> None:
    assert call(TS013, bytes.fromhex("0898b4"), 5) == CodecResult({"temperature": 22, "battery": 3.6})
    assert call(TS013, bytes.fromhex("ff388c"), 5) == CodecResult(
        {"temperature": -2, "battery": 2.8}, None, ("low battery",)
    )


def test_ts013_errors_leave_no_data() -> None:
    assert call(TS013, b"\0\0\0", 9) == CodecResult(errors=("unexpected FPort 9",))


def test_normalize_uplink_sees_the_data_and_adds_its_own() -> None:
    answer = call(NORMALIZES, bytes.fromhex("0898b4"), 5)
    assert answer.data == {"temperature": 22, "battery": 3.6}
    assert answer.normalized == {"air": {"temperature": 22}, "battery": 3.6}


def test_normalize_uplink_that_fails_costs_a_warning_only() -> None:
    answer = call(TS013 + "function normalizeUplink(input) { input.data.none.of.this; }", bytes.fromhex("0898b4"), 5)
    assert answer.data == {"temperature": 22, "battery": 3.6}
    assert answer.normalized is None
    assert answer.warnings[0].startswith("normalizeUplink: TypeError")


def test_chirpstack_v3_takes_fport_first_and_variables() -> None:
    text = "function Decode(fPort, bytes, variables) { return { port: fPort, first: bytes[0], v: variables }; }"
    assert call(text, b"\x2a", 7, '{"offset":"1.5"}').data == {"port": 7, "first": 42, "v": {"offset": "1.5"}}
    assert call(text, b"\x2a", 7).data["v"] == {}


def test_ttn_v2_takes_bytes_first() -> None:
    assert call("function Decoder(bytes, port) { return { port: port, n: bytes.length }; }", b"\1\2", 7).data == {
        "port": 7,
        "n": 2,
    }


def test_newest_dialect_wins() -> None:
    functions = {
        "decodeUplink": "function decodeUplink(i) { return {data: {from: 'decodeUplink'}}; }\n",
        "Decode": "function Decode(p, b) { return {from: 'Decode'}; }\n",
        "Decoder": "function Decoder(b, p) { return {from: 'Decoder'}; }\n",
    }
    names = list(functions)
    for index, name in enumerate(names):
        assert call("".join(functions[other] for other in reversed(names[index:]))).data == {"from": name}


def test_input_has_a_plain_array_a_date_and_variables() -> None:
    text = """
        function decodeUplink(input) {
          return { data: {
            array: Array.isArray(input.bytes), date: input.recvTime instanceof Date,
            near: Math.abs(input.recvTime - Date.now()) < 60000, variables: input.variables,
            keys: Object.keys(input) } };
        }
        """
    assert call(text).data == {
        "array": True,
        "date": True,
        "near": True,
        "variables": {},
        "keys": ["bytes", "fPort", "recvTime", "variables"],
    }


BODY = "{ return { data: { ok: input.bytes[0] } }; }"
MODULE_OF_BUFFER = """
import { Buffer } from 'buffer';
export const decodeUplink = (input) => ({ data: { ok: Buffer.from(input.bytes).readUInt8(0) } });
"""
REQUIRES_BUFFER = """
const { Buffer: B } = require('node:buffer');
function decodeUplink(input) { return { data: { ok: B.from(input.bytes)[0] } }; }
"""


@pytest.mark.parametrize(
    "text",
    [
        f"function decodeUplink(input) {BODY} // no line ends this comment",
        f"var decodeUplink = function (input) {BODY};",
        f"const decodeUplink = (input) => {BODY};",
        f"decodeUplink = function (input) {BODY};",
        f"'use strict';\nfunction decodeUplink(input) {BODY}\nmodule.exports = {{ decodeUplink }};",
        f"module.exports.decodeUplink = (input) => {BODY};",
        f"exports.decodeUplink = (input) => {BODY};",
        f"exports.__proto__ = {{ decodeUplink: (input) => {BODY} }};",
        f"class Codec {{ decodeUplink(input) {BODY} }}\nObject.setPrototypeOf(exports, Codec.prototype);",
        f"class Codec {{ decodeUplink(input) {BODY} }}\nmodule.exports = new Codec();",
        f"function decodeUplink(input) {BODY}\nif (typeof module !== 'undefined') module.exports = decodeUplink;",
        f"export function decodeUplink(input) {BODY}",
        f"export default function decodeUplink(input) {BODY}",
        f"export default {{ decodeUplink: (input) => {BODY} }};",
        f"const f = (input) => {BODY};\nexport {{ f as decodeUplink }};",
        MODULE_OF_BUFFER,
        REQUIRES_BUFFER,
    ],
)
def test_entry_points_are_found_however_a_file_offers_them(text: str) -> None:
    assert call(text, b"\x2a").data == {"ok": 42}


def test_plain_scripts_may_call_their_functions_on_this() -> None:
    text = """
        function decodeUplink(input) { return { data: { ok: this.first(input.bytes) } }; }
        function first(bytes) { return bytes[0]; }
        """
    assert call(text, b"\x2a").data == {"ok": 42}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("function decodeUplink( {", "SyntaxError"),
        ("function decodeDownlink(input) { return {}; }", "there is no function decodeUplink, Decode or Decoder"),
        ("var decodeUplink = 5;", "there is no function"),
        ("import { x } from './helper.js';\nexport function decodeUplink() {}", "it imports './helper.js'"),
        ("require('fs');\nfunction decodeUplink() {}", "Cannot find module 'fs'"),
        ("\n\nnothing.at.all;\nfunction decodeUplink() {}", "line 3"),
        ("for (;;) {}\nfunction decodeUplink() {}", "took longer than 1000 ms to load"),
        ("}); (function () {\nfunction decodeUplink() { return {data: {}}; }", "SyntaxError"),
        ("", "there is no function"),
    ],
)
def test_unusable_file_says_why(text: str, complaint: str) -> None:
    with pytest.raises((DecoderCrash, DecoderHang), match=complaint):
        Codec(text)


def test_object_with_a_function_decode_is_a_way_in() -> None:
    text = """
        var acme_decoder = {
          VERSION: 2,
          decode: function (msg) {
            if (msg[0] !== this.VERSION) return { error: "version " + msg[0] };
            return { level: { value: msg[1], unit: "cm" } };
          }
        };
        function main() { console.log(acme_decoder.decode("0207")); }
        main();
        """
    assert call(text, b"\2\7").data == {"level": {"value": 7, "unit": "cm"}}
    with pytest.raises(DecoderCrash, match="version 1"):
        call(text, b"\1\7")


ENCODES = """
    function encodeDownlink(input) { return { bytes: [1], fPort: 2 }; }
    function decodeDownlink(input) { return { data: {} }; }
    """


def test_file_with_an_encoder_only_is_loaded_and_says_what_it_has(tmp_path: Path) -> None:
    decoder = load(tmp_path, ENCODES, "acme-th1-encoder.js")
    assert decoder.functions == ("encodeDownlink", "decodeDownlink")
    ran = lora_post("decode", "--decoder", decoder.origin, "--payload", "00")
    assert "the codec has encodeDownlink, decodeDownlink for downlinks, and nothing that decodes uplinks" in ran.out
    both = load(tmp_path, TS013 + ENCODES + "function Encoder() {} function Encode() {}")
    assert both.functions == ("decodeUplink", "encodeDownlink", "decodeDownlink", "Encode", "Encoder")


def test_codec_in_a_txt_file_is_one_and_other_texts_are_not(tmp_path: Path) -> None:
    codec_file(tmp_path, TS013, "LHT65N decoder.txt")
    (tmp_path / "notes.txt").write_text("the function of decodeUplink is to decode\n")
    found = load_folder(tmp_path)
    assert (list(found.decoders), found.problems) == (["lht65n-decoder"], ())
    ran = lora_post("decode", "--decoder", tmp_path / "LHT65N decoder.txt", "--fport", "5", "--payload", "0898b4")
    assert 'data      {"temperature": 22, "battery": 3.6}' in ran.out


def test_nul_in_a_text_is_a_character_as_any_other() -> None:
    nul = 'function decodeUplink(input) { return { data: { it: "a\0b\\\0\\\\\0" } }; } // \0'
    assert call(nul).data == {"it": "a\0b\0\\\0"}
    with pytest.raises(DecoderCrash, match="SyntaxError"):
        Codec("function \0decodeUplink(input) {}")


# host objects


TEXTS = dict(
    [
        ("(1234567.891).toLocaleString()", "1,234,567.891"),
        ("(-1234.5).toLocaleString('de-DE')", "-1,234.5"),
        ("(0.0005).toLocaleString() + (1.0015).toLocaleString()", "0.0011.002"),
        ("(7).toLocaleString('en-US', { minimumIntegerDigits: 2, useGrouping: false })", "07"),
        ("(2.5).toLocaleString(undefined, { minimumFractionDigits: 2 })", "2.50"),
        ("(1234.5678).toLocaleString('en', { maximumFractionDigits: 0 })", "1,235"),
        ("(1e21).toLocaleString() + NaN.toLocaleString()", "1,000,000,000,000,000,000,000NaN"),
        ("new Date(1672887845000).toLocaleString()", "1/5/2023, 3:04:05 AM"),
        ("new Date(1700000000000).toLocaleDateString()", "11/14/2023"),
        ("new Date(1700000000000).toLocaleTimeString()", "10:13:20 PM"),
        ("new Date(NaN).toLocaleString()", "Invalid Date"),
        ("new Date(2023, 0, 5, 3).getTime()", 1672887600000),
        ("new Date().getTimezoneOffset()", 0),
    ]
)


def test_texts_for_people_and_local_times_are_as_in_node_at_a_server() -> None:
    assert values(TEXTS) == TEXTS


GUARDED = dict(
    [
        ("Buffer.from(input.bytes).readInt16BE(0)", -2),
        ("Buffer.from(input.bytes).readUInt16LE(0)", 0xFEFF),
        ("Buffer.from(input.bytes).readUintBE(0, 3)", 0xFFFE01),
        ("Buffer.from(input.bytes).readIntLE(0, 3)", 0x01FEFF),
        ("Buffer.from([0, 0, 0xc8, 0x41]).readFloatLE(0)", 25),
        ("Buffer.from('40390000000000000', 'hex').readDoubleBE(0)", 25),
        ("Number(Buffer.from('0000000000000102', 'hex').readBigUInt64BE())", 258),
        ("Buffer.from(input.bytes).toString('hex')", "fffe0180"),
        ("Buffer.from(input.bytes).slice(1, 3).toString('hex')", "fe01"),
        ("Buffer.from('AQI=', 'base64').length", 2),
        ("Buffer.from('é€😀').toString('hex')", "c3a9e282acf09f9880"),
        ("Buffer.from('c3a9e282acf09f9880', 'hex').toString()", "é€😀"),
        ("Buffer.from('41ff42', 'hex').toString('utf8')", "A�B"),
        ("Buffer.from('AZ').toString('ascii')", "AZ"),
        ("Buffer.from([1, 2]).equals(new Buffer([1, 2]))", True),
        ("Buffer.concat([Buffer.from([1]), Buffer.alloc(2, 7)]).toString('hex')", "010707"),
        ("Buffer.isBuffer(Buffer.alloc(1)) && !Buffer.isBuffer([])", True),
        ("(() => { const b = Buffer.alloc(4); b.writeInt16BE(-2, 1); return b.toString('hex'); })()", "00fffe00"),
        ("Buffer.from([1, 2])", {"type": "Buffer", "data": [1, 2]}),
        ("new Uint8Array([1, 2])", [1, 2]),
        ("btoa('abc') + atob('YWJj')", "YWJjabc"),
        ("new TextDecoder().decode(new Uint8Array([104, 195, 164]))", "hä"),
        ("new TextDecoder('utf-8').decode(Buffer.from('h'))", "h"),
        ("Array.from(new TextEncoder().encode('hä'))", [104, 195, 164]),
        ("console.log('x', {}) || console.error() || 'silent'", "silent"),
        ("new DataView(new Uint8Array(input.bytes).buffer).getInt16(0)", -2),
        ("Array.prototype.slice.call(arguments, 0).length", 1),
        ("Array.prototype.concat.apply([], [[1], [2, [3]]]).flat().join('-')", "1-2-3"),
        ("[3, 1, 2].sort().reverse().concat(9).slice(1, 3)", [2, 1]),
        ("String.raw`a${1}b` + 'a,b'.split(',').join('') + 'aXa'.replace(/a/g, 'b')", "a1babbXb"),
        ("'abcabc'.lastIndexOf('b') + 'abc'.indexOf('c')", 6),
        ("[1, [2]].toString() + [1, 2]", "1,21,2"),
    ]
)


def test_host_objects_and_guarded_builtins_work_as_elsewhere() -> None:
    assert values(GUARDED, b"\xff\xfe\x01\x80") == GUARDED


def test_reading_beyond_a_buffer_is_the_codecs_error() -> None:
    with pytest.raises(DecoderCrash, match="RangeError"):
        value("Buffer.from(input.bytes).readUInt32BE(1)", b"\1\2")


def test_objects_may_have_members_that_frozen_prototypes_have() -> None:
    text = """
        class Fault extends Error { constructor(m) { super(m); this.name = "Fault"; this.message = m + "!"; } }
        function Thing() { this.toString = function () { return "thing"; }; }
        Thing.prototype.constructor = Thing;
        function decodeUplink(input) {
          var out = { valueOf: 1 };
          out.toString = "text"; out.constructor = "made"; out.hasOwnProperty = 2;
          try { throw new Fault("broken"); } catch (e) { out.said = String(e); }
          out.thing = String(new Thing());
          return { data: out };
        }
        """
    assert call(text).data == {
        "valueOf": 1,
        "toString": "text",
        "constructor": "made",
        "hasOwnProperty": 2,
        "said": "Fault: broken!",
        "thing": "thing",
    }


# results


VALUES = dict(
    [
        ("undefined", "absent"),
        ("null", None),
        ("NaN", None),
        ("5n", 5),
        ("2n ** 70n", str(2**70)),
        ("1e300", 1e300),
        ("-0", 0),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("function () {}", "absent"),
        ("Symbol('x')", "absent"),
        ('"\\ud800 and \\\\ud800"', "� and \\ud800"),
        ("[undefined, 1]", [None, 1]),
    ]
)


def test_values_cross_the_border_as_json_says_them() -> None:
    assert values(VALUES) == VALUES


BY_MISTAKE = {
    "decodeUplink": """undefined | null | 5 | {} | [] | { data: undefined } | { data: null, warnings: [] }
        | { temperature: 22.5 } | { temperature: 22.5, warnings: ["low"] } | Promise.resolve({ data: { a: 1 } })
        | { data: { a: undefined } } | { data: new Map([[1, 2]]) } | { data: () => 1 } | { data: { a: 0 / 0 } }""",
    "Decode": "undefined | null | Promise.resolve({ a: 1 }) | { a: undefined } | () => 1 | 0 / 0 | [0 / 0]",
    "Decoder": "undefined | null | { a: Infinity }",
}
ON_PURPOSE = {
    "decodeUplink": """{ data: {} } | { data: [] } | { data: { a: null } } | { warnings: ["a start"] }
        | { data: null, warnings: "a start", errors: [] } | { data: { serial: 7 } } | { data: Object.create(null) }""",
    "Decode": "{} | [] | { a: null } | [null]",
    "Decoder": "{} | []",
}


@pytest.mark.parametrize("function", BY_MISTAKE)
def test_payload_is_kept_where_a_codec_gives_nothing_by_mistake(function: str, tmp_path: Path) -> None:
    by_mistake, on_purpose = (table[function].split("|") for table in (BY_MISTAKE, ON_PURPOSE))
    results = [*by_mistake, *on_purpose]
    given = "arguments[0].bytes" if function == "decodeUplink" else f"arguments[{int(function == 'Decode')}]"
    picks = ", ".join(f"() => ({result})" for result in results)
    decoder = load_decoder(codec_file(tmp_path, f"function {function}() {{ return [{picks}][{given}[0]](); }}"))
    problems = {result: decode(uplink(bytes([at]), 1), decoder).problem for at, result in enumerate(results)}
    assert [result for result, problem in problems.items() if problem] == by_mistake


@pytest.mark.parametrize("result", ["undefined", "null", "5", "{}", "{ temperature: 22.5 }"])
def test_result_without_values_says_how_they_are_returned(result: str) -> None:
    with pytest.raises(DecoderCrash, match=re.escape("the values as { data: { temperature: 22.5 } }, or { data: {} }")):
        call(f"function decodeUplink() {{ return {result}; }}")


def test_what_is_no_number_is_left_out_with_a_warning(tmp_path: Path) -> None:
    text = "function Decode() { return { a: 0 / 0, b: { c: 1 / 0 }, d: null, e: 1 }; }"
    answer = call(text)
    assert answer.data == {"a": None, "b": {"c": None}, "d": None, "e": 1}
    assert answer.lost == ("a is NaN", "c is Infinity")
    report = decode(uplink(b"\x01", 1), load_decoder(codec_file(tmp_path, text)))
    assert report.warnings == ("left out: a is NaN", "left out: c is Infinity")
    assert call("function Decode() { return 0 / 0; }").lost == ("the value is NaN",)


# no frame sees another one


@pytest.mark.parametrize(
    "text",
    [
        "var n = 0; function Decode() { return { n: ++n }; }",
        "let n = 0; function Decode() { return { n: ++n }; }",
        "function Decode() { n = typeof n === 'undefined' ? 1 : n + 1; return { n: n }; }",
        "function Decode() { this.n = (this.n || 0) + 1; return { n: this.n }; }",
        "function Decode() { var p = Object; p.n = (p.n || 0) + 1; return { n: p.n || 1 }; }",
        "function Decode() { Array.prototype.n = ([].n || 0) + 1; return { n: [].n }; }",
        "Object.defineProperty(Object, 'n', {configurable: true, value: (Object.n || 0) + 1});"
        "function Decode() { return { n: Object.n }; }",
        "var s = Symbol.for('n'), g = globalThis; function Decode() { g[s] = (g[s] || 0) + 1; return { n: g[s] }; }",
        "var r = /a/g; function Decode() { r.test('aa'); return { n: r.lastIndex }; }",
        *(
            f"function Decode() {{ var n = 1; try {{ {hides} }} catch (e) {{ n = 1; }}"
            " globalThis.n = (globalThis.n || 0) + 1; return { n: Object.n || n }; }"
            for hides in (
                "Object.defineProperty(globalThis, 'globalThis', { value: {}, configurable: true });",
                "Reflect.defineProperty(globalThis, 'Object', { value: { n: 1 }, configurable: true });",
                "n = Object.getPrototypeOf(globalThis).m ? 2 : 1; Object.getPrototypeOf(globalThis).m = 1;",
            )
        ),
    ],
)
def test_state_does_not_outlive_a_frame(text: str) -> None:
    codec = Codec(text)
    assert [codec.call(b"", 1, "", 0.0).data["n"] for _ in range(3)] == [1, 1, 1]


def test_polyfills_work_in_every_frame_and_keep_the_fast_way() -> None:
    codec = Codec(
        dedent(
            """
            Object.defineProperty(Object, "assign", { configurable: true, writable: true, value: function (to, from) {
              for (var key in from) to[key] = "mine";
              return to;
            } });
            if (!Array.prototype.last) {
              var proto = Array.prototype;
              proto.last = function () { return this[this.length - 1]; };
            }
            function decodeUplink(input) {
              return { data: Object.assign({ last: input.bytes.last() }, { a: 1 }) };
            }
            """
        )
    )
    assert codec.is_closed
    assert [codec.call(b"\1\2", 1, "", 0.0).data for _ in range(3)] == [{"last": 2, "a": "mine"}] * 3


def test_a_frame_that_hits_a_limit_leaves_the_next_one_alone() -> None:
    codec = Codec(
        dedent(
            """
            function decodeUplink(input) {
              if (input.bytes[0] === 1) for (;;) {}
              if (input.bytes[0] === 2) { var a = []; for (;;) a.push(new Array(1000).fill(0)); }
              if (input.bytes[0] === 3) return decodeUplink(input);
              return { data: { fine: true } };
            }
            """
        )
    )
    for payload, complaint in [(b"\1", "100 ms"), (b"\2", "8 MiB"), (b"\3", "stack")]:
        with pytest.raises((DecoderCrash, DecoderHang), match=complaint):
            codec.call(payload, 1, "", 0.0)
        assert codec.call(b"\0", 1, "", 0.0).data == {"fine": True}


def test_calls_from_many_threads_do_not_meet() -> None:
    codec = Codec(
        "var first;"
        "function Decode(p, b) { first = b[0]; var s = 0; for (var i = 0; i < 99; i++) s += first; return { s: s }; }"
    )
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: codec.call(bytes([n]), 1, "", 0.0).data["s"], [*range(200)]))
    assert found == [99 * n for n in range(200)]


@pytest.mark.parametrize(
    ("thrown", "said"),
    [
        ("null", "the codec used more than 8 MiB of memory, or threw null"),
        ("undefined", "the codec threw undefined"),
        ("1", "the codec threw 1"),
        ("false", "the codec threw false"),
        ('""', "the codec threw an empty text"),
        ('"too short"', "too short"),
        ("{ code: 3 }", 'the codec threw {"code":3}'),
        ("new Error()", "Error, line 1"),
        ('Object.assign(new Error(), { name: "" })', "an error without a message, line 1"),
    ],
)
def test_what_is_thrown_without_being_an_error_is_named(thrown: str, said: str) -> None:
    with pytest.raises(DecoderCrash, match=f"^{re.escape(said)}$"):
        Codec(f"function decodeUplink(input) {{ throw {thrown}; }}").call(b"\1", 1, "", time())


# hostile codecs in a running pipeline

EXPECTED = {
    "breaks_frozen_globals": "good=1",
    "breaks_global_object": "left the JavaScript engine in disorder",
    "breaks_globals": "good=1",
    "breaks_inspection": "no decoder",
    "breaks_itself_free": "no decoder",
    "breaks_sweeping": "sum=4",
    "closes_global_object": "n=1",
    "counts_by_name": "sum=4",
    "counts_frames": "n=1",
    "counts_in_polyfill": "sum=3",
    "counts_on_hidden_objects": "n=1",
    "eats_memory": "more than 8 MiB",
    "eats_memory_and_catches": "longer than 100 ms",
    "eats_memory_at_once": "more than 8 MiB",
    "eats_memory_at_top": "no decoder",
    "escapes_to_function": "code from text is not allowed",
    "hangs_at_top": "no decoder",
    "hangs_in_index_of": "longer than 100 ms",
    "hangs_in_locale_compare": "longer than 100 ms",
    "hangs_in_normalize": "longer than 100 ms",
    "hangs_in_stringify": "longer than 100 ms",
    "hangs_in_text_of_bigint": "longer than 100 ms",
    "has_no_function": "no decoder",
    "is_no_javascript": "no decoder",
    "loops": "longer than 100 ms",
    "loops_at_top": "no decoder",
    "loops_in_engine": "too long",
    "loops_in_finally": "longer than 100 ms",
    "loops_in_regexp": "longer than 100 ms",
    "loops_on_array_like": "not an array",
    "recurses": "Maximum call stack size exceeded",
    "recurses_in_getter": "Maximum call stack size exceeded",
    "returns_bigint": "small=7",
    "returns_cycle": "circular reference",
    "returns_deep_nest": "Maximum call stack size exceeded",
    "returns_function": "returned a function",
    "returns_hostile_errors": "WrongFormat",
    "returns_many_values": "only the first 256",
    "returns_megabytes": "want at most 65536",
    "returns_nan": "left out: nan is NaN",
    "returns_nothing": "returned undefined",
    "returns_oddities": "__proto__.polluted=True",
    "returns_promise": "without data",
    "returns_to_json": "want at most 65536",
    "schedules_jobs": "good=1",
    "throws_error": "no \\x1b[31mred",
    "throws_in_open_world": "RangeError: x",
    "throws_liar": "its error cannot be read",
    "throws_loop_in_text": "longer than 100 ms",
    "throws_proxy": "Proxy is not defined",
    "throws_symbol": "Symbol(strange)",
    "throws_undefined": "undefined",
}


def test_every_hostile_codec_has_an_expectation() -> None:
    assert sorted(EXPECTED) == [path.stem for path in HOSTILE]


def everything_said(report: Report) -> str:
    values = [f"{reading.name}={reading.value}" for reading in report.readings]
    return " | ".join([*values, *report.warnings, report.problem or ""])


# Each of these is waited for, and costs the process of the codecs; of the quick tests, two are. A file that ends not
# even as it is loaded is among those that cannot be used, above.
TAKES_ITS_TIME = {stem for stem, said in EXPECTED.items() if said in ("longer than 100 ms", "too long")}
SLOW = TAKES_ITS_TIME | {"hangs_at_top", "loops_at_top", "breaks_inspection"} - {"loops", "hangs_in_normalize"}


@pytest.fixture(scope="module")
def good_decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    return load_decoder(codec_file(tmp_path_factory.mktemp("good"), TS013, "good.js"))


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.long] * (path.stem in SLOW)) for path in HOSTILE],
)
def test_pipeline_survives_a_hostile_codec_and_decodes_the_next_frame(
    path: Path, tmp_path: Path, good_decoder: Decoder
) -> None:
    (tmp_path / path.name).write_bytes(path.read_bytes())
    loaded = load_folder(tmp_path)
    hostile = device("hostile", address=1, decoder=path.stem.replace("_", "-"))
    good = device("good", address=2, decoder="good")
    outcomes: list[Outcome] = []
    decoding = Decoding([hostile, good], {**loaded.decoders, "good": good_decoder})
    pipeline = Pipeline(MemoryLedger([hostile, good]), decoding, Metrics(), outcomes.append)
    for fcnt in (1, 2):
        pipeline.handle(
            [
                frame(seal_lorawan(KEYS, 1, fcnt, 5, b"\1\2\3")),
                frame(seal_lorawan(KEYS, 2, fcnt, 5, bytes.fromhex("0898b4"))),
            ]
        )
    assert len(outcomes) == 4
    for bad, fine in [(outcomes[0], outcomes[1]), (outcomes[2], outcomes[3])]:
        assert isinstance(bad, Report)
        assert isinstance(fine, Report)
        assert EXPECTED[path.stem] in everything_said(bad)
        assert all(line.isprintable() for line in [*bad.warnings, bad.problem or ""])
        assert all(len(line) < 400 for line in [*bad.warnings, bad.problem or ""])
        assert [reading.value for reading in fine.readings] == [22, 3.6]
        assert (fine.warnings, fine.problem) == ((), None)
    # Where the memory ends, the engine cannot always say the line.
    assert len({re.sub(r", line \d+", "", everything_said(outcomes[at])) for at in (0, 2)}) == 1  # type: ignore[arg-type]


CHECKED = Codec(
    dedent(
        """
        function decodeUplink(input) {
          var b = input.bytes, out = { text: "", list: [] };
          for (var i = 0; i < b.length; i++) {
            out.text += String.fromCharCode(b[i] << 8 | b[(i + 1) % b.length]);
            out.list.push(b[i]);
          }
          if (b[0] > 250) throw out;
          if (b[0] > 240) return out.text;
          out["k" + out.text] = b[1] / b[2];
          return { data: out, warnings: [out.text], errors: b[0] > 230 ? [out] : [] };
        }
        """
    )
)


@given(payload=st.binary(max_size=64), fport=st.integers(0, 255))
def test_any_payload_gives_an_answer_or_a_decode_error(payload: bytes, fport: int) -> None:
    try:
        answer = CHECKED.call(payload, fport, "", 0.0)
    except DecoderCrash as crash:
        assert payload[0] > 240
        assert str(crash)
    else:
        json.dumps(answer.data).encode()
        if answer.data is not None:
            assert answer.data["list"] == list(payload)


@given(text=st.text(max_size=60))
def test_any_file_is_a_codec_or_says_why_not(text: str) -> None:
    try:
        Codec(text)
    except DecoderCrash as crash:
        assert str(crash)


# decoders from files


def load(folder: Path, text: str, name: str = "acme-th1.js") -> Decoder:
    return load_decoder(codec_file(folder, text, name))


def readings(decoder: Decoder, payload: str, fport: int) -> Sequence[Reading]:
    found = decoder.decode(bytes.fromhex(payload), fport)
    assert isinstance(found, Decoded)
    return found.readings


def test_file_in_a_decoders_folder_is_a_decoder(tmp_path: Path) -> None:
    codec_file(tmp_path, TS013, "Acme TH1.js")
    codec_file(tmp_path, "not javascript", "broken.js")
    loaded = load_folder(tmp_path)
    assert list(loaded.decoders) == ["acme-th1"]
    assert loaded.decoders["acme-th1"].origin == str(tmp_path / "Acme TH1.js")
    assert len(loaded.problems) == 1
    assert "broken.js: SyntaxError" in loaded.problems[0].what


def test_readings_have_units_and_the_report_has_the_codecs_data(tmp_path: Path) -> None:
    report = decode(uplink(bytes.fromhex("ff388c"), 5), load(tmp_path, TS013))
    assert report.readings == (Reading("temperature", -2, "°C"), Reading("battery", 2.8))
    assert report.data == {"temperature": -2, "battery": 2.8}
    assert (report.warnings, report.problem) == (("low battery",), None)


def test_normalized_payload_names_the_readings(tmp_path: Path) -> None:
    assert readings(load(tmp_path, NORMALIZES), "0898b4", 5) == [
        Reading("air.temperature", 22, "°C", quantity="AirTemperature"),
        Reading("battery", 3.6, "V"),
    ]


def test_recv_time_is_the_reception_whenever_it_is_decoded(tmp_path: Path) -> None:
    decoder = load(tmp_path, "function decodeUplink(input) { return { data: { at: input.recvTime.getTime() } }; }")
    for time_us in (0, 1_778_746_530_120_456):
        heard = Uplink(frame(time_us=WallUs(time_us)), device(), 1, 1, b"\0", authentic=True)
        assert decode(heard, decoder).data == {"at": time_us // 1000}


def test_recv_time_of_a_frame_whose_time_is_not_known_yet_is_now(tmp_path: Path) -> None:
    decoder = load(tmp_path, "function decodeUplink(input) { return { data: { at: input.recvTime.getTime() } }; }")
    before = time()
    heard = Uplink(frame(time_us=boot_zero(3)), device(), 1, 1, b"\0", authentic=True)
    report = decode(heard, decoder)
    assert before * 1000 - 1 <= report.data["at"] <= time() * 1000  # type: ignore[index]


def test_errors_of_the_codec_are_a_wrong_format(tmp_path: Path) -> None:
    decoder = load(tmp_path, TS013)
    with pytest.raises(WrongFormat, match="unexpected FPort 9"):
        decoder.decode(b"\0", 9)
    report = decode(uplink(b"\0", 9), decoder)
    assert (report.readings, report.problem, report.data) == ((), "WrongFormat: unexpected FPort 9", None)


def test_crash_names_the_line(tmp_path: Path) -> None:
    decoder = load(tmp_path, "\n\nfunction decodeUplink(input) {\n  return input.none.of.this;\n}")
    with pytest.raises(DecoderCrash, match=r"TypeError: .*, line 4"):
        decoder.decode(b"\0", 1)


def test_options_of_a_device_are_the_codecs_variables(tmp_path: Path) -> None:
    decoder = load(tmp_path, "function Decode(p, b, v) { return v; }")
    assert decoder.configure is not None
    first = decoder.configure({"offset": 1.5, "name": "x", "on": True})
    second = decoder.configure({})
    for function, expected in [(first, {"offset": "1.5", "name": "x", "on": "true"}), (second, {}), (first, None)]:
        found = function(b"\0", 1)
        assert isinstance(found, Decoded)
        assert expected is None or found.data == expected
    with pytest.raises(ConfigError, match="list"):
        decoder.configure({"list": [1]})


@pytest.mark.parametrize(
    ("name", "text", "about"),
    [
        ("acme-th1.js", "", ("acme", "th1", "acme-th1.js")),
        (
            "th.js",
            "/**\n * Payload Decoder\n *\n * Copyright 2025 Acme\n * @brand Acme IoT\n * @product TH 1\n */\n",
            ("Acme IoT", "TH 1", "th.js: Payload Decoder"),
        ),
        ("acme_th1_v2.js", "// Acme TH1, version 2\n", ("acme", "th1_v2", "acme_th1_v2.js: Acme TH1, version 2")),
    ],
)
def test_vendor_model_and_source_come_from_comment_and_name(
    tmp_path: Path, name: str, text: str, about: tuple[str, str, str]
) -> None:
    decoder = load(tmp_path, text + dedent(TS013).lstrip(), name)
    assert (decoder.vendor, decoder.model, decoder.source) == about


def test_examples_beside_a_codec_are_understood_and_hold(tmp_path: Path) -> None:
    cases = [
        {"input": {"bytes": [8, 0x98, 180], "fPort": 5}, "output": {"data": {"temperature": 22, "battery": 3.6}}},
        {
            "name": "ChirpStack's form",
            "input": {"bytes": "FF38B4", "fPort": 5},
            "expected": {"data": {"temperature": -2, "battery": 3.6}},
        },
        {"input": {"bytes": [0], "fPort": 9}, "output": {"errors": ["unexpected FPort 9"]}},
    ]
    (tmp_path / "acme-th1.examples.json").write_text(json.dumps(cases))
    decoder = load(tmp_path, TS013)
    assert [example.fails for example in decoder.examples] == [None, None, WrongFormat]
    for example in decoder.examples[:2]:
        assert readings(decoder, example.payload, example.fport) == list(example.gives)
    normalizing = load(tmp_path, NORMALIZES)
    assert [example.fails for example in normalizing.examples] == [WrongFormat]


@pytest.mark.parametrize(
    "text", ["{", "[{}]", '[{"input": {"bytes": "zz"}, "output": {"data": {}}}]', '[{"input": 5}]']
)
def test_examples_that_cannot_be_read_are_a_fault_of_the_decoder(tmp_path: Path, text: str) -> None:
    (tmp_path / "acme-th1.examples.json").write_text(text)
    with pytest.raises(DecoderCrash, match=r"acme-th1\.examples\.json"):
        load(tmp_path, TS013)


def test_file_that_is_too_long_or_missing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DecoderCrash, match="too long for a codec"):
        load(tmp_path, "/" * (1 << 20) + "/")
    with pytest.raises(DecoderCrash, match="No such file"):
        load_js_codec(tmp_path / "none.js")


def test_missing_engine_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    HOST.close()
    monkeypatch.setitem(sys.modules, "quickjs", None)
    with pytest.raises(DecoderCrash, match=f"quickjs-ng, which is not installed; run: {sys.executable} -m pip install"):
        load(tmp_path, TS013)


def test_engine_is_not_loaded_where_no_codec_is() -> None:
    script = (
        "import sys, lora_post.cli, lora_post.decoding.loading as d;"
        "d.load_folder(d.shipped_folder()); print('quickjs' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert ran.stdout == "False\n"


def test_decode_command_shows_data_readings_warnings_and_errors(tmp_path: Path) -> None:
    path = codec_file(tmp_path, TS013)
    ran = lora_post("decode", "--decoder", path, "--fport", "5", "--payload", "ff388c")
    assert ran.code == 0
    for expected in ('data      {"temperature": -2, "battery": 2.8}', "warning   low battery", "°C"):
        assert expected in ran.out
    ran = lora_post("decode", "--decoder", path, "--payload", "-", "--json", stdin=b"5 FF388C\n9 00\n5 -\n")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["data"] for line in lines] == [
        {"temperature": -2, "battery": 2.8},
        None,
        {"temperature": 0, "battery": None},
    ]
    assert [reading["sensor"] for reading in lines[0]["readings"]] == ["temperature", "battery"]
    assert lines[0]["warnings"] == ["low battery"]
    assert lines[1]["errors"] == ["WrongFormat: unexpected FPort 9"]
    assert lines[2]["warnings"] == ["left out: battery is NaN"]


def test_codec_that_is_no_file_of_ours_is_a_configuration_mistake(tmp_path: Path) -> None:
    ran = lora_post("decode", "--decoder", codec_file(tmp_path, "nope("), "--payload", "00")
    assert ran.code == 2
    assert "SyntaxError" in ran.err
