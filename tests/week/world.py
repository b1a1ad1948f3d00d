"""The world around lora-post: time, link, server, devices. It passes whenever the input is waited for."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from random import Random

from lora_post.alerts.outbox import Digest
from lora_post.alerts.senders import Sender
from lora_post.errors import Problem, Unavailable
from lora_post.inputs import Input
from lora_post.model import Heard as Heard
from lora_post.sandbox.faults import Ending, Fault
from tests.support.clocks import Machine
from tests.support.serial_port import Port
from tests.week.plan import DEVICES, LOW_BATTERY, Plan, Restart
from tests.week.radio import GOOD_PERCENT, LOW_PERCENT, Device

STEP_S = 30.0
DAEMON_AFTER_S = 600.0
LAST_H = 0.2  # nothing more is sent, so that all of it can arrive
HOUR_US = 3_600_000_000
AHEAD_US = 3 * HOUR_US
BEHIND_US = -2 * HOUR_US


class World:
    """Everything that lora-post has no say in."""

    def __init__(self, plan: Plan, random: Random, port: Port, start_us: int) -> None:
        self.plan = plan
        self.port = port
        self.start_us = start_us
        self.machine = Machine(booted_us=start_us, true_us=start_us, is_vouched_for=True)
        self.devices = [Device(index, random) for index in range(DEVICES)]
        self.sent: list[tuple[int, int, int]] = []
        """Device, count and true time of each frame that the radio program printed."""
        self.restarts = deque(sorted(plan.restarts, key=lambda restart: restart.at))
        self.messages: list[tuple[float, Digest]] = []
        self.boots = 1

    @property
    def hour(self) -> float:
        return (self.machine.true_us - self.start_us) / HOUR_US

    def is_on(self, kind: str) -> bool:
        return self.plan.active(kind, self.hour)

    def choose(self, request: str) -> Fault | None:
        """What becomes of a request to the server."""
        if self.is_on("link down"):
            return Fault("link down", Ending.CUT)
        return Fault("server away", Ending.MADE_UP, status=503) if self.is_on("server away") else None

    def passes(self) -> None:
        """Half a minute."""
        self.machine.pass_s(STEP_S)
        self._set_clock()
        if self.port.is_plugged_in == self.is_on("unplugged"):
            (self.port.unplug if self.port.is_plugged_in else self.port.plug_in)()

    def transmit(self) -> None:
        """What the devices send at this moment, if anybody hears it."""
        for device in self.devices:
            if not device.is_due(self.machine.true_us) or not self.port.is_plugged_in:
                continue
            is_over = self.hour > self.plan.hours - LAST_H
            if is_over or self.is_on(f"silent {device.index}") or self.is_on("no frames"):
                continue
            is_low = device.index == LOW_BATTERY and self.is_on("battery")
            self.port.write(device.frame(self.machine.wall_us(), LOW_PERCENT if is_low else GOOD_PERCENT))
            self.sent.append((device.index, device.count, self.machine.true_us))

    def _set_clock(self) -> None:
        machine = self.machine
        error_us = AHEAD_US * self.is_on("clock ahead") + BEHIND_US * self.is_on("clock behind")
        if error_us:  # somebody has set it by hand, and no daemon runs
            machine.wall_error_us, machine.is_vouched_for = error_us, False
        elif machine.boot_us() > DAEMON_AFTER_S * 1e6 and not self.is_on("link down"):
            machine.wall_error_us, machine.is_vouched_for = 0, True

    def restart_due(self) -> Restart | None:
        if self.restarts and self.restarts[0].at <= self.hour:
            return self.restarts.popleft()
        return None

    def power_cut(self, off_h: float) -> None:
        """Off for so long; without a clock battery it is 1970 after that."""
        end_us = self.machine.true_us + int(off_h * HOUR_US)
        while self.machine.true_us < end_us:
            self.machine.pass_s(STEP_S)
            for device in self.devices:
                device.is_due(self.machine.true_us)
        self.boots += 1
        self.machine.reboot(f"boot-{self.boots}", off_s=0)
        self.machine.is_vouched_for = False
        self.machine.start_in_1970()

    def sender(self, webhook: Sender) -> Sender:
        """The webhook, over the same link."""
        return _Linked(self, webhook)


class _Linked:
    def __init__(self, world: World, webhook: Sender) -> None:
        self.name = webhook.name
        self._world = world
        self._webhook = webhook

    def send(self, gateway: str, digest: Digest) -> None:
        if self._world.is_on("link down"):
            raise Unavailable("no route")
        self._webhook.send(gateway, digest)
        self._world.messages.append((self._world.hour, digest))


class AlertCount:
    """How often each alert was raised and cleared, over restarts."""

    def __init__(self) -> None:
        self.raised: Counter[str] = Counter()
        self.cleared: Counter[str] = Counter()
        self._known: set[str] = set()

    def look(self, raised: Sequence[str]) -> None:
        now = {key.split(":")[0] if key.startswith("input:") else key for key in raised}
        self.raised.update(now - self._known)
        self.cleared.update(self._known - now)
        self._known = now


class Ticking:
    """The input as lora-post reads it: the real port, behind which the world goes on with each read."""

    def __init__(self, inner: Input, world: World, tick: Callable[[], object]) -> None:
        self._inner = inner
        self._world = world
        self._tick = tick
        self.name = inner.name

    @property
    def trouble(self) -> Problem | None:
        return self._inner.trouble

    def events(self, timeout_s: float) -> Sequence[Heard]:
        self._world.passes()
        found = [*(self._inner.events(0.0) or ())]  # opens the port; what is sent before that, nobody hears
        self._world.transmit()
        while some := self._inner.events(0.0):
            found += some
        self._tick()
        return found

    def drain(self) -> Sequence[Heard]:
        return ()

    def kept(self) -> None:
        pass

    def close(self) -> None:
        self._inner.close()
