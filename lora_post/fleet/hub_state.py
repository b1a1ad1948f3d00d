"""What is written at the hub for all to see: the newest message of each subject of LP_STATE."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import nats.js.errors

from lora_post.fleet.link import Link
from lora_post.fleet.log import Logged
from lora_post.fleet.streams import STATE


async def _read(link: Link, subjects: str) -> list[Logged]:
    stream = link.client.jetstream()
    found: list[Logged] = []
    after = 0
    while True:
        try:
            message = await stream.get_msg(STATE, seq=after + 1, subject=subjects, next=True)
        except nats.js.errors.NotFoundError:
            return found
        after = int(message.seq)
        found.append(Logged(after, message.subject, message.data or b""))


def read_state(link: Link, subjects: str) -> list[Logged]:
    """Return the messages of subjects, which may have wildcards. Raises FleetError."""
    return link.call(_read(link, subjects))


def write_state(link: Link, states: Mapping[str, bytes]) -> None:
    """Write messages by subject. Raises FleetError."""

    async def write() -> None:
        stream = link.client.jetstream()
        await asyncio.gather(*(stream.publish(subject, data) for subject, data in states.items()))

    link.call(write())


def forget_state(link: Link, subject: str) -> None:
    """Delete the message of a subject. Raises FleetError."""
    link.call(link.client.jetstream().purge_stream(STATE, subject=subject))
