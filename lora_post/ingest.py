"""From a transport through its parser into the pipeline, until the input ends or `stop` is set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event

from lora_post.clock import now_us
from lora_post.errors import StoreError
from lora_post.inputs import Parser
from lora_post.model import Frame, Noise
from lora_post.pipeline import Pipeline
from lora_post.transports import Transport

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 0.5
STORE_RETRY_S = 5.0
# What a radio program has written before we were told to stop; a Linux pipe holds 64 KiB.
LAST_READS = 16


def pump(
    transport: Transport,
    parser: Parser,
    pipeline: Pipeline,
    stop: Event,
    progress: Callable[[int], None] = lambda size: None,
) -> None:
    """Feed everything that arrives. progress: called with the number of bytes of each read.

    When the store cannot be written, nothing more is read until it can: the input waits, no frame is lost.
    """
    while not stop.is_set():
        data = transport.read(READ_TIMEOUT_S)
        if data is None:
            _keep(pipeline, parser.finish(now_us()), stop)
            return
        _keep(pipeline, parser.feed(data, now_us()), stop)
        progress(len(data))
    for _ in range(LAST_READS):
        data = transport.read(0.0)
        if not data:
            break
        _keep(pipeline, parser.feed(data, now_us()), stop)
    _keep(pipeline, parser.finish(now_us()), stop)


def _keep(pipeline: Pipeline, events: Sequence[Frame | Noise], stop: Event) -> None:
    trouble = ""
    while True:
        try:
            pipeline.handle(events)
            if trouble:
                log.warning("storing readings again")
            return
        except StoreError as error:
            if str(error) != trouble:
                log.error("cannot store readings, input waits: %s", error)
            trouble = str(error)
            if stop.wait(STORE_RETRY_S):
                log.error("stopped with %d frames that could not be stored", len(events))
                return
        except OSError:
            raise  # what is printed has nowhere to go
        except Exception:
            if len(events) == 1:
                log.exception("a defect: %s is skipped", events[0])
                return
            # One of them is at fault; the others, which nothing was kept of, go through.
            for event in events:
                _keep(pipeline, [event], stop)
            return
