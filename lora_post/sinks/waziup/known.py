"""What is known of a server, in this process and after it."""

from __future__ import annotations

from typing import Protocol


class Memory(Protocol):
    """What outlives the process: facts about one server and account."""

    def recall(self) -> dict[str, str]: ...
    def remember(self, what: str, value: str) -> None: ...
    def forget(self, what: str) -> None: ...


class Known:
    """The facts of a Memory, read once."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._facts = memory.recall()

    def __contains__(self, what: str) -> bool:
        return what in self._facts

    def get(self, what: str, default: str) -> str:
        return self._facts.get(what, default)

    def remember(self, what: str, value: str) -> None:
        self._facts[what] = value
        self._memory.remember(what, value)

    def forget(self, what: str) -> None:
        self._facts.pop(what, None)
        self._memory.forget(what)
