"""Decoders that come as installed packages, by the entry point group `lora_post.decoders`.

An entry point names a `Decoder`, or a module with a `DECODER`:

    [project.entry-points."lora_post.decoders"]
    kijani-sm3 = "kijani_decoders.sm3"

Source: Python Packaging User Guide, "Entry points specification".
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from lora_post.decoding.decode import message_of
from lora_post.decoding.files import LoadedDecoders, checked
from lora_post.errors import DecoderCrash
from lora_post.model import Decoder

GROUP = "lora_post.decoders"


def load_plugins() -> LoadedDecoders:
    """The decoders of all installed packages; one that fails, or whose name is taken, is skipped and reported."""
    found: dict[str, Decoder] = {}
    problems: list[str] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name)):
        try:
            decoder = _load(entry)
        except DecoderCrash as crash:
            problems.append(str(crash))
            continue
        if decoder.name in found:
            problems.append(f"{decoder.origin}: the name {decoder.name!r} is taken by {found[decoder.name].origin}")
            continue
        found[decoder.name] = decoder
    return LoadedDecoders(found, tuple(problems))


def _load(entry: EntryPoint) -> Decoder:
    origin = f"{_package(entry)}: {entry.value}"
    try:
        thing = entry.load()
    except (Exception, SystemExit) as error:  # the decoder boundary: a package of somebody else's
        raise DecoderCrash(f"{origin}: {message_of(error)}") from error
    return checked(getattr(thing, "DECODER", None) if isinstance(thing, ModuleType) else thing, origin)


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?"
