"""Devices by the thousand, their frames, and a pipeline that takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import count
from pathlib import Path

from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame
from lora_post.run.pipeline import Pipeline
from lora_post.spool.arrivals import Arrivals
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import NOON_US, device, frame
from tests.support.seal import join_accept, join_request

FIRST_ADDRESS = 0x26000000
PAYLOAD = bytes.fromhex("03670110056700ff")
STEP = 7919
"""Frames come from devices far apart."""
SINK = "waziup"
EVERY_US = 600_000_000


def keys(index: int) -> SessionKeys:
    whole = blake2b(index.to_bytes(4), digest_size=32).digest()
    return SessionKeys(whole[:16], whole[16:])


def devices(size: int, *, clash: bool = False) -> list[Device]:
    """Devices that speak LoRaWAN; with `clash` all of one DevAddr."""
    return [
        device(f"field-{index}", address=FIRST_ADDRESS + (0 if clash else index), keys=keys(index))
        for index in range(size)
    ]


def joiners(size: int) -> list[Device]:
    return [device(f"buoy-{index}", address=None, keys=None, root=root(index)) for index in range(size)]


def root(index: int) -> RootKeys:
    return RootKeys(0x70B3D500_00000000 + index, 1, keys(index).secrets[0])


class Traffic:
    """Frames of all devices by turns, each new. now_us: when the last one was sent.

    Each device sends every ten minutes, whatever their number, as in the field: with more devices the frames follow
    each other faster, and what is done for each device now and then has the same share of a frame's cost.
    """

    def __init__(self, of: Sequence[Device], every_us: int = EVERY_US, first: int = 0) -> None:
        """first: the number of the first frame: those before it were sent already."""
        self._of = of
        self._step_us = every_us // len(of)
        self._numbers = count(first)
        self.now_us = NOON_US

    @staticmethod
    def turns(of: Sequence[Device]) -> list[Device]:
        """Return all devices, in the order in which they send."""
        return [of[number * STEP % len(of)] for number in range(len(of))]

    def frames(self, many: int) -> list[Frame]:
        return [self._frame(next(self._numbers)) for _ in range(many)]

    def _frame(self, number: int) -> Frame:
        size = len(self._of)
        one = self._of[number * STEP % size]
        assert one.keys is not None and one.address is not None
        assert isinstance(one.keys, SessionKeys)
        self.now_us += self._step_us
        return frame(seal_lorawan(one.keys, one.address, number // size, 2, PAYLOAD), self.now_us)


class Joins:
    """Join-requests and join-accepts of all devices by turns."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._numbers = count()

    def next_pair(self) -> list[Frame]:
        number = next(self._numbers)
        index, nonce = number * STEP % self._size, number // self._size
        keys_ = root(index)
        at_us = NOON_US + number * 1_000_000
        accept = join_accept(keys_, nonce, 0x01000000 + number % (1 << 20), join_nonce=nonce)
        return [frame(join_request(keys_, nonce), at_us), frame(accept, at_us + 1)]


class Running:
    """A pipeline with its spool, as `run` has it."""

    def __init__(self, folder: Path, of: Sequence[Device]) -> None:
        self.spool_file = SpoolFile(folder / "spool.db")
        self.arrivals = Arrivals()
        self.writer = QueueWriter(self.spool_file, [SINK], 1 << 40, arrivals=self.arrivals)
        self.ledger = SpoolLedger(self.spool_file, of, self.writer)
        self.metrics = Metrics()
        decode = Decoding(of, load_folder(shipped_folder()).decoders).decode
        self.pipeline = Pipeline(self.ledger, decode, self.metrics, lambda outcome: None)


@contextmanager
def running(folder: Path, of: Sequence[Device]) -> Iterator[Running]:
    site = Running(folder, of)
    try:
        yield site
    finally:
        site.spool_file.close()
