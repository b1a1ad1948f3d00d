"""Bad days with a home gateway, without servers: its link is cut, it is killed, its devices are taken over.

Now and then the hub has an older disk. Half of the devices have one home gateway. What it hears it decides itself;
what others hear of them goes to the hub, which offers it to the home gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec.structs import asdict, replace

from lora_post.command import Moment
from lora_post.decoding.choice import Decoding
from lora_post.fleet.errors import LogUnavailable
from lora_post.fleet.home.book import Adoption, HomeBook, is_for_hub
from lora_post.fleet.home.heads import Asked, Heads, Seen
from lora_post.fleet.home.mirror import Mirror
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.desk import Answers, Sent
from lora_post.fleet.judging.judge import Chore, Judge
from lora_post.fleet.log.entry import Entry, after, encode, new_id
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.ownership import released, taken_over
from lora_post.fleet.log.view import View
from lora_post.metrics import Metrics
from lora_post.model import Device
from lora_post.times import WallUs
from tests.fleet.in_process import BATCH, GATEWAYS, NETWORK, OLD_DISK_EVERY, Days, Killed, OnAir, Outcome, UnderWay
from tests.support.fleet_worker import T0, OneWorker, S, shipped
from tests.support.memory_log import FaultyLog, MemoryLog

HOME = "home"
OWN = (HOME, "store", 0)
OFFER_AGAIN_S = 60
Item: TypeAlias = Copied | Chore


class Reached:
    """The hub, as a home gateway reaches it over a bad link."""

    def __init__(self, log: FaultyLog, heads: Heads, is_up: Callable[[], bool]) -> None:
        self._log = log
        self._heads = heads
        self._is_up = is_up

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        if not self._is_up():
            return [None] * len(entries)
        return self._log.append(entries)

    def look(self, asked: Sequence[Asked]) -> Sequence[Seen]:
        if not self._is_up():
            raise LogUnavailable("no link")
        return self._heads.look(asked)


class KilledLog:
    """The log of the home gateway, which is killed between any two things that happen there."""

    def __init__(self, log: MemoryLog, step: Callable[[], None]) -> None:
        self._log = log
        self._step = step

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        self._step()
        places = self._log.append(entries)
        self._step()
        return places

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        return self._log.read(prefix, after)

    tail = MemoryLog.tail

    def trim(self, subject: str, before: int) -> None:
        self._step()
        self._log.trim(subject, before)

    def used_bytes(self) -> int:
        return self._log.used_bytes()

    def longest(self, limit: int, *, newest: bool) -> Sequence[Logged]:
        return self._log.longest(limit, newest=newest)

    def join(self, entries: Sequence[Logged], data: bytes) -> None:
        self._step()
        self._log.join(entries, data)
        self._step()

    def begin(self, subject: str, data: bytes) -> None:
        self._step()
        self._log.begin(subject, data)
        self._step()


class HomeOutcome(Outcome):
    """What came of it. void_at_home: entries that somebody else was before. left: what nobody has taken in the end."""

    home_kills: int
    cuts: int
    take_overs: int
    void_at_home: int
    left: int

    @property
    def is_right(self) -> bool:
        return super().is_right and not self.left


class HomeDays(Days):
    """The same days, and a home gateway."""

    def __init__(self, seed: int, kill_one_in: int) -> None:
        self.home_log = MemoryLog()
        self.home_queue: list[tuple[int, UnderWay]] = []
        self.is_linked = True
        self.home_kills = self.take_overs = self.cuts = self.void_at_home = 0
        super().__init__(seed, kill_one_in)
        self.devices = [replace(each, home=HOME) if int(each.id[1:]) % 2 == 0 else each for each in self.devices]
        self.mine = [each for each in self.devices if each.home]
        self.workers = [self._worker(index) for index in range(len(self.workers))]
        self._start_home()

    def _start_home(self) -> None:
        decode_ = Decoding(self.mine, shipped()).decode
        now = lambda: Moment(WallUs(T0 + round(self.at_s * S)), "", 0)  # noqa: E731
        answers = Answers(NETWORK, now, Metrics(), lambda: WallUs(T0 + round(self.at_s * S)))
        judge = Judge(self.mine, decode_, answers, owner=HOME)
        self.book = HomeBook(KilledLog(self.home_log, self._step), judge, HOME, lambda entry: None)
        self._start_mirror()

    def _start_mirror(self) -> None:
        faulty = FaultyLog(self.log, self._step, self.chance.randrange)
        self.heads = Heads(self.log)
        hub = Reached(faulty, self.heads, lambda: self.is_linked)
        subjects = [log_subject(each) for each in self.mine]
        self.mirror = Mirror(KilledLog(self.home_log, self._step), hub, self, HOME, subjects)

    def adopt(self, adoption: Adoption) -> bool:
        return self.book.adopt(adoption, self._keep)

    def _keep(self, lost: Sequence[Entry]) -> None:
        for entry in lost:
            self.void_at_home += 1
            if entry.up:
                at_s = (entry.up.frame.time_us - T0) / S
                self.put_home(OnAir(entry.up.frame.phy_payload, at_s, OWN, True, at_s, 0.0))

    def confirm(self, subject: str, number: int) -> None:
        self.book.confirm(subject, number)

    def put_home(self, what: UnderWay) -> None:
        self.number += 1
        self.home_queue.append((self.number, what))

    def _on_air(self, phy_payload: bytes, *, may_be_late: bool = True) -> None:
        is_late = may_be_late and self.chance.randrange(20) == 0
        heard = [gateway for gateway in (OWN, *GATEWAYS) if self.chance.randrange(2)] or [OWN]
        for gateway in heard:
            if gateway == OWN:
                what = OnAir(phy_payload, self.at_s, OWN, False, self.at_s, 0.0)
                self.put_home(what)
                if may_be_late:
                    self.kept.append(what)
                continue
            after_s = self.chance.uniform(50, 400) if is_late else self.chance.uniform(0, 4)
            what = self._hand_in(phy_payload, self.at_s, gateway, after_s, is_kept=is_late)
            if may_be_late:
                self.kept.append(what)

    def leave(self, number: int, item: Item) -> bool:
        """Offer it to the home gateway; its gateway keeps it until it is seen in the log."""
        ((_, _, what),) = (each for each in self.queue if each[1] == number)
        if isinstance(item, Copied):
            if not item.is_left:
                return False
            assert isinstance(what, OnAir)
            what.kept, what.handed_in_s = True, self.at_s + OFFER_AGAIN_S
            what.age_s = what.handed_in_s - what.at_s
            if self.is_linked and item.decider and self.chance.randrange(4):
                self.put_home(OnAir(what.phy_payload, what.at_s, what.gateway, True, self.at_s, 0.0))
            self.queue = [(due + OFFER_AGAIN_S * (each == number), each, it) for due, each, it in self.queue]
            return True
        if isinstance(what, Sent):
            return False
        if self.is_linked and self.chance.randrange(4):
            self.put_home(what)
            return False
        self.queue = [(due + OFFER_AGAIN_S * (each == number), each, it) for due, each, it in self.queue]
        return True

    def work_home(self) -> None:
        """Let the home gateway take what it has heard, and what was offered to it."""
        taken = self.home_queue[:BATCH]
        items: dict[int, Item] = {}
        for number, what in taken:
            if isinstance(what, OnAir):
                items[number] = OneWorker.copied(
                    self.workers[0], what.phy_payload, what.at_s, what.gateway[:1], kept=what.kept
                )
            else:
                items[number] = Chore(what)
        numbers = {id(item): number for number, item in items.items()}
        done = set()
        try:
            for item, entry in self.book.decide([*items.values(), *self.book.due()]):
                number = numbers.get(id(item), 0)
                done.add(number)
                if item.decider is not None or (isinstance(item, Copied) and is_for_hub(item, entry)):
                    self._to_hub(next((what for each, what in taken if each == number), None))
                    continue
                self._radio(item, entry)
        except Killed:
            self.home_kills += 1
            self._start_home()
        self.home_queue = [each for each in self.home_queue if each[0] not in done]

    def _to_hub(self, what: UnderWay | None) -> None:
        """Publish what this gateway does not decide about; it keeps it until it has a link."""
        if isinstance(what, OnAir):
            self._hand_in(what.phy_payload, what.at_s, what.gateway, 0.0, is_kept=True)
        elif what is not None:
            self.put(what, 0.0)

    def put(self, what: UnderWay, after_s: float) -> None:
        if isinstance(what, Sent) and log_subject(self._device(what.device)) in self._owned():
            self.put_home(what)
            return
        super().put(what, after_s)

    def _device(self, id_: str) -> Device:
        return next(each for each in self.devices if each.id == id_)

    def _owned(self) -> set[str]:
        folds = self.book.view.folds.items()
        return {subject for subject, fold in folds if fold.state.owner == HOME}

    def mirror_on(self) -> None:
        try:
            for _ in range(self.chance.randrange(6)):
                if not self.mirror.step():
                    break
        except Killed:
            self.home_kills += 1
            self._start_home()
        except LogUnavailable:
            self.mirror.doubt()

    def change_link(self) -> None:
        self.is_linked = not self.is_linked
        self.cuts += 1
        if self.is_linked:
            self.mirror.doubt()

    def fall_back(self) -> None:
        """Give the hub an older disk; the home gateway, too, hands in all that it has kept."""
        super().fall_back()
        self.heads.look_again()
        self.mirror.doubt()

    def take_over(self) -> None:
        """Take a device over, as a person does, or as a worker does for a home gateway that is away."""
        subject = log_subject(self.chance.choice(self.mine))
        view = View(subject)
        for _ in view.catch_up(self.log):
            pass
        last = view.fold(subject).last
        if last is None:
            return
        self.take_overs += 1
        is_held = last.state.is_held
        state = released(last.state) if is_held else taken_over(last.state, is_held=self.chance.randrange(2) == 0)
        self.log.append([(subject, encode(after(last, new_id(), state, "own")))])
        self.mirror.doubt()

    def last_look(self) -> None:
        """Give every device back, and let everything be mirrored."""
        self.is_linked = True
        for each in self.mine:
            subject = log_subject(each)
            view = View(subject)
            for _ in view.catch_up(self.log):
                pass
            last = view.fold(subject).last
            if last and last.state.is_held:
                self.log.append([(subject, encode(after(last, new_id(), released(last.state), "own")))])
        self.mirror.doubt()


def home_days(uplinks: int, seed: int, kill_one_in: int = 300) -> HomeOutcome:
    """Harm workers and a home gateway while so many uplinks are sent, then let them be."""
    days = HomeDays(seed, kill_one_in)
    chance = days.chance.randrange
    while len(days.sent) < uplinks:
        days.send()
        if chance(3) == 0:
            days.work_home()
        if chance(6) == 0:
            days.work()
        if chance(8) == 0:
            days.mirror_on()
        if chance(60) == 0:
            days.change_link()
        if chance(60) == 0:
            days.take_over()
        if chance(OLD_DISK_EVERY) == 0:
            days.fall_back()
    days.at_s += 500
    days.kill_one_in = 1 << 40
    days.last_look()
    for _ in range(20_000):
        days.work_home()
        days.work()
        days.mirror_on()
        days.at_s += 1
        if not days.queue and not days.home_queue and not days.mirror.waiting:
            break
    days.log.flush()
    return HomeOutcome(
        **asdict(days.outcome()),
        home_kills=days.home_kills,
        cuts=days.cuts,
        take_overs=days.take_overs,
        void_at_home=days.void_at_home,
        left=len(days.queue) + len(days.home_queue) + days.mirror.waiting,
    )
