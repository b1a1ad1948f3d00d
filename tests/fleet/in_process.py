"""Bad days without servers: what workers decide, over a log in memory that loses, delays and repeats.

All workers hear all devices on purpose, so that they race. Devices join, ask for acknowledgements and get commands.
Clocks of gateways are a day off, those of workers jump by one, two gateways have one name, one whose key was stolen
lies, and now and then the hub has an older disk.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from random import Random
from typing import TypeAlias

from msgspec import Struct

from lora_post.command import Command, Moment
from lora_post.downlink.network import Network
from lora_post.downlink.transmit import Transmission
from lora_post.fleet.errors import LogReplaced, LogUnavailable
from lora_post.fleet.hub.raw import Raw, decode_handed, hand_in
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.desk import Errand, Sent
from lora_post.fleet.judging.judge import Chore
from lora_post.fleet.log.acceptance import Acceptance
from lora_post.fleet.log.entry import Entry, Reception, decode
from lora_post.fleet.log.fold import Fold
from lora_post.fleet.log.loss import is_same_log, recover
from lora_post.fleet.log.place import known_of
from lora_post.fleet.log.view import View
from lora_post.fleet.worker.gateway_times import GatewayTimes
from lora_post.lorawan.phy_payload import MType, parse_data_frame
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.model import Device, Frame, Link
from lora_post.times import WallUs
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import dev_addr, keys
from tests.support.fleet_worker import RX, T0, OneWorker, S
from tests.support.forwarder import JoiningDevice
from tests.support.memory_log import FaultyLog, MemoryLog

NETWORK = Network(load_region("EU868"), 0, 1)
WORKERS = 3
FIXED = 12
JOINING = 12
BATCH = 24
LATE_S = 400
JOIN_EVERY = 150
COMMAND_EVERY = 40
SAVE_EVERY = 20
LIE_EVERY = 4
OLD_DISK_EVERY = 700
OLD_DISK_ENTRIES = 60
LINK_S = 7.0
JUMP_EVERY = 100
DAY_US = 86_400 * S
GATEWAYS = (("gw0", "store", 0), ("gw0", "twin", DAY_US), ("gw1", "store", -DAY_US), ("gw2", "store", 50 * S))
"""Name, store, and how far its clock is ahead."""
LIAR = ("liar", "store", 0)


class Killed(Exception):
    pass


class OnAir(Struct):
    """A frame that is under way to the workers. gateway: see GATEWAYS. handed_in_s, age_s: when, and how old it was."""

    phy_payload: bytes
    at_s: float
    gateway: tuple[str, str, int]
    kept: bool
    handed_in_s: float
    age_s: float
    deliveries: int = 1


UnderWay: TypeAlias = OnAir | Errand | Sent


class Outcome(Struct):
    """What came of it."""

    uplinks: int
    missing: int
    doubled: int
    fcntdown_twice: int
    fcntdowns: int
    joins: int
    commands: int
    commands_over_twice: int
    kills: int
    old_disks: int
    lies: int
    void: int

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.doubled or self.fcntdown_twice or self.commands_over_twice)

    @property
    def line(self) -> str:
        return " ".join(f"{name}={getattr(self, name)}" for name in self.__struct_fields__)


class Days:
    """All of it."""

    def __init__(self, seed: int, kill_one_in: int) -> None:
        self.chance = Random(seed)
        self.kill_one_in = kill_one_in
        self.log = MemoryLog()
        self.ends = [JoiningDevice(RootKeys(0xA000 + index, 0xB0, index.to_bytes(16))) for index in range(JOINING)]
        self.devices = [
            Device(f"d{index}", f"d{index}", Link.LORAWAN, dev_addr(index), "cayenne-lpp", keys(index))
            for index in range(FIXED)
        ]
        self.devices += [
            Device(f"j{index}", f"j{index}", Link.LORAWAN, None, "cayenne-lpp", root=end.root)
            for index, end in enumerate(self.ends)
        ]
        self.counts = [0] * FIXED
        self.queue: list[tuple[float, int, UnderWay]] = []
        self.sent: set[tuple[int, int]] = set()
        self.texts: dict[tuple[int, int], set[bytes]] = {}
        self.at_s = 0.0
        self.ahead_us = 0
        self.kills = self.joins = self.commands = self.number = self.old_disks = self.lies = 0
        self.kept: list[OnAir] = []
        self.saved: list[View] = [View("log.") for _ in range(WORKERS)]
        self.times = [GatewayTimes() for _ in range(WORKERS)]
        self.workers = [self._worker(index) for index in range(WORKERS)]
        self.uplinks_of = [0] * JOINING

    def _worker(self, index: int) -> OneWorker:
        view = copy_of(self.saved[index])
        if not is_same_log(self.log, view):
            view, _ = recover(self.log, "log.", known_of(view))
            self.saved[index] = copy_of(view)
        self.times[index] = GatewayTimes()
        worker = OneWorker(self.log, self.devices, NETWORK, None, view)
        faulty = FaultyLog(self.log, self._step, self.chance.randrange)
        worker.acceptance = Acceptance(faulty, view, worker._judge, worker._on_read)
        worker.now = lambda: Moment(self._wall_us(), "", 0)  # type: ignore[method-assign]
        return worker

    def _wall_us(self) -> WallUs:
        """Return what the clocks of workers say."""
        return WallUs(T0 + round(self.at_s * S) + self.ahead_us)

    def _step(self) -> None:
        if self.chance.randrange(self.kill_one_in) == 0:
            raise Killed

    def put(self, what: UnderWay, after_s: float) -> None:
        self.number += 1
        self.queue.append((self.at_s + after_s, self.number, what))

    def send(self) -> None:
        """Let a device send, in its turn or not."""
        self.at_s += 1
        if self.chance.randrange(JUMP_EVERY) == 0:
            self.ahead_us = self.chance.choice((0, 0, DAY_US, -DAY_US))
        which = self.chance.randrange(FIXED + JOINING)
        if which < FIXED:
            fcnt = self.counts[which]
            self.counts[which] += 1
            mtype = MType.CONFIRMED_UP if fcnt % 4 == 0 else MType.UNCONFIRMED_UP
            self._on_air(seal_lorawan(keys(which), dev_addr(which), fcnt, 2, b"\1\2\0\5", mtype=mtype))
            self.sent.add((dev_addr(which), fcnt))
        else:
            self._send_joining(which - FIXED)
        if self.chance.randrange(COMMAND_EVERY) == 0:
            self.commands += 1
            device = self.chance.choice(self.devices).id
            now = Moment(T0 + round(self.at_s * S), "", 0)
            errand = Errand("desk", Command(device, 9, b"\1", now, id=self.commands, life_s=2000.0))
            for _ in range(self.chance.choice((1, 2))):
                self.put(errand, self.chance.uniform(0, 20))

    def _send_joining(self, index: int) -> None:
        end = self.ends[index]
        if end.accept is None or self.uplinks_of[index] >= JOIN_EVERY:
            self._on_air(end.request(), may_be_late=False)
            return
        self.uplinks_of[index] += 1
        fcnt = end.fcnt
        self._on_air(end.uplink(b"\1\2\0\5", confirmed=fcnt % 4 == 0))
        self.sent.add((end.accept.dev_addr, fcnt))

    def _on_air(self, phy_payload: bytes, *, may_be_late: bool = True) -> None:
        is_late = may_be_late and self.chance.randrange(20) == 0
        for gateway in self.chance.sample(GATEWAYS, self.chance.choice((1, 2, 3))):
            after_s = self.chance.uniform(50, LATE_S) if is_late else self.chance.uniform(0, 4)
            what = self._hand_in(phy_payload, self.at_s, gateway, after_s, is_kept=is_late)
            if may_be_late:
                self.kept.append(what)
        if self.chance.randrange(LIE_EVERY) == 0:
            self._lie()

    def _hand_in(
        self, phy_payload: bytes, at_s: float, gateway: tuple[str, str, int], after_s: float, *, is_kept: bool
    ) -> OnAir:
        """Let a gateway hand a frame in; its link may stand still. at_s: when it was heard."""
        on_link_s = self.chance.choice((0.0, 0.0, LINK_S))
        handed_in_s = self.at_s + after_s + on_link_s
        what = OnAir(phy_payload, at_s, gateway, is_kept, handed_in_s, handed_in_s - at_s - on_link_s)
        self.put(what, after_s + on_link_s)
        return what

    def _lie(self) -> None:
        """Let the gateway whose key was stolen hand in recordings, damaged frames and nonsense as if it heard them."""
        self.lies += 1
        recorded = self.chance.choice(self.kept).phy_payload if self.kept else b"\x40"
        damaged = bytearray(recorded)
        damaged[self.chance.randrange(len(damaged))] ^= 1 << self.chance.randrange(8)
        nonsense = self.chance.randbytes(self.chance.randrange(40))
        phy_payload = self.chance.choice((recorded, recorded, bytes(damaged), nonsense))
        self._hand_in(phy_payload, self.at_s, LIAR, 0.0, is_kept=bool(self.chance.randrange(2)))

    def fall_back(self) -> None:
        """Give the hub an older disk; workers find that out, and gateways hand in all that they have kept."""
        self.old_disks += 1
        self.log.delayed.clear()
        self.log.entries = self.log.entries[: -self.chance.randrange(1, OLD_DISK_ENTRIES)]
        for index, worker in enumerate(self.workers):
            self.saved[index] = copy_of(worker.acceptance.view)  # each had written down what it had read
        self.workers = [self._worker(index) for index in range(WORKERS)]
        for what in self.kept:
            self._hand_in(what.phy_payload, what.at_s, what.gateway, self.chance.uniform(0, LATE_S), is_kept=True)

    def _heard(self, index: int, what: OnAir) -> Copied:
        """Return a frame as a worker has it."""
        name, store, ahead_us = what.gateway
        time_us = WallUs(T0 + round(what.at_s * S))
        frame = Frame(name, WallUs(time_us + ahead_us), what.phy_payload, RX, tmst=round(what.at_s * S) % 2**32)
        self.number += 1
        raw = Raw.of(frame, self.number, name, kept=what.kept, age_us=round(what.age_s * S))
        (raw,) = decode_handed(hand_in(store, [raw])).frames
        heard_us = self.times[index].heard_us(name, store, raw, WallUs(T0 + round(what.handed_in_s * S)))
        again = what.kept or what.deliveries > 1
        frames = {Reception(name, store, self.number): raw.frame(name, heard_us)}
        return Copied(
            what.phy_payload, 0, frames, {}, is_live=not again, is_offered_again=again, deliveries=what.deliveries
        )

    def work(self) -> None:
        """Let a worker take what has arrived."""
        index = self.chance.randrange(WORKERS)
        due = sorted(each for each in self.queue if each[0] <= self.at_s)[:BATCH]
        if not due:
            return
        worker = self.workers[index]
        worker.time_us = self._wall_us()
        items: dict[int, Copied | Chore] = {}
        for _, number, what in due:
            items[number] = self._heard(index, what) if isinstance(what, OnAir) else Chore(what)
        numbers = {id(item): number for number, item in items.items()}
        try:
            chores = worker.judge.due(fold.state for fold in worker.acceptance.view.folds.values())
            done = set()
            for item, entry in worker.acceptance.accept([*items.values(), *chores]):
                number = numbers.get(id(item), 0)
                if isinstance(item, Copied) and item.is_doubted:
                    self._deliver_again(number)
                    continue
                is_left = item.decider is not None or (isinstance(item, Copied) and item.is_left)
                if is_left and self.leave(number, item):
                    continue
                done.add(number)
                self._radio(item, entry)
            self.queue = [each for each in self.queue if each[1] not in done]
        except Killed:
            self.kills += 1  # what it had decided and not acknowledged comes again
            self.workers[index] = self._worker(index)
        except LogReplaced:
            self.workers[index] = self._worker(index)
        except LogUnavailable:
            pass
        if self.chance.randrange(SAVE_EVERY) == 0:
            self.saved[index] = copy_of(worker.acceptance.view)

    def leave(self, number: int, item: Copied | Chore) -> bool:
        """Leave something to who decides about its device; tell whether it is to come again."""
        raise AssertionError("there is no home gateway")

    def _deliver_again(self, number: int) -> None:
        """Have a frame come again after a while, as the hub does with what is not acknowledged."""
        ((_, _, what),) = (each for each in self.queue if each[1] == number)
        assert isinstance(what, OnAir)
        what.deliveries += 1
        self.queue = [(due_s + 8 * (each == number), each, it) for due_s, each, it in self.queue]

    def _radio(self, item: Copied | Chore, entry: Entry | None) -> None:
        """Send what is to be sent; the device may not hear it."""
        reply = item.reply
        if reply is None:
            return
        if reply.phy_payload[0] >> 5 == MType.JOIN_ACCEPT:
            self._hear_accept(reply.device, reply.phy_payload, item)
            return
        data = parse_data_frame(reply.phy_payload)
        assert entry is not None and entry.down is not None
        self.texts.setdefault((data.dev_addr, entry.down.fcnt), set()).add(reply.phy_payload)
        if reply.command and self.chance.randrange(5):
            told = Transmission("gw0", "RX1", self.chance.choice((True, True, False, None)))
            self.put(Sent(reply.device, reply.command, told), self.chance.uniform(0, 3))

    def _hear_accept(self, device: str, phy_payload: bytes, item: Copied | Chore) -> None:
        index = int(device[1:])
        end = self.ends[index]
        assert isinstance(item, Copied)
        is_newest = int.from_bytes(item.phy_payload[17:19], "little") == end.dev_nonce
        if not is_newest or not self.chance.randrange(4):
            return
        if end.accept is not None and self.uplinks_of[index] < JOIN_EVERY:
            return  # it has joined by another copy of this answer
        end.hear({"data": b64encode(phy_payload), "ipol": True, "size": len(phy_payload)})
        self.uplinks_of[index] = 0
        self.joins += 1

    def outcome(self) -> Outcome:
        """Compare."""
        folds: dict[str, Fold] = {}
        decoded = [(folds.setdefault(each.subject, Fold()), decode(each.data)) for each in self.log.entries]
        valid = [entry for fold, entry in decoded if fold.take(entry)]
        found = Counter(
            (parse_data_frame(entry.up.frame.phy_payload).dev_addr, entry.up.fcnt) for entry in valid if entry.up
        )
        over = Counter(each.key for entry in valid for each in entry.commands if each.command.is_over)
        for entry in valid:
            if entry.down:
                data = parse_data_frame(entry.down.phy_payload)
                self.texts.setdefault((data.dev_addr, entry.down.fcnt), set()).add(entry.down.phy_payload)
        return Outcome(
            uplinks=len(self.sent),
            missing=len(self.sent - found.keys()),
            doubled=sum(count - 1 for count in found.values()),
            fcntdown_twice=sum(len(texts) - 1 for texts in self.texts.values()),
            fcntdowns=len(self.texts),
            joins=self.joins,
            commands=self.commands,
            commands_over_twice=sum(count - 1 for count in over.values()),
            kills=self.kills,
            old_disks=self.old_disks,
            lies=self.lies,
            void=len(decoded) - len(valid),
        )


def copy_of(view: View) -> View:
    """What is written down of a view."""
    last = {subject: fold.last for subject, fold in view.folds.items() if fold.last}
    return View(view.prefix, view.position, view.anchor, last)


def days_in_process(uplinks: int, seed: int, kill_one_in: int = 300, old_disk_every: int = OLD_DISK_EVERY) -> Outcome:
    """Harm workers while so many uplinks are sent, then let them be."""
    days = Days(seed, kill_one_in)
    while len(days.sent) < uplinks:
        days.send()
        if days.chance.randrange(6) == 0:
            days.work()
        if days.chance.randrange(old_disk_every) == 0:
            days.fall_back()
    days.at_s += LATE_S + 100
    days.kill_one_in = 1 << 40
    for _ in range(100_000):
        if not days.queue:
            break
        days.work()
    days.log.flush()
    return days.outcome()
