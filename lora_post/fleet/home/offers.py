"""Define what the hub offers a home gateway: a frame, a command, or a call to look again."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from lora_post.fleet.hub.subjects import token
from lora_post.fleet.judging.desk import Errand
from lora_post.fleet.log.entry import Reception
from lora_post.model import Frame


class Offer(Struct, frozen=True, omit_defaults=True):
    """One offer. It may get lost: it is offered again until the log shows how it ended."""

    frame: Frame | None = None
    reception: Reception | None = None
    errand: Errand | None = None


def offer_subject(gateway: str) -> str:
    """Return where the hub offers something to a home gateway."""
    return f"offer.{token(gateway)}"


def look_subject(gateway: str) -> str:
    """Return where a home gateway asks what is valid in the logs of its devices."""
    return f"home.{token(gateway)}.look"


encode_offer = msgspec.msgpack.Encoder().encode
decode_offer = msgspec.msgpack.Decoder(Offer).decode
