"""A worker of a fleet without a hub: what it decides about frames, over a log in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from lora_post.command import Moment
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.downlink.network import Network
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.desk import Answers, Task
from lora_post.fleet.judging.judge import Chore, Judge
from lora_post.fleet.judging.known_devices import StateOf
from lora_post.fleet.log.acceptance import Acceptance, Proposal
from lora_post.fleet.log.entry import Entry, Joins, Reception, State
from lora_post.fleet.log.inheritance import hand_down
from lora_post.fleet.log.joined import Sessions, joins_of
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.view import Read, View
from lora_post.metrics import Metrics
from lora_post.model import Decoder, Device, Frame, RxInfo
from lora_post.times import WallUs
from lora_post.uplink.join_state import JoinState
from lora_post.uplink.joins import joined_device

S = 1_000_000
T0 = 1_790_000_000 * S
GW = ("gw1",)
RX = RxInfo(-60.0, 8.5, 7, 125.0, "4/5", 868.1)


@cache
def shipped() -> Mapping[str, Decoder]:
    """The shipped decoders, loaded once."""
    return load_folder(shipped_folder()).decoders


class OneWorker:
    """A worker that has just taken over all partitions. heard: the last frame. entry: what has accepted it."""

    def __init__(
        self,
        log: Log,
        devices: Sequence[Device],
        network: Network | None = None,
        inherited: Mapping[str, State] | None = None,
        view: View | None = None,
    ) -> None:
        """view: what it remembers of the log."""
        decode = Decoding(devices, shipped()).decode
        self.metrics = Metrics()
        answers = Answers(network, self.now, self.metrics, lambda: self.time_us) if network else None
        self.judge = Judge(devices, decode, answers)
        view = view or View("log.")
        list(view.catch_up(log))
        hand_down(log, view, inherited or {})
        self._follow_all(view)
        self.acceptance = Acceptance(log, view, self._judge, self._on_read)
        self.number = 0
        self.time_us = WallUs(T0)
        self.entry: Entry | None = None

    def use(self, devices: Sequence[Device]) -> None:
        """Take a changed configuration over."""
        self.judge.use(devices, Decoding(devices, shipped()).decode)
        self._follow_all(self.acceptance.view)

    def _follow_all(self, view: View) -> None:
        for subject, fold in view.folds.items():
            self.judge.follow(subject, fold.state)

    def now(self) -> Moment:
        """The time by this machine's clock."""
        return Moment(self.time_us, "boot", self.time_us - T0)

    def _judge(self, item: Copied | Chore, state_of: StateOf) -> Proposal | None:
        if isinstance(item, Chore):
            return self.judge.look_after(item, state_of)
        return self.judge.judge(item, state_of)

    def joins(self, device: Device) -> Joins:
        """Return what the log says of a device's joins."""
        return joins_of(self.acceptance.view.fold(log_subject(device)).state, device)

    def join_state(self, device: Device) -> JoinState:
        """Return the same as a box has it."""
        return Sessions().join_state(self.joins(device), device)

    def sessions(self, device: Device) -> list[Device]:
        """Return a device in its sessions."""
        return [joined_device(device, each) for each in self.join_state(device).sessions]

    def do(self, task: Task) -> Chore:
        """Do something that is not a frame."""
        chore = Chore(task)
        ((_, self.entry),) = self.acceptance.accept([chore])
        return chore

    def tick(self) -> list[Chore]:
        """Do what is due because time has passed."""
        chores = self.judge.due(fold.state for fold in self.acceptance.view.folds.values())
        list(self.acceptance.accept(chores))
        return chores

    def _on_read(self, read: Read) -> None:
        if read.is_valid:
            self.judge.follow(read.logged.subject, read.entry.state)

    def copied(
        self, phy_payload: bytes, at_s: float, gateways: Sequence[str] = GW, *, kept: bool = False, deliveries: int = 2
    ) -> Copied:
        """Return a frame as gateways heard it."""
        self.number += 1
        time_us = WallUs(T0 + round(at_s * S))
        frames = {
            Reception(gateway, "s", self.number): Frame(gateway, time_us, phy_payload, RX, tmst=round(at_s * S) % 2**32)
            for gateway in gateways
        }
        return Copied(phy_payload, 0, frames, {}, is_live=not kept, is_offered_again=kept, deliveries=deliveries)

    def hear(self, phy_payload: bytes, at_s: float, gateways: Sequence[str] = GW, *, kept: bool = False) -> Copied:
        """Decide a frame."""
        self.heard = self.copied(phy_payload, at_s, gateways, kept=kept)
        self.time_us = max(self.time_us, WallUs(T0 + round(at_s * S)))
        ((_, self.entry),) = self.acceptance.accept([self.heard])
        if self.entry and self.entry.up and self.heard.outcome is not None:
            self.judge.accepted(self.heard.outcome)  # type: ignore[arg-type]
        return self.heard
