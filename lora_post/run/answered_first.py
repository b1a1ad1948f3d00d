"""Which frames are taken first: those of devices that wait for an answer, and listen for it within a second.

Sources: LoRaWAN 1.0.4, section 4; the headers are not encrypted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lora_post.errors import FrameError
from lora_post.lorawan.phy_payload import ADR_ACK_REQ, FOPTS_LEN, MType, message_type
from lora_post.model import Frame, Heard, Link

_ASKING: Final = (MType.JOIN_REQUEST, MType.REJOIN_REQUEST, MType.CONFIRMED_UP)
_FCTRL: Final = 5
_DEV_ADDR: Final = slice(1, 5)


def answered_first(events: Sequence[Heard], most: int) -> Iterator[Sequence[Heard]]:
    """Yield events in parts of at most `most`: the frames of devices that want an answer before all others.

    The frames of one device stay in their order.
    """
    waiting = {_sender(event) for event in events if isinstance(event, Frame) and _wants_answer(event)}
    first = [event for event in events if isinstance(event, Frame) and _sender(event) in waiting] if waiting else []
    if first and len(first) < len(events):
        chosen = set(map(id, first))
        yield from _parts(first, most)
        events = [event for event in events if id(event) not in chosen]
    yield from _parts(events, most)


def _parts(events: Sequence[Heard], most: int) -> Iterator[Sequence[Heard]]:
    for at in range(0, len(events), most):
        yield events[at : at + most]


def _sender(frame: Frame) -> bytes:
    return frame.phy_payload[_DEV_ADDR]


def _wants_answer(frame: Frame) -> bool:
    phy_payload = frame.phy_payload
    if frame.link not in (None, Link.LORAWAN) or len(phy_payload) <= _FCTRL:
        return False
    try:
        mtype = message_type(phy_payload)
    except FrameError:
        return False
    if mtype in _ASKING:
        return True
    return mtype is MType.UNCONFIRMED_UP and bool(phy_payload[_FCTRL] & (ADR_ACK_REQ | FOPTS_LEN))
