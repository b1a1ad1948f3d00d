"""Workers share the partitions; who is gone loses them, by nobody's clock but one's own."""

from __future__ import annotations

from lora_post.fleet.hub.subjects import PARTS
from lora_post.fleet.worker.leases import GONE_S, OVER_S, STEP_S, LeaseBook, Sign


class Hub:
    """What is written at the hub."""

    def __init__(self) -> None:
        self._position = 0
        self.leases: dict[int, Sign] = {}
        self.workers: dict[str, Sign] = {}

    def _sign(self, holder: str) -> Sign:
        self._position += 1
        return Sign(self._position, holder)

    def step(self, book: LeaseBook, name: str, now: float) -> None:
        writes = book.step(self.leases, self.workers, now)
        self.leases |= {part: self._sign(holder) for part, holder in writes.items()}
        self.workers[name] = self._sign(name)


def held(books: dict[str, LeaseBook]) -> list[int]:
    return sorted(part for book in books.values() for part in book.held)


def test_worker_alone_takes_all() -> None:
    hub, book = Hub(), LeaseBook("a")
    hub.step(book, "a", 0)
    assert book.held == frozenset(range(PARTS))


def test_workers_share_and_take_over() -> None:
    hub, books = Hub(), {name: LeaseBook(name) for name in "abc"}
    now = 0.0
    for _ in range(6):
        for name, book in books.items():
            hub.step(book, name, now)
        now += STEP_S
    assert held(books) == list(range(PARTS))
    assert sorted(len(book.held) for book in books.values()) == [4, 6, 6]
    del books["a"]
    died = now
    while held(books) != list(range(PARTS)):
        for name, book in books.items():
            hub.step(book, name, now)
        now += STEP_S
        assert now - died <= OVER_S + 3 * STEP_S


def test_clock_of_another_worker_does_not_matter() -> None:
    hub, books = Hub(), {name: LeaseBook(name) for name in "ab"}
    for step in range(6):
        hub.step(books["a"], "a", step * STEP_S)
        hub.step(books["b"], "b", 1e9 + step * STEP_S)
    assert held(books) == list(range(PARTS))
    assert len(books["a"].held) == len(books["b"].held) == PARTS // 2


def test_worker_that_was_held_up_sees_that_others_hold_its_partitions() -> None:
    hub, books = Hub(), {name: LeaseBook(name) for name in "ab"}
    hub.step(books["a"], "a", 0)
    hub.leases = {part: Sign(1000 + part, "b") for part in range(PARTS)}
    hub.workers["b"] = Sign(2000, "b")
    hub.step(books["a"], "a", 60)
    assert books["a"].held == frozenset()


def test_what_workers_that_are_gone_have_written_is_deleted_once() -> None:
    """Each start of a worker has a name of its own; all of them are read every two seconds."""
    hub, book = Hub(), LeaseBook("a")
    hub.workers = {f"old-{number}": Sign(number + 1, "") for number in range(5)}
    hub.step(book, "a", 0)
    assert book.gone(0) == []
    hub.step(book, "a", GONE_S)
    hub.step(book, "a", GONE_S + 1)
    assert sorted(book.gone(GONE_S + 1)) == sorted(f"old-{number}" for number in range(5))
    assert book.gone(GONE_S + 1) == []
