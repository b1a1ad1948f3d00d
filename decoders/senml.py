"""SenML packs, as JSON or CBOR: records of name, unit, value and time.

Any FPort, any length. A payload that begins with `[` or `{` is JSON, else it is CBOR, in which the
fields have numbers:

    bver -1   bn -2   bt -3   bu -4   bv -5   n 0   u 1   v 2   vs 3   vb 4   t 6   vd 8

A base field (b…) holds for its record and those behind it. A reading is named bn + n; `urn:dev:…:ID` in
front, which says what device it is, is left out if all records have the same, and what is then empty is
named `value`. v, vs, vb and vd are numbers, texts, booleans and bytes (in readings: hex text). Units become
the symbols of `lora_post.UNITS`; one that is not among them is left out with a warning.

Times below 2^28 are seconds from now: -60 is a reading of age 60; one in the future is left out. Greater
ones are seconds since 1970, by the device's clock, which may be wrong: its latest
reading counts as new, the others get their ages from there, and a warning says so.

Unknown fields are ignored, unless their name ends in `_`: then the pack must not be used. Not
decoded: sums (s), update times (ut).
"""

from __future__ import annotations

import re
from base64 import b64decode
from math import isfinite
from typing import Any

from lora_post import UNITS, Decoded, DecodeError, Decoder, Example, Reading, Value, WrongFormat, WrongLength
from lora_post.payloads.codec_names import tells_quantity
from lora_post.payloads.json_cbor import read_cbor, read_json

LABELS = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
}
DATA = 8  # vd of CBOR, bytes where JSON has base64
VERSIONS = {*range(11), 26}  # 26: 10 and the units of RFC 8798
ABSOLUTE = 2**28  # times from here on are dates
DEVICE = re.compile(r"urn:dev:[a-z0-9]+:[A-Za-z0-9.\-]+[:/_]?")  # RFC 9039

# SenML unit: our symbol, and what to multiply and divide the value by. Others are spelled alike.
SYMBOLS: dict[str, tuple[str, int, int]] = {
    "Cel": ("°C", 1, 1),
    "Ohm": ("Ω", 1, 1),
    "g": ("kg", 1, 1000),
    "m3": ("m³", 1, 1),
    "l": ("L", 1, 1),
    "m/s2": ("m/s²", 1, 1),
    "m3/s": ("m³/h", 3600, 1),
    "l/s": ("L/min", 60, 1),
    "W/m2": ("W/m²", 1, 1),
    "lat": ("°", 1, 1),
    "lon": ("°", 1, 1),
    "deg": ("°", 1, 1),
    "Bspl": ("dB", 10, 1),
    "count": ("", 1, 1),
    "/": ("%", 100, 1),
    "/100": ("%", 1, 1),
    "/1000": ("%", 1, 10),
    "%RH": ("%", 1, 1),
    "%EL": ("%", 1, 1),
    "EL": ("s", 1, 1),
    "1/s": ("Hz", 1, 1),
    "beat/min": ("bpm", 1, 1),
    "kVA": ("VA", 1000, 1),
    "kvar": ("var", 1000, 1),
    "ug/m3": ("µg/m³", 1, 1),
    "m/h": ("mm/h", 1000, 1),
}
# For names that say nothing.
QUANTITIES = {
    "Cel": "Temperature",
    "K": "Temperature",
    "%RH": "RelativeHumidity",
    "%EL": "BatteryLevel",
    "lx": "Illuminance",
    "V": "Voltage",
    "A": "ElectricCurrent",
    "Pa": "Pressure",
    "hPa": "Pressure",
    "lat": "Position",
    "lon": "Position",
    "pH": "PH",
}

Number = int | float
Record = tuple[str, str, Value, Number]  # name, SenML unit, value, time


