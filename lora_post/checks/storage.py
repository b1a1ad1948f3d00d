"""Check the spool. A spool that is not there yet is not made."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from shlex import quote

from lora_post.checks.disk import check_disk, is_read_only, is_there
from lora_post.config import Config
from lora_post.errors import SpoolDamaged, SpoolError
from lora_post.sinks.finding import Finding, fail, ok, skipped, warning
from lora_post.spool import undecoded
from lora_post.spool.lanes import parked
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import EVICTED
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import tallies
from lora_post.spool.undecoded import Undecoded
from lora_post.spool.upkeep import held_by_sink
from lora_post.text import megabytes, plural

SUBJECT = "spool"
NEARLY_FULL = 0.9
MAX_NAMED = 5


def check_spool(config: Config) -> Iterator[Finding]:
    """Yield what is to be said of its path, access, schema, size, disk, and of what is held."""
    path = config.spool_path
    used = 0
    if is_read_only(path):
        yield skipped(SUBJECT, f"{path} is on a read-only disk")
        yield from check_disk(path, 0)
        return
    if not is_there(path):
        yield _check_place(path)
    elif not path.is_file():
        yield fail(SUBJECT, f"{path} is not a file", "name a file in [spool] path")
        return
    elif not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK | os.X_OK):
        yield fail(SUBJECT, f"{path} or its folder cannot be written by this user", f"run: {_chown(path.parent)}")
        return
    else:
        try:
            with closing(SpoolFile(path)) as spool_file:
                used = spool_file.used_bytes()
                yield from _check_contents(spool_file, used, config.spool_max_bytes)
                yield from _check_left_over(spool_file, config.destinations)
        except SpoolDamaged as error:
            fix = "start `lora-post run`: it sets the file aside and goes on with a new one; then see `lora-post check`"
            yield fail(SUBJECT, error.what, fix)
        except SpoolError as error:
            yield fail(SUBJECT, error.what, error.fix)
    for aside in sorted(path.parent.glob(f"{path.name}.damaged-*Z*")):
        if not aside.name.endswith(("-wal", "-shm")):
            fix = f"run: lora-post spool salvage {quote(str(aside))}; then remove it with its -wal and -shm"
            yield warning(SUBJECT, f"{aside} is a damaged spool that was set aside", fix)
    yield from check_disk(path, config.spool_max_bytes - used)


def _check_place(path: Path) -> Finding:
    there = next(folder for folder in path.absolute().parents if is_there(folder))
    if not there.is_dir():
        return fail(SUBJECT, f"{path} cannot be made: {there} is not a folder", "choose another [spool] path")
    if os.access(there, os.W_OK | os.X_OK):
        return ok(SUBJECT, f"{path} is not there yet, and will be made by the first `lora-post run`")
    parent = path.absolute().parent
    text = f"{path} cannot be made: this user may not write in {there}"
    return fail(SUBJECT, text, f"run: sudo mkdir -p {quote(str(parent))}; {_chown(parent)}")


def _chown(folder: Path) -> str:
    return f"sudo chown -R $USER {quote(str(folder))}"


def _check_contents(spool_file: SpoolFile, used: int, bound: int) -> Iterator[Finding]:
    text = f"{spool_file.path}: {megabytes(used)} of {megabytes(bound)} used"
    if used > bound * NEARLY_FULL:
        fix = "get the link to the server up, or raise [spool] max_mb"
        yield warning(
            SUBJECT, f"{text}: nearly full; when it is full, the longest queues lose their oldest readings", fix
        )
    else:
        yield ok(SUBJECT, text)
    evicted = tallies(spool_file.db).get(EVICTED, 0)
    if evicted:
        yield warning(
            SUBJECT, f"{plural(evicted, 'reading')} given up so far because it was full", "raise [spool] max_mb"
        )
    waiting = parked(spool_file)
    if waiting:
        readings = sum(item.readings for item in waiting)
        why = waiting[0].why
        fix = f"{why.fix}; see `lora-post spool`" if why.fix else "see `lora-post spool`"
        yield warning(SUBJECT, f"{plural(readings, 'reading')} held back, as: {why.what}", fix)
    yield from _check_undecoded(undecoded.load(spool_file))


def _check_undecoded(payloads: Collection[Undecoded]) -> Iterator[Finding]:
    """Yield the devices whose payloads could not be decoded: a decoder may not fit its device."""
    counts = Counter(item.device for item in payloads)
    last = {item.device: item for item in payloads}
    for device, count in counts.most_common(MAX_NAMED):
        item = last[device]
        text = f"{device}: {plural(count, 'payload')} not decoded by {item.decoder!r}, the last as: {item.problem}"
        fix = "is that the device's decoder (lora-post decoders)? Correct it, then: lora-post spool retry"
        yield warning(SUBJECT, text, fix)
    if len(counts) > MAX_NAMED:
        text = f"{plural(len(counts) - MAX_NAMED, 'more device')} with payloads that could not be decoded"
        yield warning(SUBJECT, text, "see `lora-post spool`")


def _check_left_over(spool_file: SpoolFile, destinations: Collection[str]) -> Iterator[Finding]:
    for sink, count in sorted(held_by_sink(spool_file).items()):
        if sink in destinations:
            queued = Queue(spool_file, sink).counts().queued
            if queued:
                yield ok(SUBJECT, f"{plural(queued, 'reading')} queued for {sink}")
        else:
            fix = f"put [{sink}] back, or: lora-post spool drop --destination {quote(sink)}"
            text = f"{plural(count, 'reading')} held for {sink}, which is not in the configuration"
            yield warning(SUBJECT, text, fix)
