"""Have frames accepted exactly once: append without a condition, read back, let the fold decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from msgspec import Struct

from lora_post.fleet.entry import Accepted, Down, Entry, Kind, State, after, encode, new_id
from lora_post.fleet.log import Log, LogReplaced
from lora_post.fleet.view import Read, View

ROUNDS: Final = 10
"""Another worker on the same devices may be first so often; what is left then comes again by redelivery."""

T = TypeVar("T")


class Proposal(Struct, frozen=True):
    """What a frame changes. state: of its device after it. down: the answer; its counter is taken in `state`."""

    subject: str
    state: State
    up: Accepted | None = None
    down: Down | None = None
    kind: Kind = "up"


Judge: TypeAlias = Callable[[T, Callable[[str], State]], Proposal | None]
"""Returns what a frame changes in the states that are given by subject; None when it is decided without an entry:
it was seen before, or is refused."""


class Acceptance(Generic[T]):
    """Accepts frames of the devices in a view.

    Decided is a frame only by what was read; that an append failed, or was acknowledged, says nothing.
    """

    def __init__(
        self,
        log: Log,
        view: View,
        judge: Judge[T],
        on_read: Callable[[Read], None] = lambda read: None,
        id_: Callable[[], str] = new_id,
    ) -> None:
        """on_read: told of every entry that is read. id_: makes ids of entries, each once."""
        self._log = log
        self.view = view
        self._judge = judge
        self._on_read = on_read
        self._id = id_
        self.void = 0

    def accept(self, frames: Sequence[T]) -> Iterator[tuple[T, Entry | None]]:
        """Yield each frame once it is decided, with its entry when that is what has accepted it.

        A frame that is not yielded is not decided. Raises LogUnavailable, LogReplaced.
        """
        waiting = list(frames)
        self._read(0)
        for _ in range(ROUNDS):
            proposed: dict[str, tuple[T, Entry]] = {}
            later: list[T] = []
            for frame in waiting:
                proposal = self._judge(frame, self._state)
                if proposal is None:
                    yield frame, None
                elif proposal.subject in proposed:
                    later.append(frame)
                else:
                    last = self.view.fold(proposal.subject).last
                    entry = after(last, self._id(), proposal.state, proposal.kind, proposal.up, proposal.down)
                    proposed[proposal.subject] = frame, entry
            if not proposed:
                return
            places = self._log.append([(subject, encode(entry)) for subject, (_, entry) in proposed.items()])
            if any(place is not None and place <= self.view.position for place in places):
                raise LogReplaced("the log goes back behind what was read of it")
            valid = {read.entry.id for read in self._read(max(place or 0 for place in places)) if read.is_valid}
            waiting = later
            for frame, entry in proposed.values():
                if entry.id in valid:
                    yield frame, entry
                else:
                    waiting.append(frame)

    def _state(self, subject: str) -> State:
        return self.view.fold(subject).state

    def _read(self, until: int) -> list[Read]:
        reads = list(self.view.catch_up(self._log, until))
        for read in reads:
            self._on_read(read)
            self.void += not read.is_valid
        return reads
