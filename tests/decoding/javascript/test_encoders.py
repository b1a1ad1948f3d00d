"""Codecs on the way to a device: the dialects, and what a codec may not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from lora_post.decoding.encode import can_encode, decode_down, encode
from lora_post.decoding.loading import load_decoder
from lora_post.errors import DecodeError
from lora_post.model import Decoder, Device, Encoded
from tests.support.build import device
from tests.support.in_process import lora_post

Load = Callable[[str], Decoder]

TS013 = """
    function decodeUplink(input) { return { data: { x: input.bytes[0] } }; }
    function encodeDownlink(input) {
      if (input.data.on === undefined) return { errors: ["on is missing"] };
      return { bytes: [input.data.on ? 1 : 0, -1], fPort: 7, warnings: input.data.dim ? ["dim is ignored"] : [] };
    }
    function decodeDownlink(input) { return { data: { on: input.bytes[0] === 1, port: input.fPort } }; }
    """


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, name: str = "relay") -> Decoder:
        path = tmp_path / f"{name}.js"
        path.write_text(dedent(text))
        return load_decoder(path)

    return load


def of(decoder: Decoder, **changes: object) -> tuple[Device, dict[str, Decoder]]:
    return device(decoder=decoder.name, **changes), {decoder.name: decoder}


@pytest.mark.parametrize(
    ("code", "made"),
    [
        pytest.param(TS013, Encoded(b"\x01\xff", 7), id="TS013"),
        pytest.param(
            "function decodeUplink(i) { return { data: {} }; }\n"
            "function encodeDownlink(i) { return { bytes: new Uint8Array([i.fPort, i.variables.k === '3']) }; }",
            Encoded(b"\x05\x01"),
            id="ChirpStack v4",
        ),
        pytest.param(
            "function Decode(p, b, v) { return {}; }\n"
            "function Encode(fPort, obj, variables) { return [obj.on ? 1 : 0, fPort, Number(variables.k)]; }",
            Encoded(b"\x01\x05\x03"),
            id="ChirpStack v3",
        ),
        pytest.param(
            "function Decoder(b, p) { return {}; }\n"
            "function Encoder(object, port) { var bytes = [object.on & 1]; bytes[1] = port; return bytes; }",
            Encoded(b"\x01\x05"),
            id="TTN v2",
        ),
        pytest.param(
            "function Decoder(b, p) { return {}; }\nfunction Encoder(o) { return Buffer.from(o.name); }",
            Encoded("über".encode()),
            id="text in a Buffer",
        ),
        pytest.param(
            "async function x() {}\nfunction Encoder(o) { eval('o.on = 2'); return [o.on]; }\nfunction Decoder() {}",
            Encoded(b"\x02"),
            id="in a world of its own",
        ),
    ],
)
def test_values_are_encoded(code: str, made: Encoded, load: Load) -> None:
    decoder = load(code)
    values = {"on": True, "name": "über"}
    assert encode(*of(decoder, options={"k": 3}), values, 5) == made
    assert can_encode(decoder)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return null", "relay: encodeDownlink returned null; it must return the bytes as { bytes: "),
        ("return { bytes: 5 }", "relay: the codec returned 5; it must be a list of at most 242 bytes"),
        ("return {}", "relay: the codec returned undefined; it must be a list of at most 242 bytes"),
        ("return { bytes: [256] }", "relay: the codec returned [256]; it must be a list of at most 242 bytes"),
        ("return { bytes: [1.5] }", "relay: the codec returned [1.5]; it must be a list of at most 242 bytes"),
        ("return { bytes: ['x'] }", 'relay: the codec returned ["x"]; it must be a list of at most 242 bytes'),
        ("return { bytes: [1], fPort: 0 }", "relay: the encoder wants FPort 0, it must be 1 to 223"),
        ("return { bytes: [1], fPort: 1.5 }", "relay: the codec returned Expected `int | null`"),
        ("return { bytes: [1], errors: ['no', 'such'] }", "relay: no; such"),
        ("return { bytes: { length: 1e9 } }", "relay: the codec returned"),
        ("throw new Error('broken')", "relay: Error: broken, line 1"),
        ("for (;;) {}", "relay: the codec took longer than 100 ms"),
    ],
)
def test_what_makes_no_sense_is_refused(body: str, text: str, load: Load) -> None:
    decoder = load(
        f"function encodeDownlink(input) {{ {body}; }} function decodeUplink() {{ return {{ data: {{}} }}; }}"
    )
    with pytest.raises(DecodeError) as caught:
        encode(*of(decoder), {}, None)
    assert str(caught.value).startswith(text)


def test_warnings_and_errors_of_the_codec_are_told(load: Load) -> None:
    place = of(load(TS013))
    assert encode(*place, {"on": 1, "dim": 5}, None).warnings == ("dim is ignored",)
    with pytest.raises(DecodeError, match="relay: on is missing"):
        encode(*place, {}, None)


def test_one_call_sees_nothing_of_another(load: Load) -> None:
    place = of(load("var n = 0; function Encoder(o) { n++; o.n = n; return [o.n]; } function Decoder() {}"))
    assert [encode(*place, {}, 1).payload for _ in range(2)] == [b"\x01", b"\x01"]


def test_downlink_is_shown_by_the_codec(load: Load) -> None:
    assert decode_down(*of(load(TS013)), b"\x01\xff", 7) == {"on": True, "port": 7}
    assert decode_down(*of(load("function Decoder() {}", "other")), b"\x01", 7) is None
    broken = load("function Decoder() {} function decodeDownlink() { throw 1; }", "broken")
    assert decode_down(*of(broken), b"\x01", 7) is None


def test_device_without_an_encoder_says_what_to_do(load: Load) -> None:
    place = of(load("function Decoder() {}"))
    with pytest.raises(
        DecodeError, match=r"pond-7 has relay, which cannot encode values; give the bytes with --payload"
    ):
        encode(*place, {}, None)


def test_python_decoder_may_encode(tmp_path: Path) -> None:
    path = tmp_path / "plug.py"
    path.write_text(
        "from lora_post import Decoder\n"
        "def encode(values):\n"
        "    return (values.get('port'), bytes(values['bytes']))\n"
        "DECODER = Decoder(name='plug', decode=lambda p, f: [], encode=encode, vendor='', model='', source='',\n"
        "                  examples=[])\n"
    )
    place = of(load_decoder(path))
    assert encode(*place, {"port": 9, "bytes": [1]}, None) == Encoded(b"\x01", 9)
    for values, text in (
        ({}, "plug: KeyError"),
        ({"port": 0, "bytes": []}, "plug: the encoder wants FPort 0"),
        ({"bytes": [0] * 243}, "plug: the encoder made 243 bytes"),
    ):
        with pytest.raises(DecodeError) as caught:
            encode(*place, values, None)
        assert str(caught.value).startswith(text)


def test_decoder_of_the_fport_encodes_for_it(load: Load) -> None:
    one = load("function Decoder() {} function Encoder() { return [1]; }", "one")
    two = load("function Decoder() {} function Encoder() { return [2]; }", "two")
    both = device(decoder="one", decoder_by_fport={9: "two"})
    decoders = {"one": one, "two": two}
    assert [encode(both, decoders, {}, fport).payload for fport in (None, 3, 9)] == [b"\1", b"\1", b"\2"]


YAML = """
downlinkEncoder:
  fileName: relay.js
  examples:
    - description: on
      input: { data: { on: true } }
      output: { bytes: [0x01, 255], fPort: 7 }
