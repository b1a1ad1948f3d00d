"""What the spool writes to the disk, with and without what plots need, and what a start with a long queue costs.

python -m tests.bench disk [--folder FOLDER] [--queued N] [--rounds N]

By turns; medians, with the least and the most. The folder must be on a real disk: what goes to memory is not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

from msgspec import Struct

from lora_post.model import Reading
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.sessions import save_sessions
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.trend_book import TrendBook
from tests.bench.turns import by_turns, spread
from tests.support.build import NOON_US, device, report
from tests.support.command import started, write_site
from tests.support.lanes import ready_lanes
from tests.support.ports import free_port

SINK = "waziup"
UPLINKS = 2000
SENSORS = 2
DEVICES = 50


class Setting(Struct, frozen=True):
    """group: uplinks committed together, delivered together."""

    page_size: int
    checkpoint_pages: int
    group: int

    @property
    def text(self) -> str:
        """Return it in words."""
        return f"page {self.page_size:5} checkpoint {self.checkpoint_pages:5} groups of {self.group:3}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path, default=Path.cwd())
    options.add_argument("--queued", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        settings = [
            Setting(page_size, checkpoint_pages, group)
            for page_size in (1024, 2048, 4096)
            for checkpoint_pages in (250, 1000, 4000)
            for group in (1, 10)
        ]
        works = {setting.text: partial(_written_by, Path(folder), setting) for setting in settings}
        for text, found in by_turns(works, chosen.rounds).items():
            sys.stdout.write(f"{text}: {spread(found, 0):>20} bytes a reading\n")
        number = count()
        days = {
            what: lambda plots=plots: day_written(Path(folder) / f"day{next(number)}.db", plots=plots) / 1e6
            for what, plots in (("without plots", False), ("with what plots need", True))
        }
        for what, found in by_turns(days, chosen.rounds).items():
            sys.stdout.write(f"a day of {DEVICES} devices, {what}: {spread(found)} MB\n")
        _show_start(Path(folder), chosen.queued, chosen.rounds)


def day_written(path: Path, *, plots: bool) -> int:
    """Bytes that go to the disk on a day of devices with 5 sensors that send every quarter of an hour."""
    devices = [device(f"pond-{number}", address=number) for number in range(DEVICES)]
    with closing(SpoolFile(path)) as store:
        ledger, queue = SpoolLedger(store, devices, QueueWriter(store, [SINK], 1 << 30)), Queue(store, SINK)
        before = _written_bytes()
        for quarter in range(96):
            for number, of in enumerate(devices):
                readings = (Reading(f"sensor_{place}", quarter + place / 7) for place in range(5))
                with ledger.group() as group:
                    group.reports.append(
                        report(*readings, time_us=NOON_US + quarter * 900_000_000 + number * 10_000_000, of=of)
                    )
                if not plots:
                    ledger._shelf._trends = TrendBook()
            for lane in ready_lanes(queue):
                batch = queue.claim(lane, 100)
                if batch is not None:
                    queue.settle({batch.lane.id: batch.times_us})
        return _written_bytes() - before


def _written_by(folder: Path, setting: Setting) -> float:
    """Bytes that a process of its own writes for a reading."""
    path = folder / f"{setting.page_size}-{setting.checkpoint_pages}-{setting.group}.db"
    code = (
        "import sys; from tests.bench.bench_disk import *; print(written(Path(sys.argv[1]), *map(int, sys.argv[2:])))"
    )
    numbers = map(str, (setting.page_size, setting.checkpoint_pages, setting.group))
    done = subprocess.run([sys.executable, "-c", code, str(path), *numbers], capture_output=True, text=True, check=True)
    for file in folder.glob(f"{path.name}*"):
        file.unlink()
    return int(done.stdout) / UPLINKS / SENSORS


def written(path: Path, page_size: int, checkpoint_pages: int, group: int) -> int:
    """Bytes that go to the disk while uplinks are accepted and their readings delivered."""
    with closing(SpoolFile(path)) as store:
        store.db.execute("PRAGMA journal_mode=DELETE")
        store.db.execute(f"PRAGMA page_size={page_size}")
        store.db.execute("VACUUM")
        store.db.execute("PRAGMA journal_mode=WAL")
        store.db.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
        writer = QueueWriter(store, [SINK], 1 << 30)
        reader = Queue(store, SINK)
        before = _written_bytes()
        for first in range(0, UPLINKS, group):
            with store.transaction() as db:
                for number in range(first, first + group):
                    readings = (Reading("temperature_1", number / 10), Reading("relative_humidity_2", 50 + number % 40))
                    of = device(f"pond-{number % 20}")
                    writer.put(db, [report(*readings, time_us=NOON_US + number * 1_000_000, of=of)])
                    save_sessions(db, {of.id: number})
            for lane in ready_lanes(reader):
                batch = reader.claim(lane, 100)
                if batch is not None:
                    reader.settle({batch.lane.id: batch.times_us})
    return _written_bytes() - before


def _written_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _show_start(folder: Path, queued: int, rounds: int) -> None:
    """With nobody to send to, after an unclean stop: all of it is looked at."""
    with closing(SpoolFile(folder / "spool.db")) as store:
        writer = QueueWriter(store, [SINK], 1 << 30)
        for first in range(0, queued, 10_000):
            with store.transaction() as db:
                for number in range(first, first + 10_000):
                    of = device(f"pond-{number % 100}")
                    writer.put(db, [report(Reading("temperature_1", number / 10), time_us=NOON_US + number, of=of)])
        Queue(store, SINK).mark_running()
        size = store.used_bytes()
    site = write_site(folder, f"http://127.0.0.1:{free_port()}/api/v2")
    runs = [_start(site) for _ in range(rounds)]
    seconds, resident = zip(*runs, strict=True)
    sys.stdout.write(
        f"{queued} readings queued in {size / 1e6:.0f} MB: started after {spread(seconds, 2)} s,"
        f" {spread(resident)} MB resident\n"
    )


def _start(site: Path) -> tuple[float, float]:
    """Seconds until it has started, and megabytes when it has looked at the queue."""
    began = time.monotonic()
    with started("run", "-c", str(site)) as process:
        assert process.stderr is not None
        while b"started gateway" not in process.stderr.readline():
            pass
        seconds = time.monotonic() - began
        while b"waiting to send" not in process.stderr.readline():
            pass
        return seconds, _resident_mb(process.pid)


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
