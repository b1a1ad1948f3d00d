"""Read what is kept with a corrected configuration, each frame once.

Frames of strangers that have become devices go to the pipeline; payloads that another AppSKey or decoder may read are
decoded again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Final

from lora_post.clocks.gateway import Times
from lora_post.config import Config
from lora_post.errors import FrameError, SpoolError, UnlockError
from lora_post.model import Device, FCntPolicy, Frame, Link
from lora_post.run.pipeline import Pipeline
from lora_post.spool import strangers, undecoded
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.undecoded import Undecoded
from lora_post.spool.upkeep import decode_again
from lora_post.text import plural
from lora_post.uplink.model import Decode, Session, Uplink
from lora_post.uplink.unlock import unlock

log = logging.getLogger("lora_post")

_RISING: Final = (FCntPolicy.STRICT, FCntPolicy.SIXTEEN_BIT)


def readmit(pipeline: Pipeline, spool_file: SpoolFile, devices: Iterable[Device], decode: Decode) -> int:
    """Decode the kept frames that a device of the configuration has sent, and forget them; returns how many.

    Only where a MIC proves the frame and the counter rises: after a power cut in between it is refused the second time.
    A sender of whose frames none can be decoded keeps them: with a wrong AppSKey they would be lost for good.
    """
    by_address: dict[str, list[Device]] = {}
    for device in devices:
        if device.keys is not None and device.address is not None and device.fcnt in _RISING:
            by_address.setdefault(device.address_text, []).append(device)
    try:
        kept = {each.sender: each.frames for each in strangers.load(spool_file) if each.sender in by_address}
        opened = {
            sender: fitting
            for sender, frames in kept.items()
            if (fitting := _opened(sender, frames, by_address[sender], decode))
        }
        frames = sorted((frame for each in opened.values() for frame in each), key=lambda frame: frame.time_us)
        if frames:
            log.info(
                "taking %s of %s, known as devices now", plural(len(frames), "kept frame"), ", ".join(sorted(opened))
            )
            pipeline.taking(Times.RECORDED).handle(frames)
            with spool_file.transaction() as db:
                strangers.forget(db, list(opened))
    except SpoolError as error:
        log.error("the kept frames of strangers wait for the next start: %s", error)
        return 0
    return len(frames)


def _opened(sender: str, frames: Iterable[Frame], devices: Iterable[Device], decode: Decode) -> list[Frame]:
    """Return the frames that a device has sent; none when none of them can be decoded."""
    found = [(frame, uplink) for frame in frames if (uplink := _open(frame, devices)) is not None]
    problems = [problem for _, uplink in found if (problem := decode(uplink).problem)]
    if found and len(problems) == len(found):
        log.warning(
            "%s of %s opened with these keys and gave no readings: %s; kept until app_skey or the decoder is corrected",
            plural(len(found), "frame"),
            sender,
            problems[-1],
        )
        return []
    return [frame for frame, _ in found]


def _open(frame: Frame, devices: Iterable[Device]) -> Uplink | None:
    def sessions(link: Link, address: int) -> list[Session]:
        return [Session(device) for device in devices if (device.link, device.address) == (link, address)]

    try:
        uplink, _ = unlock(frame, sessions)
    except (FrameError, UnlockError):
        return None
    return uplink if uplink.authentic else None


def read_again(config: Config, decode: Decode) -> int:
    """Decode the undecoded payloads of devices whose keys or decoder are others now; returns how many are read.

    Those that only a changed decoder file may read wait for `lora-post spool retry`.
    """
    try:
        with closing(SpoolFile(config.spool_path)) as spool_file:
            changed = list(_changed(config, undecoded.load(spool_file)))
            uplinks = {row.id: uplink for row, uplink in changed}
            writer = QueueWriter(spool_file, config.destinations, config.spool_max_bytes, config.spool_when_full)
            rows = (row for row, _ in changed)
            reports = decode_again(spool_file, writer, rows, lambda row: decode(uplinks[row.id]))
    except SpoolError as error:
        log.error("kept payloads wait for the next start: %s", error)
        return 0
    good = Counter(report.uplink.device.id for report in reports if report.problem is None)
    for device, count in sorted(good.items()):
        log.info("device=%s: %s that could not be decoded are readings now", device, plural(count, "kept payload"))
    return good.total()


def _changed(config: Config, rows: Iterable[Undecoded]) -> Iterator[tuple[Undecoded, Uplink]]:
    """Yield the payloads that are others with the keys of today, or have another decoder."""
    devices = {device.id: device for device in config.devices}
    for row in rows:
        if (device := devices.get(row.device)) and row.is_from(device):
            uplink = row.uplink(device, config.gateway_id)
            decoder = device.decoder_for(row.fport)
            if decoder and (row.decoder, row.payload) != (decoder, uplink.payload):
                yield row, uplink
