"""An hour of 200 gateways and 20,000 devices, in as many seconds as it takes: how each cost grows.

python -m tests.bench hour [--devices N] [--gateways N] [--minutes N]

The worker's code over a log in memory: no hub, no links. Each device sends every 15 minutes, one in ten asks for an
acknowledgement, one frame in twenty is heard by nobody; the others by one to three gateways.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from random import Random

from lora_post.downlink.network import Network
from lora_post.fleet.hub.raw import Raw, hand_in
from lora_post.fleet.log.log import Logged
from lora_post.lorawan.phy_payload import MType
from lora_post.lorawan.region import load_region
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import Device, Link
from lora_post.uplink.unlock import seal_lorawan
from tests.support.fleet_worker import OneWorker

EVERY_S = 900
TOGETHER = 64
TELL_S = 600
BASE = 0x01000000


class LongLog:
    """A log in memory that is read from a position on without a look at all before it."""

    def __init__(self) -> None:
        self.entries: list[Logged] = []
        self.bytes = 0

    def append(self, entries: Sequence[tuple[str, bytes]]) -> Sequence[int | None]:
        first = len(self.entries) + 1
        self.entries += [Logged(first + at, subject, data) for at, (subject, data) in enumerate(entries)]
        self.bytes += sum(len(data) for _, data in entries)
        return range(first, len(self.entries) + 1)

    def read(self, prefix: str, after: int) -> Sequence[Logged]:
        return self.entries[after:]

    def tail(self, prefix: str, after: int, timeout_s: float) -> Sequence[Logged]:
        return self.read(prefix, after)

    def trim(self, subject: str, before: int) -> None:
        """Keep all: an hour is far younger than what is trimmed, so nobody may call this."""
        raise AssertionError(subject)


def keys_of(index: int) -> SessionKeys:
    return SessionKeys(index.to_bytes(16), (index + (1 << 64)).to_bytes(16))


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--devices", type=int, default=20_000)
    options.add_argument("--gateways", type=int, default=200)
    options.add_argument("--minutes", type=int, default=60)
    chosen = options.parse_args()
    chance = Random(1)
    devices = [
        Device(f"d{index}", f"d{index}", Link.LORAWAN, BASE + index, "cayenne-lpp", keys_of(index))
        for index in range(chosen.devices)
    ]
    log = LongLog()
    worker = OneWorker(log, devices, Network(load_region("EU868"), 0, 1))  # type: ignore[arg-type]
    sys.stdout.write(f"{chosen.devices} devices known: {resident_mb():.0f} MB\n")
    raw_bytes = copies = sent = answers = 0
    waiting = []
    began, told_uplinks, told_bytes, next_tell = time.process_time(), 0, 0, TELL_S
    for step in range(chosen.minutes * 60 * chosen.devices // EVERY_S):
        at_s = step * EVERY_S / chosen.devices
        index, fcnt = step % chosen.devices, step // chosen.devices
        sent += 1
        if chance.random() >= 0.05:
            mtype = MType.CONFIRMED_UP if index % 10 == 0 else MType.UNCONFIRMED_UP
            payload = bytes((1, 103, 0, step % 200, 2, 104, step % 100))
            data = seal_lorawan(keys_of(index), BASE + index, fcnt, 2, payload, mtype=mtype)
            home = index * chosen.gateways // chosen.devices
            heard = [f"gw{(home + near) % chosen.gateways}" for near in range(chance.choice((1, 2, 2, 3)))]
            copied = worker.copied(data, at_s, heard)
            for reception, frame in copied.frames.items():
                raw = Raw.of(frame, step, reception.gateway, kept=False, age_us=1000)
                raw_bytes += len(hand_in("0f1e2d3c", [raw]))
            copies += len(heard)
            waiting.append(copied)
        if len(waiting) >= TOGETHER or at_s >= next_tell:
            answers += sum(done.reply is not None for done, _ in worker.acceptance.accept(waiting))
            waiting = []
        if at_s >= next_tell or step == chosen.minutes * 60 * chosen.devices // EVERY_S - 1:
            next_tell += TELL_S
            uplinks, used = len(log.entries), time.process_time() - began
            new = max(uplinks - told_uplinks, 1)
            sys.stdout.write(
                f"{at_s / 60:4.0f} min: {uplinks} entries, {(log.bytes - told_bytes) / new:.0f} bytes each, "
                f"{used / new * 1e3:.2f} ms of CPU for each, {resident_mb():.0f} MB with the whole log\n"
            )
            sys.stdout.flush()
            began, told_uplinks, told_bytes = time.process_time(), uplinks, log.bytes
    uplinks = len(log.entries)
    assert worker.acceptance.void == 0
    a_second = sent / (chosen.minutes * 60)
    sys.stdout.write(
        f"sent {sent} ({a_second:.1f}/s), heard {copies} times, accepted {uplinks}, answered {answers}\n"
        f"frames under way: {raw_bytes / copies:.0f} bytes each; with the hub's workers away "
        f"{raw_bytes / chosen.minutes * 60 / 1e6:.0f} MB an hour of 256\n"
        f"log: {log.bytes / uplinks:.0f} bytes an entry, {log.bytes / chosen.minutes * 60 * 24 * 7 / 1e9:.1f} GB a "
        f"week of 4, on each server\n"
        f"messages at the hub: {(copies + uplinks) / (chosen.minutes * 60):.0f} stored a second\n"
    )
    state = max((fold.last for fold in worker.acceptance.view.folds.values() if fold.last), key=lambda e: len(str(e)))
    sys.stdout.write(f"the largest state has {len(state.state.own.window.gaps)} gaps\n")


if __name__ == "__main__":
    main()
