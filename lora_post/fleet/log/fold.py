"""Tell which entries of a device's log are valid: every reader computes the same.

The first entry that names the last valid one is the next valid one; what else names it is void. So an acceptance is
exactly once, whatever servers, workers and links do: nothing has to be agreed on, and nothing repaired.
"""

from __future__ import annotations

from lora_post.fleet.log.entry import Entry, State


class Fold:
    """The log of one device, read so far. last: the newest valid entry, None before the first."""

    def __init__(self, last: Entry | None = None) -> None:
        self.last = last

    @property
    def state(self) -> State:
        """Return the session after the newest valid entry."""
        return self.last.state if self.last else State()

    def take(self, entry: Entry) -> bool:
        """Read the next entry; tell whether it is valid.

        The first one that is retained is: trimming keeps to that.
        """
        if self.last is not None and entry.prev != self.last.id:
            return False
        self.last = entry
        return True