def decode(payload: bytes, fport: int) -> list[Reading] | Decoded:
    pack, problem = read_pack(payload)
    records: list[Record] = []
    warnings: list[str] = []
    base: dict[str, Any] = {}
    for number, fields in enumerate(pack, start=1):
        try:
            record = resolve(fields, base)
        except DecodeError as error:
            problem = type(error)(f"record {number}: {error}")
            break
        if record is not None:
            records.append(record)
        elif fields.keys() & {"s", 5}:
            warnings.append(f"record {number} has a sum only, which is not decoded")
    readings = to_readings(records, warnings)
    if problem is not None:
        raise type(problem)(str(problem), readings)
    return Decoded(readings, tuple(warnings)) if warnings else readings


def read_pack(payload: bytes) -> tuple[list[Any], DecodeError | None]:
    """Return the records, and what is wrong with the payload behind them."""
    problem = None
    pack: Any
    if payload.lstrip().startswith((b"[", b"{")):
        pack = read_json(payload)
    else:
        pack, size = read_cbor(payload)
        if size < len(payload):
            problem = WrongLength(f"{len(payload) - size} bytes after the pack")
    if not isinstance(pack, list):
        raise WrongFormat("no SenML: want an array of records")
    return pack, problem


def resolve(fields: object, base: dict[str, Any]) -> Record | None:
    """Return a record with the base fields applied, which it may change; None: without value."""
    if not isinstance(fields, dict):
        raise WrongFormat("not an object")
    record = {LABELS.get(key, key) if isinstance(key, int) else key: value for key, value in fields.items()}
    for key in record:
        if isinstance(key, str) and key.endswith("_"):
            raise WrongFormat(f"field {key[:20]!r} must be understood, and is not")
    base |= {key: record[key] for key in ("bn", "bt", "bu", "bv", "bver") if key in record}
    if number_field(base, "bver") not in VERSIONS:
        raise WrongFormat("a version of SenML that is not known")
    value = read_value(record, base)
    if value is None:
        return None
    name = text_field(base, "bn") + text_field(record, "n")
    if not (name and name.isprintable()):
        raise WrongFormat("the name is empty or not printable")
    unit = text_field(record, "u") or text_field(base, "bu")
    return name, unit, value, total(base, "bt", record, "t")


def read_value(record: dict[Any, Any], base: dict[str, Any]) -> Value | None:
    """Return the value of a record: its own, else the base value; None if it only sets fields."""
    if "vs" in record:
        return text_field(record, "vs")
    if "vb" in record:
        if isinstance(record["vb"], bool):
            return record["vb"]
        raise WrongFormat("'vb' is neither true nor false")
    if "vd" in record:
        return hex_of(text_field(record, "vd"))
    if DATA in record:
        return text_field(record, DATA)
    if "v" not in record and not ("bv" in base and record.keys() & {"n", "t"} and "s" not in record):
        return None
    return total(base, "bv", record, "v")


def hex_of(text: str) -> str:
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).hex()
    except ValueError:
        raise WrongFormat("'vd' is not base64") from None


def text_field(fields: dict[Any, Any], key: str | int) -> str:
    """Return the text of a field, "" if it is missing; half a surrogate pair is not a text."""
    value = fields.get(key, "")
    if isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value):
        return value
    raise WrongFormat(f"{key!r} is not a text")


def number_field(fields: dict[Any, Any], key: str) -> Number:
    """Return the number of a field, 0 if it is missing."""
    value = fields.get(key, 0)
    if isinstance(value, int | float) and not isinstance(value, bool) and is_storable(value):
        return value
    raise WrongFormat(f"{key!r} is not a number, or out of range")


def total(base: dict[str, Any], base_key: str, record: dict[Any, Any], key: str) -> Number:
    number = number_field(record, key)
    if base_key not in base:
        return number
    number = tidy(number + number_field(base, base_key))
    if not is_storable(number):
        raise WrongFormat(f"{base_key!r} and {key!r} are out of range together")
    return number


def is_storable(number: Number) -> bool:
    return isfinite(number) if isinstance(number, float) else -(2**63) <= number < 2**63


def tidy(number: Number) -> Number:
    """Return a result without the dust of binary fractions; dates keep their milliseconds."""
    return float(f"{number:.15g}") if isinstance(number, float) else number


