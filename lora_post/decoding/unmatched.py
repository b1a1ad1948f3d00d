"""Find names and patterns of the configuration that no sensor of a device has: slips of the pen, which do nothing.

What a decoder can give is known from its examples, and from the table of Cayenne LPP's types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from lora_post.decoding.choice import Mistake, decoder_names
from lora_post.decoding.decode import attempt
from lora_post.errors import DecodeError, Problem
from lora_post.model import CodecFunction, Decoder, Device, Example, matches
from lora_post.payloads import lpp
from lora_post.text import did_you_mean

FREE: Final = frozenset({"cbor", "json", "senml", "text", "utf8"})
"""Decoders whose devices choose the names."""
LPP: Final = frozenset({"cayenne-lpp", "xlpp"})
MAX_EXAMPLES: Final = 50

_digits = re.compile("[0-9]+")


def unmatched(device: Device, decoders: Mapping[str, Decoder]) -> Iterator[Mistake]:
    """Yield the names in `only`, `drop` and the sensor tables of a device that none of its sensors has.

    Nothing where a name may be any, or a decoder has no example of one.
    """
    asked = {
        **{name: "only" for name in device.only},
        **{name: "drop" for name in device.drop},
        **{rule.name: "[[device.sensor]] name" for rule in device.sensors},
    }
    if not asked:
        return
    used = [decoders.get(name) for name in decoder_names(device)]
    known: set[str] = set()
    for decoder in used:
        names = _names(decoder) if decoder is not None and decoder.name not in FREE else set()
        if not names:
            return
        known |= names
    for name, key in asked.items():
        if not any(matches(_bare(each), _bare(name)) for each in known):
            shown = ", ".join(each.name for each in used if each is not None)
            what = f"{key} has {name!r}, and no example of {shown} has a sensor like that"
            yield Mistake(device.id, Problem(what, did_you_mean(name, known)))


def _bare(name: str) -> str:
    """Return a name with all numbers alike: an example has some of a device's channels."""
    return _digits.sub("0", name)


def _names(decoder: Decoder) -> set[str]:
    if decoder.name in LPP:
        return {f"{name}_0" for name in lpp.NAMES.values()}
    return {name for example in decoder.examples[:MAX_EXAMPLES] for name in _names_in(decoder, example)}


def _names_in(decoder: Decoder, example: Example) -> set[str]:
    """Return the names of an example's sensors; with those of its metadata, which only a codec has, by running it."""
    found = {reading.name for reading in example.gives}
    if isinstance(decoder.decode, CodecFunction):
        with suppress(DecodeError):
            decoded = attempt(decoder.decode, bytes.fromhex(example.payload), example.fport)
            found |= {said.name for said in decoded.metadata}
    return found
