"""Microseconds a frame from bytes to readings, with and without the spool, beside the work that cannot be avoided.

    python -m tests.bench pipeline [--frames N] [--rounds N]

CPU time of one core, in rounds by turns: bare `cryptography` calls (CMAC and one AES block, contexts kept), cayennelpp
on the same payloads, the parser as `run` has it, then parse → verify → decrypt → decode, the same with
the durable spool. Beside them what a loop written out by hand takes, see `floor`: less is hardly possible in CPython.
Of each: the least, the median, the quarters between which half of the rounds lie, and the ratios of the leasts and of
the medians to bare crypto: on a busy machine the second is the steadier one. At the end the resident memory before and
after. What `run` takes: bench_run.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC
from functools import partial
from pathlib import Path

from cayennelpp import LppFrame
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.formats import FORMATS, Parser
from lora_post.metrics import Metrics
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import Ledger, MemoryLedger, SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.unlock import seal_lorawan
from tests.bench.floor import Floor
from tests.support.build import APP_SKEY, NWK_SKEY, device
from tests.support.command import packet

PAYLOAD = bytes.fromhex("03670110056700ff")
POND = device()
START_US = 1_790_000_000_000_000
CHUNK = 1 << 16


def capture(first: int, frames: int) -> list[bytes]:
    """A radio program's output of this many frames, cut as a pipe gives it."""
    assert POND.keys is not None
    parts = [
        packet(seal_lorawan(POND.keys, POND.address, fcnt, 2, PAYLOAD), START_US + fcnt * 1_000_000)
        for fcnt in range(first, first + frames)
    ]
    stream = b"".join(parts)
    return [stream[at : at + CHUNK] for at in range(0, len(stream), CHUNK)]


def per_item(work: Callable[[], object], count: int) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) / count * 1e6


def bare_crypto(frames: int) -> Callable[[], None]:
    mac = CMAC(AES(NWK_SKEY))
    block = Cipher(AES(APP_SKEY), modes.ECB()).encryptor().update
    message, counter = bytes(33), bytes(16)

    def work() -> None:
        for _ in range(frames):
            tag = mac.copy()
            tag.update(message)
            tag.finalize()
            block(counter)

    return work


def decoding() -> Decoding:
    return Decoding([POND], load_folder(shipped_folder()).decoders)


class Rounds:
    """Microseconds a frame of each work, by turns."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._found: dict[str, list[float]] = {}

    def measure(self, name: str, work: Callable[[], object]) -> None:
        gc.collect()
        self._found.setdefault(name, []).append(per_item(work, self._frames))

    def show(self) -> None:
        """Print each with its ratios to the first."""
        first = next(iter(self._found.values()))
        for name, found in self._found.items():
            low, middle, high = statistics.quantiles(found, n=4)
            ratio = middle / statistics.median(first)
            sys.stdout.write(
                f"{name:30} {min(found):6.2f} µs a frame, {min(found) / min(first):5.1f} ×;"
                f" median {middle:6.2f}, {ratio:5.1f} × (half within {low:.2f} … {high:.2f})\n"
            )


def pipeline(ledger: Ledger) -> Pipeline:
    return Pipeline(ledger, decoding().decode, Metrics(), lambda outcome: None)


def read(parser: Parser, chunks: list[bytes]) -> None:
    for chunk in chunks:
        parser.feed(chunk, START_US)


def handle(pipeline: Pipeline, parser: Parser, chunks: list[bytes]) -> None:
    for chunk in chunks:
        pipeline.handle(parser.feed(chunk, START_US))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=1_000, help="of a round")
    options.add_argument("--rounds", type=int, default=40)
    chosen = options.parse_args()
    frames: int = chosen.frames
    rounds = Rounds(frames)
    crypto = bare_crypto(frames)
    alone, dry_parser, parser = (FORMATS["lowcost"]("gw1", UTC) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        store = SpoolFile(Path(folder) / "spool.db")
        floor, kept_floor = (Floor(NWK_SKEY, APP_SKEY, Path(folder) / name) for name in ("dry.db", "floor.db"))
        dry = pipeline(MemoryLedger([POND]))
        spooled = pipeline(SpoolLedger(store, [POND], QueueWriter(store, ["waziup"], 1 << 40)))
        for number in range(chosen.rounds):
            chunks = capture(number * frames, frames)
            rounds.measure("bare cryptography calls", crypto)
            rounds.measure("cayennelpp alone", lambda: [LppFrame.from_bytes(PAYLOAD) for _ in range(frames)])
            rounds.measure("bytes to frames", partial(read, alone, chunks))
            rounds.measure("floor: bytes to rows", partial(floor.read, chunks))
            rounds.measure("floor: bytes to reports", partial(floor.reports, chunks, POND))
            rounds.measure("bytes to readings", partial(handle, dry, dry_parser, chunks))
            rounds.measure("floor: bytes to committed rows", partial(kept_floor.keep, chunks))
            rounds.measure("bytes to committed readings", partial(handle, spooled, parser, chunks))
        floor.close()
        kept_floor.close()
        store.close()  # moves the log into the file
        size = (Path(folder) / "spool.db").stat().st_size
    rounds.show()
    sys.stdout.write(f"disk {size / frames / chosen.rounds / 2:.1f} bytes a queued reading\n")
    _show_memory()


def _show_memory() -> None:
    """Resident memory while frames go by without end; the chunks are made as they are needed."""
    dry, parser, frames = pipeline(MemoryLedger([POND])), FORMATS["lowcost"]("gw1", UTC), 25_000
    for first in range(0, 20 * frames, frames):
        handle(dry, parser, capture(first, frames))
        if first in (0, 9 * frames, 19 * frames):
            sys.stdout.write(f"resident after {first + frames:>9} frames: {resident_mb():.1f} MB\n")


if __name__ == "__main__":
    main()
