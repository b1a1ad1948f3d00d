"""Microseconds a frame from bytes to readings, with and without the spool, beside the work that cannot be avoided.

    python -m tests.bench.bench_pipeline [--frames N]

One core, one run: bare `cryptography` calls (CMAC and one AES block, contexts kept), cayennelpp on
the same payloads, then parse → verify → decrypt → decode, the same with the durable spool, and the
resident memory before and after.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from cayennelpp import LppFrame
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.formats.lowcost_gw import LowcostParser
from lora_post.metrics import Metrics
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import Ledger, MemoryLedger, SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.unlock import seal_lorawan
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


def through(ledger: Ledger, chunks: list[bytes]) -> Callable[[], None]:
    pipeline = Pipeline(ledger, decoding().decode, Metrics(), lambda outcome: None)
    parser = LowcostParser("gw1", UTC)

    def work() -> None:
        for chunk in chunks:
            pipeline.handle(parser.feed(chunk, START_US))

    return work


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=50_000)
    frames = options.parse_args().frames

    crypto = per_item(bare_crypto(frames), frames)
    peer = per_item(lambda: [LppFrame.from_bytes(PAYLOAD) for _ in range(frames // 5)], frames // 5)
    chunks = capture(0, frames)
    dry = per_item(through(MemoryLedger([POND]), chunks), frames)
    with tempfile.TemporaryDirectory() as folder:
        store = SpoolFile(Path(folder) / "spool.db")
        ledger = SpoolLedger(store, [POND], QueueWriter(store, ["waziup"], 1 << 40))
        spooled = per_item(through(ledger, chunks), frames)
        store.close()  # moves the log into the file
        size = (Path(folder) / "spool.db").stat().st_size
    del chunks
    sys.stdout.write(
        f"bare cryptography calls     {crypto:6.2f} µs a frame\n"
        f"cayennelpp alone            {peer:6.2f} µs a frame\n"
        f"frame to readings           {dry:6.2f} µs a frame  {dry / crypto:5.1f} × bare crypto\n"
        f"frame to committed readings {spooled:6.2f} µs a frame  {spooled / crypto:5.1f} × bare crypto\n"
        f"disk                        {size / frames / 2:6.1f} bytes a queued reading\n"
    )
    _show_memory(frames)


def _show_memory(frames: int) -> None:
    """Resident memory while frames go by without end; the chunks are made as they are needed."""
    ledger = MemoryLedger([POND])
    pipeline = Pipeline(ledger, decoding().decode, Metrics(), lambda outcome: None)
    parser = LowcostParser("gw1", UTC)
    for first in range(0, 20 * frames, frames):
        for chunk in capture(first, frames):
            pipeline.handle(parser.feed(chunk, START_US))
        if first in (0, 9 * frames, 19 * frames):
            sys.stdout.write(f"resident after {first + frames:>9} frames: {resident_mb():.1f} MB\n")


if __name__ == "__main__":
    main()
