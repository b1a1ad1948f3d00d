"""How soon devices are answered: from the last byte of a confirmed uplink to the PULL_RESP, with real UDP and spool.

    python -m tests.bench downlink [--uplinks N] [--folder FOLDER]

Median and 99th percentile in ms: quiet; with 200 uplinks a second from other devices; while a backlog drains to a
server; and each of them on a card on which every sync takes 100 ms more. The slow card is a library that is loaded
before the C library, so that SQLite's syncs are slow as well; it needs `cc`. Where others use the machine: with
`chrt -r 5` before it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from lora_post.lorawan.phy_payload import MType
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import Reading
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import NOON_US, device, report
from tests.support.command import COMMAND, PATIENCE_S, sandbox_process
from tests.support.forwarder import Forwarder
from tests.support.ports import free_port

OTHERS = 50
OTHERS_A_SECOND = 200
BACKLOG = 200_000
SLOW_US = 100_000
EVERY_S = 0.1
KEYS = SessionKeys(bytes(16), bytes(range(16)))
WARM = bytes.fromhex("036700e1")
FIRST_ADDR = 0x26010000

SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
#include <stdlib.h>
static int slow(const char *name, int fd) {
    int (*sync)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    usleep(atoi(getenv("SLOW_SYNC_US")));
    return sync(fd);
}
int fsync(int fd) { return slow("fsync", fd); }
int fdatasync(int fd) { return slow("fdatasync", fd); }
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--uplinks", type=int, default=300)
    options.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk that is to be measured")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        slow_card = build_slow_card(Path(folder))
        for name, environment in (("", {}), (", every sync 100 ms slower", slow_card)):
            for load in ("quiet", "others", "backlog"):
                site = Path(folder) / f"{load}{len(environment)}"
                site.mkdir()
                took = sorted(measure(site, load, environment, chosen.uplinks))
                median, p99 = statistics.median(took) * 1000, took[int(len(took) * 0.99)] * 1000
                sys.stdout.write(
                    f"{load + name:36} median {median:6.1f} ms, p99 {p99:6.1f} ms, max {took[-1] * 1000:6.1f} ms\n"
                )
                sys.stdout.flush()


def build_slow_card(folder: Path) -> dict[str, str]:
    """Return the environment in which a command's syncs are slow."""
    source, library = folder / "slow_sync.c", folder / "slow_sync.so"
    source.write_text(SLOW_SYNC)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_SYNC_US": str(SLOW_US)}


def measure(folder: Path, load: str, environment: dict[str, str], uplinks: int) -> Iterator[float]:
    """Yield how long each answer took, in s."""
    port, http_port = free_port(), free_port()
    if load == "backlog":
        fill(folder / "spool.db")
    write_site(folder, port, f"http://127.0.0.1:{http_port}/api/v2")
    with sandbox_process(http_port), running(folder, environment), Forwarder(port) as forwarder, others(port, load):
        forwarder.ask()
        for fcnt in range(uplinks + 10):
            phy_payload = seal_lorawan(KEYS, FIRST_ADDR, fcnt, 2, WARM, mtype=MType.CONFIRMED_UP)
            tmst = time.monotonic_ns() // 1000 % 2**32
            began = time.monotonic()
            forwarder.push(phy_payload, tmst)
            forwarder.pull_resp()
            if fcnt >= 10:
                yield time.monotonic() - began
            time.sleep(EVERY_S)


def write_site(folder: Path, port: int, url: str) -> None:
    devices = "".join(
        f'[[device]]\nid = "node-{number}"\ndev_addr = "{FIRST_ADDR + number:08x}"\ndecoder = "cayenne-lpp"\n'
        f'nwk_skey = "{KEYS.secrets[0].hex()}"\napp_skey = "{KEYS.secrets[1].hex()}"\n'
        for number in range(OTHERS + 1)
    )
    path = folder / "site.toml"
    path.write_text(
        f'[gateway]\nid = "gw1"\n[waziup]\nurl = "{url}"\nusername = "demo"\npassword = "demo"\n'
        f'[spool]\npath = "spool.db"\n[network]\nregion = "EU868"\n[[input]]\nurl = "udp://127.0.0.1:{port}"\n{devices}'
    )
    path.chmod(0o600)


def fill(path: Path) -> None:
    """Queue readings that are to be sent."""
    store = SpoolFile(path)
    writer = QueueWriter(store, ["waziup"], 1 << 30)
    with store.transaction() as db:
        for number in range(BACKLOG):
            of = device(f"old-{number % 100}")
            writer.put(db, [report(Reading("temperature_1", number / 10), time_us=NOON_US + number, of=of)])
    store.close()


@contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [COMMAND, "run", "-c", folder / "site.toml"], env={**os.environ, **environment}, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


@contextmanager
def others(port: int, load: str) -> Iterator[None]:
    """Uplinks of other devices, by another gateway, while the block runs."""
    stop = Event()

    def send() -> None:
        with Forwarder(port, "b827ebfffe445566") as forwarder:
            fcnt = 0
            due = time.monotonic()
            while not stop.wait(max(0.0, due - time.monotonic())):
                due += 1 / OTHERS_A_SECOND
                phy_payload = seal_lorawan(KEYS, FIRST_ADDR + 1 + fcnt % OTHERS, fcnt // OTHERS, 2, WARM)
                try:
                    forwarder.push(phy_payload, fcnt)
                except ConnectionRefusedError:
                    continue
                fcnt += 1

    thread = Thread(target=send)
    if load == "others":
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if load == "others":
            thread.join()


if __name__ == "__main__":
    main()
