"""Payloads in general formats: plain text, SenML, CBOR, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post import Decoded, DecodeError, Reading, WrongFormat, WrongLength
from lora_post.decoding.decode import decode
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.model import Decoder
from lora_post.units import UNITS
from lora_post.uplink.model import Uplink
from lora_post.waziup.kinds import ontology
from tests.support.build import device, frame
from tests.support.command import PATIENCE_S

DECODERS = load_folder(shipped_folder()).decoders
GENERIC = [DECODERS[name] for name in ("cbor", "json", "senml", "utf8")]


def run(name: str, payload: bytes) -> tuple[list[Reading], tuple[str, ...]]:
    """Readings and warnings."""
    result = DECODERS[name].decode(payload, 1)
    return (result.readings, result.warnings) if isinstance(result, Decoded) else (result, ())


def failure(name: str, payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        DECODERS[name].decode(payload, 1)
    return caught.value


# all of them


@pytest.mark.parametrize("decoder", GENERIC, ids=lambda decoder: decoder.name)
@given(payload=st.binary(max_size=255))
def test_any_bytes_give_readings_or_a_decode_error(decoder: Decoder, payload: bytes) -> None:
    try:
        decoder.decode(payload, 1)
    except DecodeError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 200


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["bn", "n", "u", "v", "vs", "vd", "t", "bt", "bver", "Cel", 2**31]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["bn", "n", "u", "v", "vs", "vd", "t", "bt", "bver"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("decoder", GENERIC, ids=lambda decoder: decoder.name)
@given(value=ANYTHING)
def test_any_value_in_json_and_cbor_gives_readings_or_a_decode_error(decoder: Decoder, value: Any) -> None:
    for payload in (json.dumps(value).encode(), json.dumps([value]).encode(), cbor2.dumps(value), cbor2.dumps([value])):
        try:
            decoder.decode(payload, 1)
        except DecodeError as error:
            assert str(error).isprintable()
            assert len(str(error)) < 200


# JSON and CBOR: the same rules


@pytest.mark.parametrize(
    ("value", "readings", "warnings"),
    [
        (
            {"temperature": 22.5, "tries": 3, "ok": True, "label": "pond", "none": None},
            [Reading("temperature", 22.5, "°C"), Reading("tries", 3), Reading("ok", True), Reading("label", "pond")],
            (),
        ),
        (
            {"lid": {"up": True, "since": None}, "level": {"raw": [5, -6.5]}},
            [Reading("lid.up", True), Reading("level.raw_0", 5), Reading("level.raw_1", -6.5)],
            (),
        ),
        ([1, "a", None, {"b": 2}], [Reading("value_0", 1), Reading("value_1", "a"), Reading("value_3.b", 2)], ()),
        (21.5, [Reading("value", 21.5)], ()),
        ("warm", [Reading("value", "warm")], ()),
        (None, [], ()),
        ({}, [], ()),
        ({"a": 2**63, "b": -(2**63)}, [Reading("a", 2.0**63), Reading("b", -(2**63))], ()),
        ({"": 1, "x\n": 2}, [Reading("value", 1), Reading("x\\n", 2)], ()),
        ({"a": [[[[[[[[5]]]]]]]]}, [], ("a_0_0_0_0_0_0_0: nested deeper than 8 levels",)),
    ],
)
def test_members_become_readings(value: Any, readings: list[Reading], warnings: tuple[str, ...]) -> None:
    assert run("json", json.dumps(value).encode()) == (readings, warnings)
    assert run("cbor", cbor2.dumps(value)) == (readings, warnings)


def test_numbers_keep_their_type() -> None:
    readings, _ = run("json", b'{"a":1,"b":1.0,"c":true}')
    assert [type(reading.value) for reading in readings] == [int, float, bool]


def test_json_with_nan_of_a_failed_sensor_keeps_the_others() -> None:
    assert run("json", b'{"t":NaN,"h":61,"p":-Infinity}') == ([Reading("h", 61)], ())
    readings, warnings = run("json", b'{"t":1e999,"h":61}')
    assert readings == [Reading("h", 61)]
    assert warnings == ("t: inf is not a finite number",)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"a":1', "not JSON: Expecting ',' delimiter at character 6"),
        (b"", "not JSON: Expecting value at character 0"),
        (b'{"a":"\xb0"}', "not JSON: not UTF-8 at offset 6"),
        (b"[" * 100_000, "not JSON: a number too long or objects too deep"),
        (b"1" * 10_000, "not JSON: a number too long or objects too deep"),
    ],
)
def test_broken_json_is_refused(payload: bytes, message: str) -> None:
    caught = failure("json", payload)
    assert (type(caught), str(caught)) == (WrongFormat, message)


def test_text_with_half_a_surrogate_pair_is_left_out_of_the_report() -> None:
    uplink = Uplink(frame(), device(), 1, 2, rb'{"a":"\ud800","b":1}', True)
    report = decode(uplink, DECODERS["json"])
    assert report.readings == (Reading("b", 1),)
    assert len(report.warnings) == 1


@pytest.mark.parametrize(
    ("payload", "readings"),
    [
        ("a107 01", [Reading("7", 1)]),  # integer key
        ("a1 6161 43010203", [Reading("a", "010203")]),  # bytes
        ("a1 6161 c48221196ab3", [Reading("a", 273.15)]),  # decimal fraction
        ("a1 6161 c24101", [Reading("a", 1)]),  # big number
        ("a1 6161 f7", []),  # undefined
        ("a1 6161 f0", []),  # simple value
        ("a1 6161 f93c00", [Reading("a", 1.0)]),  # half precision
        ("d9d9f7 a1 6161 01", [Reading("a", 1)]),  # "this is CBOR"
        ("a1 6161 c11a514b67b0", [Reading("a", 1363896240)]),  # date
        ("a1 6161 d823 62 282b", [Reading("a", "(+")]),  # a pattern is not compiled
        ("bf 6161 9f 01 02 ff ff", [Reading("a_0", 1), Reading("a_1", 2)]),  # of no stated length
        ("a1 6161 d81c 8101", [Reading("a_0", 1)]),  # may be shared, is not
    ],
)
def test_cbor_of_any_kind_becomes_plain_values(payload: str, readings: list[Reading]) -> None:
    assert run("cbor", bytes.fromhex(payload)) == (readings, ())


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ("d81c81d81d00", WrongFormat),  # an array in itself
        ("82 d81c82 0101 d81d00", WrongFormat),  # an array twice
        ("d9010082 6461626364 d81900", WrongFormat),  # a text by reference
        ("9bffffffffffffffff", WrongLength),
        ("5bffffffffffffffff", WrongLength),
        ("bbffffffffffffffff", WrongLength),
        ("81" * 250, WrongFormat),
        ("c0" * 250 + "01", WrongFormat),
        ("a1 f5 01", WrongFormat),  # true as a key
        ("a1 8101 01", WrongFormat),  # an array as a key
        ("a1 6161 62c328", WrongFormat),  # no UTF-8
        ("ff", WrongFormat),
        ("1c", WrongFormat),
        ("a1 6161 c4821b7fffffffffffffff01", WrongFormat),  # an exponent beyond all numbers
        ("", WrongLength),
    ],
)
def test_hostile_cbor_is_refused(payload: str, error: type[DecodeError]) -> None:
    assert type(failure("cbor", bytes.fromhex(payload))) is error


def test_bytes_behind_the_cbor_item_are_told_and_the_item_is_kept() -> None:
    caught = failure("cbor", bytes.fromhex("a161610100ff"))
    assert (type(caught), str(caught)) == (WrongLength, "2 bytes after the data item")
    assert caught.kept == (Reading("a", 1),)


def test_cbor_library_is_imported_only_when_a_payload_is_decoded() -> None:
    program = (
        "import sys; from lora_post.decoding.loading import load_folder, shipped_folder\n"
        "decoders = load_folder(shipped_folder()).decoders\n"
        "assert 'cbor2' not in sys.modules\n"
        "decoders['cbor'].decode(b'\\x01', 1)\n"
        "assert 'cbor2' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_S)


# utf8


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"Door open", "Door open"),
        ("22.5 °C".encode(), "22.5 °C"),
        (b"  ok\r\n\0\0", "  ok"),
        (b"two\nlines", "two\nlines"),
    ],
)
def test_whole_payload_is_one_text(payload: bytes, text: str) -> None:
    assert run("utf8", payload) == ([Reading("text", text)], ())


@pytest.mark.parametrize(
    ("payload", "error", "message"),
    [(b"22\xb0C", WrongFormat, "not UTF-8 at offset 2"), (b"\0\0", WrongLength, "no text"), (b"", WrongLength, "")],
)
def test_payload_that_is_no_text_is_refused(payload: bytes, error: type[DecodeError], message: str) -> None:
    caught = failure("utf8", payload)
    assert type(caught) is error
    assert message in str(caught)


# SenML

OWN_CLOCK = "times are by the device's clock: ages are counted from its latest reading"

# RFC 8428, section 5.1: single, multiple, several kinds; then what the text of section 4 says.
PACKS: list[tuple[list[dict[str, Any]], list[Reading], tuple[str, ...]]] = [
    (
        [{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}],
        [Reading("value", 23.1, "°C", quantity="Temperature")],
        (),
    ),
    (
        [
            {"bn": "urn:dev:ow:10e2073a01080063:", "n": "voltage", "u": "V", "v": 120.1},
            {"n": "current", "u": "A", "v": 1.2},
        ],
        [Reading("voltage", 120.1, "V"), Reading("current", 1.2, "A")],
        (),
    ),
    (
        [
            {
                "bn": "urn:dev:ow:10e2073a0108006:",
                "bt": 1.276020076001e09,
                "bu": "A",
                "bver": 5,
                "n": "voltage",
                "u": "V",
                "v": 120.1,
            },
            {"n": "current", "t": -5, "v": 1.2},
            {"n": "current", "t": -4, "v": 1.3},
            {"n": "current", "v": 1.7},
        ],
        [
            Reading("voltage", 120.1, "V"),
            Reading("current", 1.2, "A", age_s=5.0),
            Reading("current", 1.3, "A", age_s=4.0),
            Reading("current", 1.7, "A"),
        ],
        (OWN_CLOCK,),
    ),
    (
        [
            {"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.1},
            {"n": "label", "vs": "Machine Room"},
            {"n": "open", "vb": False},
            {"n": "nfc-reader", "vd": "aGkgCg"},
        ],
        [
            Reading("temp", 23.1, "°C"),
            Reading("label", "Machine Room"),
            Reading("open", False),
            Reading("nfc-reader", "6869200a"),
        ],
        (),
    ),
    (
        [{"bt": -60, "n": "level", "v": 1}, {"n": "level", "t": 30, "v": 2}],
        [Reading("level", 1, age_s=60.0), Reading("level", 2, age_s=30.0)],
        (),
    ),
    (
        [{"bv": 20, "n": "a", "v": 0.1}, {"n": "b"}, {"n": "c", "bv": -1}],
        [Reading("a", 20.1), Reading("b", 20), Reading("c", -1)],
        (),
    ),
    (
        [{"bn": "tank/", "bu": "/"}, {"n": "a", "v": 0.29}, {"n": "b", "u": "l", "v": 3}],
        [Reading("tank/a", 29.0, "%"), Reading("tank/b", 3, "L")],
        (),
    ),
    ([{"bver": 26, "n": "pm10", "u": "ug/m3", "v": 8}], [Reading("pm10", 8, "µg/m³")], ()),
    ([{"n": "sack", "u": "g", "v": 2500}], [Reading("sack", 2.5, "kg")], ()),
    (
        [{"n": "urn:dev:mac:0024befffe804ff1/temp", "v": 1}, {"n": "urn:dev:mac:0024befffe804ff2/temp", "v": 2}],
        [Reading("urn:dev:mac:0024befffe804ff1/temp", 1), Reading("urn:dev:mac:0024befffe804ff2/temp", 2)],
        (),
    ),
    ([{"n": "force", "u": "N", "v": 3}], [Reading("force", 3)], ("'force' has unit 'N', which is not known here",)),
    (
        [{"n": "lamp", "t": 20, "vb": True}, {"n": "a", "v": 1}],
        [Reading("a", 1)],
        ("'lamp' is of the future and left out",),
    ),
    (
        [{"n": "meter", "s": 70}, {"n": "a", "v": 1}],
        [Reading("a", 1)],
        ("record 1 has a sum only, which is not decoded",),
    ),
    ([{"n": "a", "v": 1, "ut": 600, "vendor": [1]}], [Reading("a", 1)], ()),
    ([{"bn": "x"}], [], ()),
    ([], [], ()),
]
LABELS = {"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5}
LABELS |= {"n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7}


def in_cbor(record: dict[str, Any]) -> dict[str | int, Any]:
    fields: dict[str | int, Any] = {LABELS.get(key, key): value for key, value in record.items()}
    if "vd" in fields:
        fields[8] = b"hi \n"
        del fields["vd"]
    return fields


@pytest.mark.parametrize(("pack", "readings", "warnings"), PACKS)
def test_pack_gives_the_same_readings_from_json_and_cbor(
    pack: list[dict[str, Any]], readings: list[Reading], warnings: tuple[str, ...]
) -> None:
    assert run("senml", json.dumps(pack).encode()) == (readings, warnings)
    assert run("senml", cbor2.dumps([in_cbor(record) for record in pack])) == (readings, warnings)


def test_decimal_fraction_is_a_number() -> None:
    assert run("senml", bytes.fromhex("81a2006161 02c48221196ab3")) == ([Reading("a", 273.15)], ())


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"v": 1}, "the name is empty or not printable"),
        ({"n": "a\nb", "v": 1}, "the name is empty or not printable"),
        ({"n": 5, "v": 1}, "'n' is not a text"),
        ({"n": "\ud800", "v": 1}, "'n' is not a text"),
        ({"n": "a", "v": "1"}, "'v' is not a number, or out of range"),
        ({"n": "a", "v": True}, "'v' is not a number, or out of range"),
        ({"n": "a", "v": 2**63}, "'v' is not a number, or out of range"),
        ({"n": "a", "v": None}, "'v' is not a number, or out of range"),
        ({"n": "a", "bv": 2**62, "v": 2**62}, "'bv' and 'v' are out of range together"),
        ({"n": "a", "vb": 1}, "'vb' is neither true nor false"),
        ({"n": "a", "vs": 1}, "'vs' is not a text"),
        ({"n": "a", "vd": "a*b"}, "'vd' is not base64"),
        ({"n": "a", "t": "now", "v": 1}, "'t' is not a number, or out of range"),
        ({"n": "a", "secret_": 1, "v": 1}, "field 'secret_' must be understood, and is not"),
        ({"bver": 11, "n": "a", "v": 1}, "a version of SenML that is not known"),
        ({"bver": [], "n": "a", "v": 1}, "'bver' is not a number, or out of range"),
        (5, "not an object"),
    ],
)
def test_wrong_record_yields_what_came_before_it(record: Any, message: str) -> None:
    caught = failure("senml", json.dumps([{"n": "first", "v": 1}, record]).encode())
    assert type(caught) is WrongFormat
    assert str(caught) == f"record 2: {message}"
    assert caught.kept == (Reading("first", 1),)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b'[{"n":"a","v":1}', WrongFormat),
        (b'{"n":"a","v":1}', WrongFormat),
        (b"[\xff]", WrongFormat),
        (b"", WrongLength),
        (bytes.fromhex("a1006161"), WrongFormat),
        (bytes.fromhex("81a2"), WrongLength),
        (bytes.fromhex("81a1f401"), WrongFormat),
    ],
)
def test_what_is_no_pack_is_refused(payload: bytes, error: type[DecodeError]) -> None:
    assert type(failure("senml", payload)) is error


def test_senml_units_lead_to_ours_and_quantities_to_the_clouds() -> None:
    units = (
        "m kg g s A K cd Hz rad Pa J W C V F Ohm S T Cel lm lx m3 l m/s m/s2 m3/s l/s W/m2 lat lon pH dB Bspl count "
    )
    units += "/ % %RH %EL EL 1/s beat/min S/m VA var ms min h MHz kW kVA kvar Wh kWh mV mA dBm ug/m3 mm/h m/h ppm "
    units += "/100 /1000 hPa mm cm km km/h ppb deg NTU"
    quantities = {quantity.id for quantity in ontology().quantity_kinds}
    for unit in units.split():
        (reading,), warnings = run("senml", json.dumps([{"n": "xyz", "u": unit, "v": 1}]).encode())
        assert warnings == (), unit
        assert reading.unit in UNITS or unit == "count"
        assert reading.quantity in quantities or reading.quantity == ""
