"""Cayenne LPP: our decoder and pycayennelpp on the same payloads, in one run.

python -m tests.bench.bench_lpp
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from timeit import repeat

from cayennelpp import LppFrame  # type: ignore[import-untyped]

from lora_post.decoding.loading import load_folder, shipped_folder

PAYLOADS = {
    "two temperatures": "03670110056700ff",
    "accelerometer": "067104d2fb2e0000",
    "GPS": "018806765ff2960a0003e8",
    "four sensors": "0167ffd70168c8017327a6037457b8",
    "sixteen temperatures": "".join(f"{channel:02x}6700ff" for channel in range(16)),
}
CALLS, RUNS = 5000, 7


def microseconds(call: Callable[[], object]) -> float:
    """The best of some runs: the others were disturbed."""
    return min(repeat(call, number=CALLS, repeat=RUNS)) / CALLS * 1e6


def main() -> None:
    decode = load_folder(shipped_folder()).decoders["cayenne-lpp"].decode
    print(f"{'µs per payload':24}{'lora-post':>10}{'pycayennelpp':>14}{'ratio':>8}")
    for name, text in PAYLOADS.items():
        payload = bytes.fromhex(text)
        ours = microseconds(partial(decode, payload, 1))
        theirs = microseconds(partial(LppFrame.from_bytes, payload))
        print(f"{name:24}{ours:10.2f}{theirs:14.2f}{theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
