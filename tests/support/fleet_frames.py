"""What workers of a fleet are given in tests of the log: frames that are a device and a counter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lora_post.fleet.log.acceptance import Acceptance, Proposal
from lora_post.fleet.log.entry import Accepted, Counters, Down, Entry, State, decode
from lora_post.fleet.log.fold import Fold
from lora_post.fleet.log.log import Log, Logged
from lora_post.fleet.log.view import View
from lora_post.model import Frame, RxInfo
from lora_post.times import WallUs
from lora_post.uplink.window import Standing, accepted, standing_of

PREFIX = "log.0."


class Heard(NamedTuple):
    """A frame of a device."""

    device: int
    fcnt: int


class Worker:
    """A worker that answers each frame. sent: what it gave the radio, FCntDown and bytes by device."""

    def __init__(self, log: Log, name: str, sent: list[tuple[int, int, bytes]], view: View | None = None) -> None:
        self._name = name
        self._count = 0
        self._sent = sent
        self.acceptance: Acceptance[Heard] = Acceptance(log, view or View(PREFIX), self._judge, id_=self._id)

    def _id(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"

    def _judge(self, heard: Heard, state_of: Callable[[str], State]) -> Proposal | None:
        subject = f"{PREFIX}{heard.device}"
        state = state_of(subject)
        before = state.own
        if standing_of(before.window, heard.fcnt, WallUs(0)) is Standing.SEEN:
            return None
        up = Accepted(str(heard.device), Frame("gw", WallUs(0), b"", RxInfo()), heard.fcnt)
        window = accepted(before.window, heard.fcnt, WallUs(0))
        # What it says differs by worker and try: no two texts may ever share a counter.
        answer = f"{before.down} by {self._name} {self._count}".encode()
        return Proposal(subject, State(Counters(window, before.down + 1)), up, Down(before.down, answer))

    def work(self, frames: Sequence[Heard]) -> list[Heard]:
        """Accept frames; return which are decided."""
        done = []
        for heard, entry in self.acceptance.accept(frames):
            if entry is not None and entry.down is not None:
                self._sent.append((heard.device, entry.down.fcnt, entry.down.phy_payload))
            done.append(heard)
        return done


def chain(entries: Iterable[Logged], subject: str) -> list[Entry]:
    """Return the valid entries of a device."""
    fold = Fold()
    mine = [decode(each.data) for each in entries if each.subject == subject]
    return [entry for entry in mine if fold.take(entry)]


def check(entries: Sequence[Logged], frames: Iterable[Heard], sent: Iterable[tuple[int, int, bytes]]) -> None:
    """Each frame is there once, FCntDown rises, and each of its values was sent with one text only."""
    frames = set(frames)
    for device in {heard.device for heard in frames}:
        valid = chain(entries, f"{PREFIX}{device}")
        fcnts = [entry.up.fcnt for entry in valid if entry.up]
        assert sorted(fcnts) == sorted(heard.fcnt for heard in frames if heard.device == device)
        downs = [entry.down.fcnt for entry in valid if entry.down]
        assert downs == sorted(set(downs))
        assert [entry.number for entry in valid] == list(range(1, len(valid) + 1))
        assert [entry.prev for entry in valid] == ["", *(entry.id for entry in valid[:-1])]
    texts: dict[tuple[int, int], bytes] = {}
    for device, fcnt, text in sent:
        assert texts.setdefault((device, fcnt), text) == text
