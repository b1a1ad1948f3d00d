"""Keeps a view of a site up to date, whatever becomes of the connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Final

from msgspec import Struct

from lora_post.backoff import Backoff
from lora_post.terminal.client import NoAnswer, StatusClient
from lora_post.terminal.site import Site, changed_site

MAX_PAUSE_S: Final = 30.0


class View(Struct, frozen=True):
    """What is known. site: None before the first answer. trouble: why nothing new comes, "" while it does."""

    site: Site | None = None
    trouble: str = ""


def follow(client: StatusClient, show: Callable[[View], None], stop: Event) -> None:
    """Tell `show` of every view until `stop` is set; what breaks off is tried again."""
    view = View()
    backoff = Backoff(MAX_PAUSE_S)
    while not stop.is_set():
        try:
            site = client.fetch()
            show(view := View(site))
            for news in client.follow(site.v):
                if stop.is_set():
                    return
                backoff.succeed()
                site = changed_site(site, news)
                show(view := View(site))
        except NoAnswer as error:
            now = time.monotonic()
            backoff.fail(now)
            show(view := View(view.site, str(error)))
            stop.wait(backoff.until - now)
