"""Make the hub's streams and consumers; the first worker does."""

from __future__ import annotations

from typing import Any, Final

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from lora_post.fleet.errors import FleetError
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.subjects import PARTS
from lora_post.fleet.log.inheritance import MOVED

RAW: Final = "LP_RAW"
LOG: Final = "LP_LOG"
STATE: Final = "LP_STATE"

LOG_VERSION: Final = 1
"""Another one whenever an older lora-post could not read an entry, or would leave out of the next one what it says."""
_WRITTEN_AS: Final = "lora-post log "
DUPLICATES_S: Final = 3600
"""So long a gateway may publish a frame again; after that, the fold says that it was seen."""
RAW_BYTES: Final = 256 << 20
LOG_BYTES: Final = 4 << 30
ACK_WAIT_S: Final = 8.0
"""Frames of a worker that is gone come to another one after that."""
MAX_UNDECIDED: Final = 1000
SET_ASIDE_AFTER: Final = 5
"""Deliveries after which a frame that ends workers is left out."""


def configs(replicas: int) -> tuple[StreamConfig, ...]:
    """Return the streams. Full ones refuse: nothing is dropped in the middle, gateways keep their frames."""
    common: dict[str, Any] = {"storage": StorageType.FILE, "num_replicas": replicas, "allow_direct": False}
    return (
        StreamConfig(
            name=RAW,
            subjects=["raw.>", "cmd.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_bytes=RAW_BYTES,
            duplicate_window=DUPLICATES_S,
            **common,
        ),
        StreamConfig(
            name=LOG,
            description=f"{_WRITTEN_AS}{LOG_VERSION}",
            subjects=["log.>"],
            discard=DiscardPolicy.NEW,
            max_bytes=LOG_BYTES,
            **common,
        ),
        StreamConfig(
            name=STATE,
            subjects=["gw.*.state", "lease.*", "worker.*", "pos.*", MOVED],
            max_msgs_per_subject=1,
            max_bytes=RAW_BYTES,
            **common,
        ),
    )


def consumer_name(part: int) -> str:
    """Return what the consumer of a partition's frames is called."""
    return f"part-{part}"


async def ensure(stream: JetStreamContext, replicas: int, *, may_make_log: bool) -> None:
    """Make what is missing.

    may_make_log: False where this lora-post remembers entries: a log that is gone is not begun anew by a program.
    Raises FleetError.
    """
    for config in configs(replicas):
        try:
            there = (await stream.stream_info(str(config.name))).config
            _refuse_newer(there)
            if (there.subjects, there.description) != (config.subjects, config.description):  # of an older lora-post
                await stream.update_stream(there.evolve(subjects=config.subjects, description=config.description))
        except nats.js.errors.NotFoundError:
            if config.name == LOG and not may_make_log:
                raise FleetError(
                    "the hub has lost the log of all devices",
                    fix="restore it from a backup; or, to go on without: `lora-post fleet begin-anew`",
                ) from None
            await stream.add_stream(config)
    for part in range(PARTS):
        consumer = ConsumerConfig(
            durable_name=consumer_name(part),
            filter_subjects=[f"raw.{part}.>", f"cmd.{part}.>"],
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=MAX_UNDECIDED,
        )
        await stream.add_consumer(RAW, consumer)


def ensure_streams(link: Link, replicas: int, *, may_make_log: bool) -> None:
    """Do what `ensure` does. Raises FleetError."""
    link.call(ensure(link.client.jetstream(), replicas, may_make_log=may_make_log), 60.0)


def refuse_newer_log(link: Link) -> None:
    """Raise FleetError where a newer lora-post has written the log, or the hub does not answer."""
    _refuse_newer(link.call(link.client.jetstream().stream_info(LOG)).config)


def _refuse_newer(there: StreamConfig) -> None:
    version = (there.description or "").removeprefix(_WRITTEN_AS)
    if version.isdecimal() and int(version) > LOG_VERSION:
        raise FleetError(
            f"the log at the hub is of a newer lora-post: version {version}, and this one writes {LOG_VERSION}",
            fix="install the same version of lora-post on all workers and uploaders",
        )


def log_bytes(link: Link) -> int:
    """Return how much the log has on each server. Raises FleetError."""
    return int(link.call(link.client.jetstream().stream_info(LOG)).state.bytes)
