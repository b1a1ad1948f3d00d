"""From values to the payload of a downlink, by the decoder of a device that can encode.

A decoder may be a stranger's file. What it raises or returns never gets further than here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from lora_post.decoding.choice import choose
from lora_post.decoding.decode import configured, kind_of, message_of
from lora_post.errors import ConfigError, DecodeError, DecoderCrash, WrongFormat
from lora_post.model import CodecFunction, Decoder, Device, Encoded, EncodeExample
from lora_post.text import one_line

MAX_PAYLOAD: Final = 242
MAX_SHOWN: Final = 80
TEXT: Final = "text"
"""The name of the value that a text alone is."""


def encode(device: Device, decoders: Mapping[str, Decoder], values: Mapping[str, object], fport: int | None) -> Encoded:
    """Return what is sent to a device; fport: where it is to go, None where the encoder says that.

    Raises DecodeError when there is no encoder, or it refuses the values.
    """
    for decoder in _of(device, decoders, fport):
        if can_encode(decoder):
            try:
                return _checked(_run(decoder, values, fport))
            except DecodeError as error:
                raise type(error)(f"{decoder.name}: {error.what}", fix=error.fix) from None
            except (Exception, SystemExit) as error:  # the decoder boundary
                raise DecoderCrash(f"{decoder.name}: {message_of(error)}") from error
    names = ", ".join(decoder.name for decoder in _of(device, decoders, fport)) or "no decoder"
    raise DecodeError(
        f"{device.id} has {names}, which cannot encode values",
        fix="give the bytes with --payload, or see docs/decoders.md, Encoders",
    )


def check_encoder(decoder: Decoder, examples: Sequence[EncodeExample]) -> list[str]:
    """Run the examples of an encoder; return what does not come true, a line each."""
    failures = []
    for number, example in enumerate(examples, start=1):
        try:
            function = configured(decoder, example.options)
            got: Encoded | str = _checked(_run(replace(decoder, decode=function), example.values, example.fport))
        except (DecodeError, ConfigError) as error:
            got = f"{type(error).__name__}: {error}"
        wanted = example.gives
        is_same = isinstance(got, Encoded) and wanted is not None and _is_same(wanted, got)
        if not (is_same or (wanted is None and isinstance(got, str))):
            values = one_line(json.dumps(example.values, ensure_ascii=False, default=str), MAX_SHOWN)
            failures.append(f"downlink {number}: {values}: expected {_text(wanted)}, got {_text(got)}")
    return failures


def _is_same(wanted: Encoded, got: Encoded) -> bool:
    return wanted.payload == got.payload and (None in (wanted.fport, got.fport) or wanted.fport == got.fport)


def _text(made: Encoded | str | None) -> str:
    if isinstance(made, Encoded):
        return (made.payload.hex(" ") or "nothing") + ("" if made.fport is None else f" on FPort {made.fport}")
    return made or "a refusal"


def can_encode(decoder: Decoder) -> bool:
    """Tell whether a decoder has a way back."""
    function = decoder.decode
    return decoder.encode is not None or (isinstance(function, CodecFunction) and function.encodes)


def decode_down(device: Device, decoders: Mapping[str, Decoder], payload: bytes, fport: int) -> object:
    """Return what the payload of a downlink says; None where no decoder tells that."""
    for decoder in _of(device, decoders, fport):
        if isinstance(decoder.decode, CodecFunction):
            try:
                found = decoder.decode.decode_down(payload, fport)
            except DecodeError:
                continue
            if found is not None:
                return found
    return None


def _of(device: Device, decoders: Mapping[str, Decoder], fport: int | None) -> list[Decoder]:
    """Return the decoders of a device, that of this FPort first."""
    found = choose(device, decoders, []).decoders
    first = device.decoder_for(fport)
    return sorted(found.values(), key=lambda decoder: decoder.name != first)


def _run(decoder: Decoder, values: Mapping[str, object], fport: int | None) -> Encoded:
    if decoder.encode is None:
        assert isinstance(decoder.decode, CodecFunction)  # noqa: S101 - can_encode
        return decoder.decode.encode(values, fport or 0)
    made: object = decoder.encode(values)
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], bytes | bytearray)):
        raise DecoderCrash(f"encode returned {kind_of(made)}, want (fport, bytes)")
    return Encoded(bytes(made[1]), made[0])


def _checked(made: Encoded) -> Encoded:
    if not (made.fport is None or (type(made.fport) is int and 1 <= made.fport <= 223)):
        raise WrongFormat(f"the encoder wants FPort {made.fport}, it must be 1 to 223")
    if len(made.payload) > MAX_PAYLOAD:
        raise WrongFormat(f"the encoder made {len(made.payload)} bytes, a downlink has at most {MAX_PAYLOAD}")
    return made
