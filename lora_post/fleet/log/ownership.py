"""Read and write who decides about a device, in entries of kind `own`.

Entries of who decided before stand behind it and are void. What a home gateway has not mirrored yet when it is taken
over is found again by `given_back`; until then, counters go on so far ahead that they meet nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from zlib import crc32

from msgspec.structs import replace

from lora_post.clocks.scale import now_us
from lora_post.fleet.log.entry import Entry, State, after, new_id
from lora_post.fleet.log.loss import JUMP, beyond

_HOMES: Final = 1 << 24
"""DevAddrs, without NetID, of sessions that home gateways give; each has a block of them."""
_BLOCK_BITS: Final = 18
_BLOCKS: Final = 64


def taken_over(state: State, *, is_held: bool) -> State:
    """Return the state from which on workers decide about a device.

    is_held: until a person gives it back; else until its home gateway, which is away, has a link.
    """
    if not state.owner:
        return replace(state, is_held=is_held)
    stands_in_for = "" if is_held else state.owner
    state = beyond(state, state)
    return replace(state, owner="", is_held=is_held, stands_in_for=stands_in_for, decides_since_us=now_us())


def released(state: State) -> State:
    """Return the state in which the home gateway of a device may take it again."""
    return replace(state, is_held=False)


def given_back(
    last: Entry | None, lost: Sequence[Entry], home: str, until: str, inherited: State | None = None
) -> Entry:
    """Return the entry by which a home gateway decides, behind the newest one of the hub.

    lost: its own entries that are void there, and of which `last` does not know. What they have used is not used again,
    and what they say of commands is told. until: the id of its newest entry. inherited: what it knows of a device of
    which the hub knows nothing.
    """
    state = last.state if last else inherited or State()
    # What a home gateway uses that decides by an entry which is not known here is not known, either. One that is not to
    # decide any more goes on until it has read this entry, in the sessions of which workers learn by it.
    by = JUMP if state.owner or (lost and (last is None or state.is_held)) else 0
    state = beyond(state, lost[-1].state if lost else state, by)
    if not state.is_held:
        state = replace(state, owner=home, stands_in_for="", decides_since_us=now_us())
    over = set(last.state.done) if last else set()
    commands = {each.key: each for entry in lost for each in entry.commands if each.key not in over}
    told = tuple(each for entry in lost for each in entry.told)
    state = replace(state, knows_until=until)
    return after(last, new_id(), state, "own", commands=tuple(commands.values()), told=told)


def may_give(owner: str, dev_addr: int) -> bool:
    """Tell whether who decides may give this DevAddr: homes without a link never give the same as anybody else."""
    return is_given_by((owner,), dev_addr) if owner else not dev_addr & _HOMES


def is_given_by(homes: Iterable[str], dev_addr: int) -> bool:
    """Tell whether a DevAddr is in the block of one of these home gateways."""
    block = dev_addr >> _BLOCK_BITS & (_BLOCKS - 1)
    return bool(dev_addr & _HOMES) and any(block == crc32(home.encode()) % _BLOCKS for home in homes)
