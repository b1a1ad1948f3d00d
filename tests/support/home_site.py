"""A home gateway and its hub, without a link: what each has in its log."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from msgspec.structs import replace

from lora_post.fleet.home.book import Adoption, HomeBook
from lora_post.fleet.home.heads import Asked, Heads, Seen
from lora_post.fleet.home.mirror import Mirror
from lora_post.fleet.judging.judge import Judge
from lora_post.fleet.log.entry import Accepted, Counters, Down, Entry, State, Told, after, encode, new_id
from lora_post.fleet.log.view import View
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs
from tests.support.memory_log import MemoryLog

POND = "log.0.pond"
HOME = "north"


class Hub(Heads):
    """The hub, with what it was given."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.log = log
        self.is_deaf = False
        self.seconds = inf

    def look(self, asked: Sequence[Asked], seconds: float = inf) -> list[Seen]:
        return super().look(asked, min(seconds, self.seconds))

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        return [None] * len(entries) if self.is_deaf else self.log.append(entries)

    @property
    def valid(self) -> list[Entry]:
        return [read.entry for read in View("log.").catch_up(self.log) if read.is_valid]

    @property
    def last(self) -> Entry:
        return self.valid[-1]


class Site:
    """A home gateway whose device sends. again: frames that are offered again."""

    def __init__(self, hub: Hub, own: MemoryLog | None = None, subjects: Sequence[str] = (POND,)) -> None:
        self.hub = hub
        self.own = own or MemoryLog()
        self.again: list[int] = []
        self.book = HomeBook(self.own, Judge([], lambda uplink: None, owner=HOME), HOME, lambda entry: None)  # type: ignore[arg-type,return-value]
        self.mirror = Mirror(self.own, hub, self, HOME, subjects)

    def adopt(self, adoption: Adoption) -> bool:
        return self.book.adopt(adoption, lambda lost: self.again.extend(each.up.fcnt for each in lost if each.up))

    def confirm(self, subject: str, number: int) -> None:
        self.book.confirm(subject, number)

    def settle(self) -> None:
        """Mirror until there is nothing to do."""
        for _ in range(20):
            if not self.mirror.step():
                return
        raise AssertionError("it does not come to an end")

    def uplink(self, fcnt: int) -> None:
        """Accept a frame, and answer it."""
        self._append(following(self.last, fcnt))

    def add(self, state: State, told: tuple[Told, ...] = ()) -> None:
        """Make an entry of a join."""
        self._append(after(self.last, new_id(), state, "join", told=told))

    def _append(self, entry: Entry) -> None:
        self.own.append([(POND, encode(entry))])
        list(self.book.acceptance.accept([]))

    @property
    def last(self) -> Entry:
        last = self.book.view.fold(POND).last
        assert last is not None
        return last


def following(last: Entry, fcnt: int) -> Entry:
    up = Accepted("pond", Frame("gw", WallUs(0), b"", RxInfo()), fcnt)
    down = last.state.own.down
    return after(last, new_id(), replace(last.state, own=Counters(down=down + 1)), up=up, down=Down(down, b""))


def owned(last: Entry, state: State) -> Entry:
    return after(last, new_id(), state, "own")


def begun() -> tuple[Hub, Site]:
    hub = Hub(MemoryLog())
    site = Site(hub)
    site.settle()
    assert hub.last.state.owner == HOME
    return hub, site
