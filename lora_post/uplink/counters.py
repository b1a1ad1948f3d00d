"""Which frame counters are accepted: the `fcnt` policies of devices.

Sources: LoRaWAN 1.0.3, section 4.3.1.5; LoRaWAN 1.0.4, section 4.3.1.5, by which a device that is activated by
personalisation must not lose its counters; many do.
"""

from __future__ import annotations

from shlex import quote
from typing import Final

from lora_post.errors import StaleFCnt
from lora_post.model import Device, FCntPolicy
from lora_post.uplink.model import Uplink

RESTART_BELOW: Final = 100
"""A lower counter is that of a restarted device only below this: as many first frames may have been missed."""

MAX_GAP: Final = 10_000
"""A counter that jumps further was set, it did not miss so many frames."""

# A counter of 16 bits that fell back by less than half its range is an old frame, not a roll-over.
_HALF_RANGE: Final = 0x8000
_MAX_16_BIT: Final = 0xFFFF
_NEAR_ROLL_OVER: Final = 0xC000
_SOON_AFTER_ROLL_OVER: Final = 0x4000
_STRICT: Final = FCntPolicy.STRICT


def tolerates(device: Device, fcnt: int) -> bool:
    """Tell whether a device may send a counter that is not above its last one."""
    policy = device.fcnt
    return policy is FCntPolicy.UNCHECKED or (policy is FCntPolicy.RESTARTS and fcnt < RESTART_BELOW)


def is_old(next_fcnt: int, fcnt: int) -> bool:
    """Tell whether a device with a counter of 16 bits has sent this one before.

    next_fcnt, fcnt: without roll-over; fcnt from `full_fcnt`.
    """
    return next_fcnt > 0 and fcnt - next_fcnt >= _HALF_RANGE


def stale(device: Device, fcnt: int, last: int) -> StaleFCnt:
    """Return the refusal of a counter that is not above `last`, with what would accept it."""
    name = device.id
    if fcnt == last:
        what = f"{name}: FCnt {fcnt} again, the newest one: a repeat, or the copy of another gateway"
        if device.fcnt is not _STRICT or fcnt >= RESTART_BELOW:
            return StaleFCnt(what, name)
        what += ", or the device was restarted"
    else:
        what = f"{name}: FCnt {fcnt} after {last}: a replay, or the device was restarted"
    fix = f"if it was restarted: `lora-post spool reset-counter {quote(name)}`"
    if device.fcnt is _STRICT and fcnt < RESTART_BELOW:
        fix += ', or fcnt = "restarts" if it restarts often'
    elif device.fcnt is FCntPolicy.RESTARTS:
        fix += ", or wait for its third new frame in a row"
    if fcnt < _SOON_AFTER_ROLL_OVER and _NEAR_ROLL_OVER <= last <= _MAX_16_BIT:
        what += ", or its counter has 16 bits"
        fix += '; if its counter has 16 bits: fcnt = "16bit"'
    return StaleFCnt(what, name, fix=fix)


def wider_than_16_bit(device: Device, fcnt: int) -> StaleFCnt:
    """Return the refusal of an authentic counter that needs more than the 16 bits that its device is said to have."""
    what = f'{device.id}: FCnt {fcnt} fits, and fcnt = "16bit" takes none above {_MAX_16_BIT}'
    return StaleFCnt(what, device.id, fix='its counter has 32 bits: set fcnt = "strict" in its [[device]]')


def missed_between(before: int | None, uplink: Uplink) -> int:
    """Return how many frames of a device were sent and not heard; -1 for one that came after all.

    before: the FCnt of the uplink heard last, but for late ones.
    """
    if uplink.is_late:
        return -1
    if before is None or not uplink.authentic or not 1 < uplink.fcnt - before <= MAX_GAP:
        return 0
    return uplink.fcnt - before - 1
