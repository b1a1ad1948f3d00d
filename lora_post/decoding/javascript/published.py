"""Examples as makers publish them beside a codec; only `lora-post decoders test` reads them.

`*-codec.yaml` of The Things Stack's device repository, whose `uplinkDecoder` names the codec, and ChirpStack's
`test_decode_NAME.json`, which is read as YAML as well: some have a comma too many or numbers like 0x02.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from lora_post.decoding.javascript.cases import Case, Output, payload_of
from lora_post.decoding.javascript.yaml12 import load_yaml
from lora_post.errors import DecoderCrash, WrongFormat
from lora_post.model import Decoder, Encoded, EncodeExample, Example
from lora_post.text import one_line

DOWNLINK: Final = "downlink-encode"
"""The type of an example that is for an encoder, as TS013 has it."""
MAX_FILE: Final = 4 << 20
"""Bytes; the largest published one has 300 KB."""


class _DownInput(Struct):
    data: Any = None
    fport: int | None = field(name="fPort", default=None)
    variables: dict[str, str | float | bool] = {}


class _DownOutput(Struct):
    data: list[int] | str = field(name="bytes", default_factory=list)
    fport: int | None = field(name="fPort", default=None)
    errors: list[Any] | None = None


class _DownCase(Struct):
    input: _DownInput
    output: _DownOutput | None = None
    expected: _DownOutput | None = None
    type: str = ""


class _Encoder(Struct):
    file_name: str = field(name="fileName", default="")
    examples: list[_DownCase] | None = None


class _UplinkDecoder(Struct):
    file_name: str = field(name="fileName", default="")
    examples: list[Case] | None = None


class _CodecFile(Struct):
    uplink: _UplinkDecoder | None = field(name="uplinkDecoder", default=None)
    downlink: _Encoder | None = field(name="downlinkEncoder", default=None)


def published_examples(decoder: Decoder) -> list[Example]:
    """Return the examples that are published beside a decoder's file, for the data that its codec gives.

    Raises DecoderCrash for a file that cannot be read.
    """
    codec = Path(decoder.origin)
    if not decoder.functions or not codec.is_file():
        return []
    return [_example(case) for case in _cases(codec)]


def encoder_examples(decoder: Decoder) -> list[EncodeExample]:
    """Return the examples for the encoder of a codec that are published beside its file.

    `type: downlink-encode` in NAME.examples.json (TS013), `downlinkEncoder` of *-codec.yaml, test_encode_NAME.json.
    Raises DecoderCrash for a file that cannot be read.
    """
    codec = Path(decoder.origin)
    if not decoder.functions or not codec.is_file():
        return []
    return [_encode_example(case) for case in _down_cases(codec)]


def _down_cases(codec: Path) -> Iterator[_DownCase]:
    for file in _codec_files(codec):
        if (encoder := file.downlink) is not None:
            yield from encoder.examples or ()
    own, tests = codec.with_name(f"{codec.stem}.examples.json"), codec.with_name(f"test_encode_{codec.stem}.json")
    if own.is_file():
        yield from (case for case in _read(own, list[_DownCase]) if case.type == DOWNLINK)
    if tests.is_file():
        yield from _read(tests, list[_DownCase])


def _encode_example(case: _DownCase) -> EncodeExample:
    """Return the example that a case is. Raises DecoderCrash for bytes that are none."""
    given, output = case.input, case.output or case.expected or _DownOutput()
    if not isinstance(given.data, dict):
        raise DecoderCrash(f"an example's data: {one_line(str(given.data), 80)}, want an object")
    gives = None if output.errors else Encoded(_payload(output.data), output.fport)
    return EncodeExample(given.data, gives, given.fport, dict(given.variables))


def examples_in(path: Path) -> list[Example]:
    """Return the examples of one published file. Raises DecoderCrash."""
    if path.suffix in (".yaml", ".yml"):
        uplink = _read(path, _CodecFile).uplink
        return [_example(case) for case in (uplink.examples if uplink else None) or ()]
    return [_example(case) for case in _read(path, list[Case])]


def _codec_files(codec: Path) -> Iterator[_CodecFile]:
    """Yield what the *-codec.yaml beside a codec say of it: each part only where it names the codec's file."""
    here = codec.resolve()
    for path in (*sorted(here.parent.glob("*-codec.yaml")), *sorted(here.parent.parent.glob("*-codec.yaml"))):
        file = _read(path, _CodecFile)
        yield _CodecFile(
            file.uplink if file.uplink and _is_at(path, file.uplink.file_name, here) else None,
            file.downlink if file.downlink and _is_at(path, file.downlink.file_name, here) else None,
        )


def _is_at(path: Path, file_name: str, codec: Path) -> bool:
    return bool(file_name) and (path.parent / file_name).resolve() == codec


def _cases(codec: Path) -> Iterator[Case]:
    for file in _codec_files(codec):
        if (uplink := file.uplink) is not None:
            yield from uplink.examples or ()
    tests = codec.with_name(f"test_decode_{codec.stem}.json")
    if tests.is_file():
        yield from _read(tests, list[Case])


def _read(path: Path, kind: type[Any]) -> Any:
    """Return what a file says. Raises DecoderCrash."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
        if len(text) > MAX_FILE:
            raise DecoderCrash(f"{path}: more than {MAX_FILE >> 20} MiB, too long for examples")
        return msgspec.convert(load_yaml(text), type=kind, strict=False)
    except OSError as error:
        raise DecoderCrash(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DecoderCrash(f"{path}: {one_line(str(error), 200)}") from error


def _example(case: Case) -> Example:
    """Return the example that a case is. Raises DecoderCrash for bytes that are none."""
    given, output = case.input, case.wanted or Output()
    payload = _payload(given.data)
    fails = WrongFormat if output.errors else None
    data = None if fails else output.data if output.data is not None else {}
    options = dict(given.variables)
    return Example(payload.hex(), given.fport, fails=fails, options=options, data=data, received_s=given.received_s)


def _payload(data: list[int] | str) -> bytes:
    """Return the bytes of an example. Raises DecoderCrash."""
    try:
        return payload_of(data)
    except ValueError as error:
        raise DecoderCrash(f"an example's bytes: {error}") from None
