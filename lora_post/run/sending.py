"""Look after commands for devices while no frame comes: what gateways say of them, what is late, what may go now."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from lora_post.errors import SpoolError
from lora_post.observed.signs import Signs
from lora_post.run.pipeline import Pipeline

log = logging.getLogger(__name__)

NAME: Final = "downlinks"
EVERY_S: Final = 0.5
"""A look costs one page of the spool."""
RETRY_S: Final = 30.0
JOIN_S: Final = 2.0
BEAT_S: Final = 60.0


@contextmanager
def tending(pipeline: Pipeline, signs: Signs) -> Iterator[None]:
    """Look after commands as long as the block runs; once more at its end."""
    if not pipeline.sends:
        yield
        return
    stop = Event()
    thread = Thread(target=_tend, args=(pipeline, signs, stop), name=NAME, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)


def _tend(pipeline: Pipeline, signs: Signs, stop: Event) -> None:
    said = ""
    try:
        while not stop.wait(RETRY_S if said else EVERY_S):
            signs.heartbeats.beat(NAME, BEAT_S)
            said = _look(pipeline, said)
        _look(pipeline, said)
    finally:
        signs.heartbeats.end(NAME)


def _look(pipeline: Pipeline, said: str) -> str:
    """Return what is wrong, "" for nothing; said: what was the last time, which is not told again."""
    try:
        pipeline.tend()
    except SpoolError as error:
        if str(error) != said:
            log.error("cannot look after commands for devices: %s", error)
        return str(error)
    except Exception as error:
        log.exception("commands for devices are not looked after now, over a defect")
        return repr(error)
    return ""
