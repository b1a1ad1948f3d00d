"""Hand frames of strangers that have become devices to the pipeline, each once."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from lora_post.clocks.gateway import Times
from lora_post.errors import FrameError, SpoolError, UnlockError
from lora_post.model import Device, FCntPolicy, Frame, Link
from lora_post.run.pipeline import Pipeline
from lora_post.spool import strangers
from lora_post.spool.spool_file import SpoolFile
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
            log.info("taking %d kept frames of %s, which are devices now", len(frames), ", ".join(sorted(opened)))
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
            "%d kept frames of %s open, and make no sense: %s; they wait until app_skey or the decoder is corrected",
            len(found),
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
