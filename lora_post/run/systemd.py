"""Tell systemd that a service of Type=notify is ready, gets on, and stops.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread

from lora_post.observed.signs import Heartbeats

log = logging.getLogger("lora_post")


class Notifier:
    """Tells systemd; does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL of Linux' abstract sockets.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(usec) / 1e6 if usec.isdecimal() and is_ours and self._address else 0.0
        """How long systemd waits for a sign of life before it restarts us; 0: it does not."""

    def tell(self, *lines: str) -> None:
        """Send lines such as READY=1; a message that cannot be delivered is left out."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(lines).encode(), self._address)


@contextmanager
def known_to_systemd(heartbeats: Heartbeats, notifier: Notifier) -> Iterator[None]:
    """Tell systemd that we are ready, and that we get on as long as every thread does."""
    stop = Event()
    notifier.tell("READY=1")
    thread = Thread(target=_feed_watchdog, args=(heartbeats, notifier, stop), name="watchdog", daemon=True)
    if notifier.watchdog_s:
        thread.start()
    try:
        yield
    finally:
        notifier.tell("STOPPING=1")
        stop.set()


def _feed_watchdog(heartbeats: Heartbeats, notifier: Notifier, stop: Event) -> None:
    said: list[str] = []
    while not stop.wait(notifier.watchdog_s / 3):
        stalled = heartbeats.stalled()
        if not stalled:
            notifier.tell("WATCHDOG=1")
        elif stalled != said:
            log.error("stalled: %s; systemd will restart lora-post in a moment", ", ".join(stalled))
        said = stalled
