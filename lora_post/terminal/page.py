"""Read the page, and change it by what is new. Pure: bytes and structs in, structs out."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from lora_post.observed.page_model import Page, PageNews

MAX_RECENT: Final = 60
CLOCK_SLACK_MS: Final = 5000
"""A smaller difference is the time that the message took."""

Message = TypeVar("Message", Page, PageNews)


def read_message(data: bytes, kind: type[Message]) -> Message | None:
    """Return the message, None for bytes that are not such a message."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def behind_ms(page: Page, now_ms: int) -> int:
    """Return what the times of a page that came at `now_ms` must be moved by to be times of this clock."""
    behind = now_ms - page.now
    return behind if abs(behind) > CLOCK_SLACK_MS else 0


def changed_page(page: Page, news: PageNews) -> Page:
    """Return the page after the news; what they do not tell stays."""
    devices = {device.id: device for device in page.devices} | {device.id: device for device in news.devices}
    return replace(
        page,
        v=news.v,
        devices=tuple(devices.values()),
        recent=(page.recent + news.recent)[-MAX_RECENT:],
        refused=page.refused if news.refused is None else news.refused,
        state=news.state or page.state,
        verdict=news.verdict or page.verdict,
    )
