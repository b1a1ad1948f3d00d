"""Accept frames exactly once: append without a condition, read back, let the fold decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from msgspec import Struct

from lora_post.fleet.errors import LogReplaced
from lora_post.fleet.log.entry import Accepted, Down, Entry, Kind, Queued, State, Told, after, encode, new_id
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.view import Read, View

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
    commands: tuple[Queued, ...] = ()
    told: tuple[Told, ...] = ()

    def entry(self, last: Entry | None, id_: str) -> Entry:
        """Return the entry that says so, behind the last valid one."""
        return after(last, id_, self.state, self.kind, self.up, self.down, self.commands, self.told)


Judge: TypeAlias = Callable[[T, Callable[[str], State]], Proposal | None]
"""Returns what a frame changes in the states that are given by subject; None when it is decided without an entry:
it was seen before, or is refused."""


class Acceptance(Generic[T]):
    """Accepts frames of the devices in a view.

    Decided is a frame only by what was read; that an append failed, or was acknowledged, says nothing. What waits of
    one device goes into the log together, each entry behind the one before: where one is void, all behind it are.
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
        """Yield each frame once it is decided, with the entry that accepted it, if there is one.

        A frame that is not yielded is not decided. Raises LogUnavailable, LogReplaced.
        """
        waiting = list(frames)
        self._read(None)
        for _ in range(ROUNDS):
            ahead = _Ahead(self.view)
            proposed: list[tuple[T, str, Entry]] = []
            undecided: list[T] = []
            for frame in waiting:
                ahead.is_asked = False
                proposal = self._judge(frame, ahead.state)
                if proposal is not None and ahead.is_free(proposal.subject):
                    entry = ahead.follow(proposal, self._id())
                    proposed.append((frame, proposal.subject, entry))
                elif proposal is not None or ahead.is_asked:
                    undecided.append(frame)
                else:
                    yield frame, None
            if not proposed:
                return
            places = self._log.append([(subject, encode(entry)) for _, subject, entry in proposed])
            if any(place is not None and place <= self.view.position for place in places):
                raise LogReplaced("the log goes back behind what was read of it")
            reads = self._read(max(place or 0 for place in places))
            if None in places:
                reads += self._read(None)
            valid = {read.entry.id for read in reads if read.is_valid}
            waiting = []
            for frame, _, entry in proposed:
                if entry.id in valid:
                    yield frame, entry
                else:
                    waiting.append(frame)
            waiting += undecided

    def _read(self, until: int | None) -> list[Read]:
        reads = []
        for read in self.view.catch_up(self._log, until):
            self._on_read(read)  # at once: the next read may fail, and the view has this one
            self.void += not read.is_valid
            reads.append(read)
        return reads


class _Ahead:
    """The states of devices with the entries of one round, of which is not known yet whether they are valid.

    is_asked: a state was given that may not come true.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._newest: dict[str, Entry] = {}
        self.is_asked = False

    def state(self, subject: str) -> State:
        """Return the state of a device."""
        newest = self._newest.get(subject)
        if newest is None:
            return self._view.fold(subject).state
        self.is_asked = True
        return newest.state

    def is_free(self, subject: str) -> bool:
        """Tell whether an entry may be added: the first one of a log is valid whatever it names, so it goes alone."""
        return subject not in self._newest or self._view.fold(subject).last is not None

    def follow(self, proposal: Proposal, id_: str) -> Entry:
        """Return the entry of a change, which the next one of this device follows."""
        last = self._newest.get(proposal.subject) or self._view.fold(proposal.subject).last
        entry = self._newest[proposal.subject] = proposal.entry(last, id_)
        return entry
