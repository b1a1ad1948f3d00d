r"""Text of LowCostLoRaGw devices: names and values between slashes.

Any FPort or none, UTF-8, any length:

    \! P # P # N / V / N / V …

    \! upload mark; `\$` in its place marks text for a log, which has no readings
    P  prefix for a cloud (channel key, field, project, service), none to two of them; not used
    N  name of a sensor, kept as it is written: `TC`, `HU`
    V  value: a number if it is a finite decimal (5, 0.5, -0.3, +3, 1e3, 100.), else text

Blanks are deleted, line ends and NULs at the end too. A lone V is the reading `DEF`. Neither `/` nor
`#` can be escaped; behind a third `#` nothing is read. A name that occurs twice gives two readings.
Without the mark only `N/V/N/V` throughout is taken, with letters, digits and `_` in names and
numbers for values, since people send that too and little else looks like it.

Units are not sent. A pair without name or value, or with bytes that are not UTF-8, is dropped and the rest kept.
"""

import re

from lora_post import Decoder, Example, NoReading, Reading, WrongFormat
from lora_post.payloads.actuators import encode_text

UPLOAD_MARK = "\\!"
LOG_MARK = "\\$"
LONE_NAME = "DEF"
NOT_UTF8 = "\ufffd"  # what Python puts in the place of such bytes
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
UNMARKED = re.compile(
    rf"[A-Za-z_][A-Za-z0-9_]{{0,31}}/{NUMBER.pattern}(?:/[A-Za-z_][A-Za-z0-9_]{{0,31}}/{NUMBER.pattern})*"
)


def decode(payload: bytes, fport: int) -> list[Reading]:
    text = payload.decode(errors="replace").rstrip("\r\n\0")
    if text.startswith(UPLOAD_MARK):
        return read_body("".join(text[len(UPLOAD_MARK) :].split()))
    if text.startswith(LOG_MARK):
        raise NoReading(f"log text: {shorten(text[len(LOG_MARK) :])}")
    readings = read_pairs(text.split("/")) if UNMARKED.fullmatch(text) else []
    if not readings or any(isinstance(reading.value, str) for reading in readings):
        raise WrongFormat(f"neither {UPLOAD_MARK} before it nor name/number throughout: {shorten(text)}")
    return readings


def read_body(body: str) -> list[Reading]:
    """Return what follows the upload mark; blanks are deleted already."""
    fields = body.split("#", 3)[:3][-1]
    if "/" in fields:
        return read_pairs(fields.removesuffix("/").split("/"))
    if not fields:
        raise WrongFormat(f"no value after {UPLOAD_MARK}")
    if NOT_UTF8 in fields:
        raise WrongFormat(f"{shorten(fields)} is not UTF-8")
    return [Reading(LONE_NAME, read_value(fields))]


def read_pairs(parts: list[str]) -> list[Reading]:
    """Read names and values in turn; what is not a pair is left out and told at the end."""
    pairs = list(zip(parts[::2], parts[1::2], strict=False))
    readings = [Reading(name, read_value(value)) for name, value in pairs if not pair_fault(name, value)]
    mistakes = [fault for name, value in pairs if (fault := pair_fault(name, value))]
    if len(parts) % 2:
        mistakes.append(f"name {shorten(parts[-1])} without value")
    if mistakes:
        raise WrongFormat("; ".join(mistakes[:3]), readings)
    return readings


def pair_fault(name: str, value: str) -> str:
    """What is wrong with a name and its value, "" when nothing is."""
    if not value:
        return f"name {shorten(name)} without value"
    if not name.isprintable() or not name:
        return f"name {shorten(name)} is empty or not printable"
    return f"{shorten(name + '/' + value)} is not UTF-8" if NOT_UTF8 in name + value else ""


def read_value(text: str) -> int | float | str:
    """Return a number for a finite decimal, a float beyond 64 bits; else the text."""
    if WHOLE_NUMBER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if NUMBER.fullmatch(text) and abs(float(text)) != float("inf"):
        return float(text)
    return text


def shorten(text: str | bytes) -> str:
    """Return a text quoted and printable, at most 40 characters of it."""
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}…"


DECODER = Decoder(
    name="text",
    vendor="LowCostLoRaGw",
    model="text payload",
    source="CongducPham/LowCostLoRaGw: gw_full_latest/README-NewCloud.md and gw_full_latest/CloudWAZIUP.py",
    decode=decode,
    encode=encode_text,
    examples=[
        Example(  # \!TC/22.5/HU/85
            "5C21 54432F32322E35 2F 48552F3835",
            gives=[Reading("TC", 22.5), Reading("HU", 85)],
        ),
        Example("5C21 32322E35", gives=[Reading("DEF", 22.5)]),  # \!22.5
        Example(  # \!field7#2#LUX/1024/TXT/ok
            "5C21 6669656C6437 23 32 23 4C55582F31303234 2F 5458542F6F6B",
            gives=[Reading("LUX", 1024), Reading("TXT", "ok")],
        ),
        Example("5C21 2333 23 54432F32322E3530 00", gives=[Reading("TC", 22.5)]),  # \!#3#TC/22.50 and a NUL
        Example("54432F32322E35 2F 48552F3835", gives=[Reading("TC", 22.5), Reading("HU", 85)]),  # TC/22.5/HU/85
        Example("5C21 54432F32312E30 2F 4855", gives=[Reading("TC", 21.0)], fails=WrongFormat),  # \!TC/21.0/HU
        Example("5C24 68656C6C6F", fails=NoReading),  # \$hello
        Example("68656C6C6F", fails=WrongFormat),  # hello
        Example("5C21", fails=WrongFormat),
        Example("5C21 FFFE", fails=WrongFormat),
        Example(  # \!TC/22.5\xB0/HU/55.5
            "5C21 54432F32322E35B0 2F 48552F35352E35", gives=[Reading("HU", 55.5)], fails=WrongFormat
        ),
    ],
)
