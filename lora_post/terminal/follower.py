"""Keep a view of the page up to date, and connect again when the connection breaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.clocks.scale import now_us
from lora_post.errors import Problem
from lora_post.net.backoff import Backoff
from lora_post.observed.page_model import Page
from lora_post.terminal.client import NoAnswer, StatusClient
from lora_post.terminal.page import behind_ms, changed_page

MAX_PAUSE_S: Final = 30.0


class View(Struct, frozen=True):
    """What is known.

    page: None before the first answer. behind: ms by which its times are moved to be times of this clock.
    trouble: why nothing new comes, None while it does.
    """

    page: Page | None = None
    behind: int = 0
    trouble: Problem | None = None


def view_of(page: Page) -> View:
    """Return the view of a page that has just come."""
    return View(page, behind_ms(page, now_us() // 1000))


def follow(client: StatusClient, show: Callable[[View], None], stop: Event) -> None:
    """Show every new view until `stop` is set."""
    view = View()
    backoff = Backoff(MAX_PAUSE_S)
    while not stop.is_set():
        try:
            page = client.fetch()
            show(view := view_of(page))
            for news in client.follow(page.v):
                if stop.is_set():
                    return
                backoff.succeed()
                page = changed_page(page, news)
                show(view := replace(view, page=page))
        except NoAnswer as error:
            now = time.monotonic()
            backoff.fail(now)
            show(view := replace(view, trouble=error.problem))
            stop.wait(backoff.until - now)
