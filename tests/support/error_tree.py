"""The exceptions of lora-post, as a tree."""

from __future__ import annotations

from collections.abc import Iterable

from lora_post import errors


def below(kind: type[errors.LoraPostError]) -> Iterable[type[errors.LoraPostError]]:
    """Yield the kinds of an error, and their kinds."""
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from below(each)
