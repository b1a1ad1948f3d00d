"""What devices cost before the first frame: seconds to load them, and the memory of a run.

    python -m tests.bench.bench_config [--devices N …]

Loading is CPU time, the least of rounds in turns with `tomllib` alone on the same text. Memory is what the kernel says
of a `run`: with nothing heard, after one frame of two readings from each device, and the most there was.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import os
import sys
import tempfile
import termios
import time
import tomllib
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path

from lora_post.config import load_config
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import packet, started, wait_until
from tests.support.ports import free_port

SIZES = (10, 100, 1_000, 10_000, 50_000)
PAYLOAD = bytes.fromhex("03670110056700ff")
START_US = 1_790_000_000_000_000
FIRST_ADDRESS = 0x26000000
SETTLE_S = 1.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--devices", type=int, nargs="+", default=SIZES)
    sys.stdout.write("devices  load s  × tomllib  µs each | run: quiet MB  all heard MB  most MB\n")
    for count in options.parse_args().devices:
        with tempfile.TemporaryDirectory() as folder:
            path = write_site(Path(folder), count)
            load, bare = load_times(path, rounds=2 if count > 10_000 else 5)
            quiet, heard, most = memory(path, count)
        sys.stdout.write(
            f"{count:7} {load:7.3f} {load / bare:10.2f} {load / count * 1e6:8.0f} |"
            f" {quiet:13.0f} {heard:13.0f} {most:8.0f}\n"
        )
        sys.stdout.flush()


def keys(index: int) -> SessionKeys:
    whole = blake2b(index.to_bytes(4), digest_size=32).digest()
    return SessionKeys(whole[:16], whole[16:])


def write_site(folder: Path, count: int) -> Path:
    """A site of so many devices whose server is away."""
    parts = ['[gateway]\nid = "gw1"\n\n[spool]\npath = "spool.db"\n']
    parts.append(f'\n[waziup]\nurl = "http://127.0.0.1:{free_port()}"\nusername = "demo"\npassword = "demo"\n')
    for index in range(count):
        nwk_skey, app_skey = keys(index).secrets
        parts.append(
            f'\n[[device]]\nid = "field-{index}"\nname = "Field {index}"\ndev_addr = "{FIRST_ADDRESS + index:08x}"\n'
            f'nwk_skey = "{nwk_skey.hex()}"\napp_skey = "{app_skey.hex()}"\ndecoder = "cayenne-lpp"\n'
        )
    path = folder / "site.toml"
    path.write_text("".join(parts))
    path.chmod(0o600)
    return path


def load_times(path: Path, rounds: int) -> tuple[float, float]:
    """Seconds of `load_config` and of `tomllib`, the least of rounds in turns."""
    text = path.read_text()
    both = [(_cpu_s(lambda: load_config(path)), _cpu_s(lambda: tomllib.loads(text))) for _ in range(rounds)]
    return min(ours for ours, _ in both), min(bare for _, bare in both)


def _cpu_s(work: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def memory(path: Path, count: int) -> tuple[float, float, float]:
    """Megabytes of a run: quiet, after a frame of each device, and the most."""
    with started("run", "-q", "-c", str(path)) as process:
        assert process.stdin is not None
        wait_until(path.with_name("spool.db").exists, "it has not started")
        _wait_until_idle(process.pid)
        quiet = _status_mb(process.pid, "VmRSS")
        for index in range(count):
            frame = seal_lorawan(keys(index), FIRST_ADDRESS + index, 0, 2, PAYLOAD)
            process.stdin.write(packet(frame, START_US + index * 1_000_000))
        wait_until(partial(_is_read, process.stdin.fileno()), "not all has been read")
        time.sleep(SETTLE_S)
        return quiet, _status_mb(process.pid, "VmRSS"), _status_mb(process.pid, "VmHWM")


def _wait_until_idle(pid: int) -> None:
    before = -1.0
    while (now := _cpu_of(pid)) - before > 0.1 * SETTLE_S:
        before = now
        time.sleep(SETTLE_S)


def _is_read(pipe: int) -> bool:
    return not any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_mb(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


if __name__ == "__main__":
    main()
