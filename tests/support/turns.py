"""Threads of which one runs at a time, in an order that is given: the same order gives the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Semaphore, Thread
from typing import TypeAlias

Step: TypeAlias = Callable[[], None]


class Ended(Exception):
    """The process is killed here."""


class _Actor:
    def __init__(self, work: Callable[[Step], None], main: Semaphore) -> None:
        self._work = work
        self._main = main
        self._turn = Semaphore(0)
        self.is_killed = False
        self.is_over = False
        self.error: BaseException | None = None
        self.thread = Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._turn.acquire()
        try:
            if not self.is_killed:
                self._work(self._step)
        except Ended:
            pass
        except BaseException as error:
            self.error = error
        self.is_over = True
        self._main.release()

    def _step(self) -> None:
        self._main.release()
        self._turn.acquire()
        if self.is_killed:
            raise Ended

    def go_on(self) -> None:
        self._turn.release()
        self._main.acquire()


def take_turns(works: Sequence[Callable[[Step], None]], order: Iterator[int], kill_one_in: int = 0) -> int:
    """Run all to their end; return how many were killed at one of their steps.

    order: endless; says who is next. kill_one_in: of so many turns one is the last of its actor; 0: none is.
    """
    main = Semaphore(0)
    actors = [_Actor(work, main) for work in works]
    for actor in actors:
        actor.thread.start()
    kills = 0
    while alive := [actor for actor in actors if not actor.is_over]:
        choice = next(order)
        actor = alive[choice % len(alive)]
        if kill_one_in and choice // len(actors) % kill_one_in == kill_one_in - 1:
            actor.is_killed = True
            kills += 1
        actor.go_on()
    for actor in actors:
        actor.thread.join()
        if actor.error:
            raise actor.error
    return kills