def to_readings(records: list[Record], warnings: list[str]) -> list[Reading]:
    devices = {match[0] if (match := DEVICE.match(name)) else "" for name, *_ in records}
    device = devices.pop() if len(devices) == 1 else ""
    latest = max((time for *_, time in records if time >= ABSOLUTE), default=0)
    if latest:
        warnings.append("times are by the device's clock: ages are counted from its latest reading")
    readings = []
    for full_name, unit, value, time in records:
        name = full_name.removeprefix(device) or "value"
        age_s = float(tidy((latest if time >= ABSOLUTE else 0) - time))
        if age_s < 0:
            warnings.append(f"{name[:40]!r} is of the future and left out")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number, symbol = in_our_unit(value, unit)
            if symbol is None:
                warnings.append(f"{name[:40]!r} has unit {unit[:20]!r}, which is not known here")
            quantity = "" if tells_quantity(name) else QUANTITIES.get(unit, "")
            readings.append(Reading(name, number, symbol or "", quantity=quantity, age_s=age_s))
        else:
            readings.append(Reading(name, value, age_s=age_s))
    return readings


def in_our_unit(number: Number, unit: str) -> tuple[Number, str | None]:
    """Return number and symbol; None for an unknown unit, or a number that gets out of range."""
    symbol, multiplier, divisor = SYMBOLS.get(unit, (unit, 1, 1))
    converted = number
    if multiplier != 1:
        converted = tidy(number * multiplier)
    elif divisor != 1:
        converted = tidy(number / divisor)
    known = (symbol in UNITS or not symbol) and is_storable(converted)
    return (converted, symbol) if known else (number, None)


DECODER = Decoder(
    name="senml",
    vendor="IETF",
    model="SenML",
    source="RFC 8428; units also of RFC 8798, device names of RFC 9039; versions of RFC 9100",
    decode=decode,
    examples=[
        Example(  # RFC 8428, section 5.1.1: [{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]
            "5B7B226E223A2275726E3A6465763A6F773A31306532303733613031303830303633222C"
            "2275223A2243656C222C2276223A32332E317D5D",
            gives=[Reading("value", 23.1, "°C", quantity="Temperature")],
        ),
        Example(  # [{"bn":"urn:dev:ow:10e2073a01080063:","bu":"A","n":"voltage","u":"V","v":120.1},
            # {"n":"current","t":-5,"v":1.2}]
            "5B7B22626E223A2275726E3A6465763A6F773A313065323037336130313038303036333A222C226275223A2241222C"
            "226E223A22766F6C74616765222C2275223A2256222C2276223A3132302E317D2C"
            "7B226E223A2263757272656E74222C2274223A2D352C2276223A312E327D5D",
            gives=[Reading("voltage", 120.1, "V"), Reading("current", 1.2, "A", age_s=5.0)],
        ),
        Example(  # the same kinds of record in CBOR, with the time of the device's clock and records before it
            "83 A7 21781B75726E3A6465763A6F773A3130653230373361303130383030363A 22FB41D303A15B001062 236141 2005"
            "0067766F6C74616765 016156 02FB405E066666666666"
            "A3 006763757272656E74 0624 02FB3FF3333333333333  A3 006763757272656E74 0623 02FB3FF4CCCCCCCCCCCD",
            gives=[
                Reading("voltage", 120.1, "V"),
                Reading("current", 1.2, "A", age_s=5.0),
                Reading("current", 1.3, "A", age_s=4.0),
            ],
        ),
        Example(  # [{0: "tank", 1: "/", 2: 0.42}, {0: "nfc", 8: h'6869'}]
            "82 A3 006474616E6B 01612F 02FB3FDAE147AE147AE1  A2 00636E6663 08426869",
            gives=[Reading("tank", 42.0, "%"), Reading("nfc", "6869")],
        ),
        Example(  # the second record has neither name nor base name
            "82 A2 006474616E6B 0205  A1 0205",
            gives=[Reading("tank", 5)],
            fails=WrongFormat,
        ),
        Example("81 A2 006474616E6B 0205  00", gives=[Reading("tank", 5)], fails=WrongLength),
        Example("81 A2 00", fails=WrongLength),
        Example("A1 0205", fails=WrongFormat),
    ],
)