"""
TS013_EXAMPLES = """[
  {"type": "uplink", "input": {"bytes": [5], "fPort": 1}, "output": {"data": {"x": 5}}},
  {"type": "downlink-encode", "input": {"data": {"on": false}}, "output": {"bytes": [0, 255], "fPort": 7}},
  {"type": "downlink-encode", "input": {"data": {}}, "output": {"errors": ["on is missing"]}},
  {"type": "downlink-decode", "input": {"bytes": [1], "fPort": 7}, "output": {"data": {"on": true}}}
]"""
CHIRPSTACK = """[{"name": "on", "input": {"data": {"on": true}}, "expected": {"bytes": [1, 254]}},
                 {"name": "off", "input": {"data": {"on": false}, "fPort": 8}, "expected": {"errors": ["x"]}}]"""


def test_published_examples_of_encoders_are_run(load: Load, tmp_path: Path) -> None:
    load(TS013)
    (tmp_path / "relay-codec.yaml").write_text(YAML)
    (tmp_path / "relay.examples.json").write_text(TS013_EXAMPLES)
    done = lora_post("decoders", "test", tmp_path / "relay.js")
    assert (done.code, done.out) == (0, "ok    relay: 3 examples of its encoder\nok    relay: 1 example\n")
    (tmp_path / "test_encode_relay.json").write_text(CHIRPSTACK)
    done = lora_post("decoders", "test", tmp_path / "relay.js")
    assert done.code == 1
    assert done.out.splitlines()[:2] == [
        'FAIL  relay: downlink 4: {"on": true}: expected 01 fe, got 01 ff on FPort 7',
        'FAIL  relay: downlink 5: {"on": false}: expected a refusal, got 00 ff on FPort 7',
    ]


def test_example_that_is_no_object_is_told(load: Load, tmp_path: Path) -> None:
    load(TS013)
    (tmp_path / "test_encode_relay.json").write_text('[{"input": {"data": 5}, "expected": {"bytes": [1]}}]')
    done = lora_post("decoders", "test", tmp_path / "relay.js")
    assert (done.code, done.out) == (1, "FAIL  relay: an example's data: 5, want an object\n")
