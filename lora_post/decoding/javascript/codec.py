"""A vendor's JavaScript codec as a `Decoder`.

The file is used as it was published: `decodeUplink(input)` with optional `normalizeUplink(input)` (LoRa
Alliance TS013, The Things Stack, ChirpStack v4), `Decode(fPort, bytes, variables)` (ChirpStack v3) or
`Decoder(bytes, port)` (The Things Network v2); the first of these that it has is called. What keeps a
frame from seeing another one is in `realm`, the process that it runs in is in `host`.

Examples come from a file beside it, `NAME.examples.json`: a list of

    {"input": {"bytes": [1, 2, 3] or "010203", "fPort": 2, "variables": {}}, "output": {"data": {}}}

as The Things Stack's device repository writes them; ChirpStack's word for `output` is `expected`. With
`normalizeUplink` the example also needs its result as `normalizedOutput`. An output with `errors` means
that the payload is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from lora_post.decoding.javascript.answer import CodecResult
from lora_post.decoding.javascript.cases import Case, Input
from lora_post.decoding.javascript.host import Codec
from lora_post.decoding.javascript.maker_units import units_beside
from lora_post.decoding.javascript.source import MAX_FILE
from lora_post.errors import ConfigError, DecoderCrash, DecoderHang, WrongFormat
from lora_post.model import CodecFunction, Decoded, Decoder, Encoded, Example, Options
from lora_post.payloads.flatten import flatten, flatten_normalized
from lora_post.results.hints import Hints
from lora_post.results.states import states_in
from lora_post.results.trials import Trial
from lora_post.text import one_line

MAX_TEXT: Final = 200
MAX_SAID: Final = 3  # errors that are quoted
_COMMENT = re.compile(r"\A\s*(?:['\"]use strict['\"];?\s*)?(/\*.*?\*/|(?://[^\n]*\n?\s*)+)", re.DOTALL)
_TAG = re.compile(r"@(brand|vendor|manufacturer|product|model|device)s?\b:?[ \t]+(\S[^\n]*)", re.IGNORECASE)
_ORNAMENT = re.compile(r"^[\s/*=#-]+|[\s*=#/-]+$")


class _Downlink(Struct):
    data: list[int] = field(name="bytes")
    fport: int | None = field(name="fPort", default=None)


def load_js_codec(path: Path) -> Decoder:
    """Load the decoder of one codec file. Raises DecoderCrash with path and cause."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise DecoderCrash(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise DecoderCrash(f"{path}: more than {MAX_FILE >> 20} MiB, too long for a codec")
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        codec = Codec(text)
    except (DecoderCrash, DecoderHang) as crash:
        raise DecoderCrash(f"{path}: {_line(crash.what)}", fix=crash.fix) from None
    hints = Hints(states_in(text), units_beside(path))
    vendor, model, source = _about(path, text)
    return Decoder(
        name=re.sub(r"[^a-z0-9.]+", "-", path.stem.lower()).strip("-") or "codec",
        decode=_Configured(codec, {}, hints),
        vendor=vendor,
        model=model,
        source=source,
        examples=_examples(path.with_name(f"{path.stem}.examples.json"), codec, hints),
        configure=lambda options: _Configured(codec, options, hints),
        origin=str(path),
        memory_bytes=codec.memory_bytes,
        functions=codec.entries,
    )


