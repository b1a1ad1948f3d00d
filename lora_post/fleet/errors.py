"""Define the errors between a box and the hub of its fleet."""

from __future__ import annotations

from typing import Final

import msgspec

from lora_post.errors import LoraPostError

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that anybody may have written; RecursionError: thousands of lists in one another."""


class FleetError(LoraPostError):
    """The hub of a fleet is not reached, or refuses."""


class LogUnavailable(FleetError):
    """The log cannot be read or written at the moment."""


class LogReplaced(LogUnavailable):
    """The log is not the one that was read: its order begins earlier."""
