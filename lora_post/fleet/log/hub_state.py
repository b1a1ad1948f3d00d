"""Read and write the shared state at the hub: the newest message of each subject of LP_STATE."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from lora_post.fleet.hub.link import REQUEST_S, Link
from lora_post.fleet.log.log import Logged
from lora_post.fleet.log.streams import STATE


async def _read(link: Link, subjects: str) -> list[Logged]:
    found: list[Logged] = []
    while next_ := await link.inbox.next(STATE, subjects, found[-1].position + 1 if found else 1, REQUEST_S):
        found.append(Logged(next_.seq, next_.subject, next_.data))
    return found


async def _read_all(link: Link, subjects: Sequence[str]) -> Sequence[Logged]:
    found = await asyncio.gather(*(_read(link, each) for each in subjects))
    return [each for some in found for each in some]


def look(link: Link, *subjects: str) -> Future[Sequence[Logged]]:
    """Begin to read messages of subjects, which may have wildcards; `Link.result` has them. Raises FleetError."""
    return link.start(_read_all(link, subjects))


def read_state(link: Link, *subjects: str) -> Sequence[Logged]:
    """Return the messages of subjects, which may have wildcards. Raises FleetError."""
    return link.call(_read_all(link, subjects))


async def _write(link: Link, states: Mapping[str, bytes]) -> None:
    await asyncio.gather(*(link.inbox.store(subject, data, REQUEST_S) for subject, data in states.items()))


def start_writing(link: Link, states: Mapping[str, bytes]) -> None:
    """Begin to write messages by subject; what fails is written again the next time. Raises FleetError."""
    link.start(_write(link, states))


def write_state(link: Link, states: Mapping[str, bytes]) -> None:
    """Write messages by subject. Raises FleetError."""
    link.call(_write(link, states))


def forget_state(link: Link, subject: str) -> None:
    """Delete the message of a subject. Raises FleetError."""
    link.call(link.client.jetstream().purge_stream(STATE, subject=subject))