class _Configured(CodecFunction):
    """The decode function of a codec for devices with these options, its `variables`.

    Raises ConfigError for an option that is not a text, number or boolean.
    """

    def __init__(self, codec: Codec, options: Options, hints: Hints) -> None:
        self._codec = codec
        self._hints = hints
        variables = {name: _variable(name, value) for name, value in options.items()}
        self._variables = msgspec.json.encode(variables).decode() if variables else ""

    def expect(self, payload: bytes, fport: int, received_s: float) -> None:
        """Note a payload that `received` will soon be called with: what was noted goes to the engine together."""
        self._codec.expect(payload, fport, self._variables, received_s)

    def received(self, payload: bytes, fport: int, received_s: float) -> Decoded:
        """Decode one payload; `recvTime` is its reception.

        Raises WrongFormat with the codec's own errors, DecoderCrash when it fails, DecoderHang when it had to be ended.
        """
        try:
            answer = self._codec.call(payload, fport, self._variables, received_s)
        except (DecoderCrash, DecoderHang) as crash:
            raise type(crash)(_line(crash.what), fix=crash.fix) from None
        if answer.errors:
            raise WrongFormat(_line("; ".join(answer.errors[:MAX_SAID])))
        found = _readings(answer, self._hints)
        lost = tuple(_line(f"left out: {what}") for what in answer.lost) + found.warnings
        if lost and not found.readings:
            raise DecoderCrash(_line(f"returned no usable reading; {lost[0]}"))
        said = tuple(_line(text) for text in answer.warnings)
        return replace(found, warnings=said + lost, data=answer.data)

    @property
    def encodes(self) -> bool:
        """Whether it has a function for downlinks."""
        return self._codec.encodes

    def encode(self, values: Mapping[str, object], fport: int) -> Encoded:
        """Encode values for a device. Raises as `received`."""
        answer = self._said(self._codec.encode(json.dumps(values), fport, self._variables))
        try:
            made = msgspec.convert(answer.data, type=_Downlink)
        except msgspec.ValidationError as error:
            raise WrongFormat(f"the codec returned {error}") from None
        return Encoded(bytes(made.data), made.fport, tuple(_line(text) for text in answer.warnings))

    def decode_down(self, payload: bytes, fport: int) -> object:
        """Return what the payload of a downlink says, None without decodeDownlink. Raises as `received`."""
        if "decodeDownlink" not in self._codec.entries:
            return None
        return self._said(self._codec.decode_down(payload, fport, self._variables)).data

    @staticmethod
    def _said(answer: CodecResult) -> CodecResult:
        if answer.errors:
            raise WrongFormat(_line("; ".join(answer.errors[:MAX_SAID])))
        return answer


def _readings(answer: CodecResult, hints: Hints) -> Decoded:
    """Return the readings of a result: what its normalised payload tells goes by the name that it has there."""
    if answer.normalized is None:
        return flatten(answer.data, hints)
    return flatten_normalized(answer.data, answer.normalized, answer.trials, hints)


def _variable(name: str, value: object) -> str:
    """Return an option as a text, as ChirpStack's variables are; codecs make numbers of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ConfigError(f"{name} must be a text, a number or a boolean")


def _line(text: str) -> str:
    return one_line(text, MAX_TEXT)


def _about(path: Path, text: str) -> tuple[str, str, str]:
    """Return vendor, model and source, from the comment at the top, else from the file's name."""
    opening = _COMMENT.match(text)
    comment = opening[1][:2000] if opening else ""
    tags = {tag.lower(): _ORNAMENT.sub("", value) for tag, value in _TAG.findall(comment)}
    parts = [part for part in re.split(r"[\s_-]+", path.stem, maxsplit=1) if part]
    vendor = next(
        (tags[tag] for tag in ("vendor", "brand", "manufacturer") if tags.get(tag)), parts[0] if parts else ""
    )
    model = next(
        (tags[tag] for tag in ("product", "model", "device") if tags.get(tag)), " ".join(parts[1:]) or path.stem
    )
    lines = [_ORNAMENT.sub("", line) for line in comment.splitlines()]
    title = next((line for line in lines if re.search(r"\w{3}", line) and not line.startswith("@")), "")
    return _line(vendor)[:60], _line(model)[:60], _line(f"{path.name}: {title}" if title else path.name)


def _examples(path: Path, codec: Codec, hints: Hints) -> Sequence[Example]:
    """Return the examples beside a codec, empty where they are missing.

    Raises DecoderCrash for a file that cannot be read.
    """
    try:
        cases = msgspec.json.decode(path.read_bytes(), type=list[Case])
        cases = [case for case in cases if case.type == "uplink"]
        return [example for case in cases if (example := _example(case, codec, hints)) is not None]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DecoderCrash(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecoderCrash(f"{path}: {_line(str(error))}") from error


def _example(case: Case, codec: Codec, hints: Hints) -> Example | None:
    """Return the example that a case is; None where it says too little to be checked. Raises ValueError."""
    output, given = case.wanted, case.input
    payload = given.payload.hex()
    options: Mapping[str, object] = given.variables
    if output is not None and output.errors:
        return Example(payload, given.fport, fails=WrongFormat, options=options, received_s=given.received_s)
    normalizes = "normalizeUplink" in codec.entries
    if output is None or (normalizes and case.normalized is None):
        return None
    normalized = case.normalized.data if normalizes and case.normalized else None
    trials = _trials(codec, given) if normalized is not None else ()
    gives = _readings(CodecResult(output.data, normalized, trials=trials), hints).readings
    return Example(payload, given.fport, gives, options=options, received_s=given.received_s)


def _trials(codec: Codec, given: Input) -> tuple[Trial, ...]:
    """Return which values the codec normalises in an example; none where it fails over it."""
    variables = msgspec.json.encode(given.variables).decode() if given.variables else ""
    try:
        return codec.call(given.payload, given.fport, variables, given.received_s or time()).trials
    except (DecoderCrash, DecoderHang):
        return ()
