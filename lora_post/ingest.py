"""From a source into the pipeline, until the input ends or `stop` is set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Event

from lora_post.errors import StoreError
from lora_post.model import Frame, Noise
from lora_post.pipeline import Pipeline
from lora_post.sources import Source

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 0.5
STORE_RETRY_S = 5.0


def pump(source: Source, pipeline: Pipeline, stop: Event) -> None:
    """Feed everything that arrives.

    When the store cannot be written, nothing more is read until it can: the input waits, no frame is lost.
    """
    while not stop.is_set():
        events = source.events(READ_TIMEOUT_S)
        if events is None:
            return
        if _keep(pipeline, events, stop):
            source.kept()
    if _keep(pipeline, source.drain(), stop):
        source.kept()


def _keep(pipeline: Pipeline, events: Sequence[Frame | Noise], stop: Event) -> bool:
    """Returns whether nothing of it is worth having again: all is stored, refused, or of no use."""
    trouble = ""
    while True:
        try:
            pipeline.handle(events)
            if trouble:
                log.warning("storing readings again")
            return True
        except StoreError as error:
            if str(error) != trouble:
                log.error("cannot store readings, input waits: %s", error)
            trouble = str(error)
            if stop.wait(STORE_RETRY_S):
                log.error("stopped with %d frames that could not be stored", len(events))
                return False
        except OSError:
            raise  # what is printed has nowhere to go
        except Exception:
            if len(events) == 1:
                log.exception("a defect: %s is skipped", events[0])
                return True
            # One of them is at fault; the others, which nothing was kept of, go through.
            return all([_keep(pipeline, [event], stop) for event in events])
