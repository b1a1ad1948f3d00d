"""Somebody else who writes to the same sensors, in bursts, all the time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import requests

from tests.chaos import site

VALUE = -1.0
"""What it writes: nothing of ours has this value."""
BURST = 60
"""More rows than a look of one reading would bring by the way."""
EVERY_S = 0.25
TIMEOUT_S = 10.0


@contextmanager
def second_writer(url: str, seed: int) -> Iterator[None]:
    """Write as long as the block runs; what goes wrong with it does not matter."""
    over = threading.Event()
    thread = threading.Thread(target=_write, args=(url, Random(seed), over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _write(url: str, chance: Random, over: threading.Event) -> None:
    burst = [{"value": VALUE, "timestamp": f"2026-01-01T00:00:{second:02}Z"} for second in range(BURST)]
    token = ""
    while not over.wait(EVERY_S):
        device, sensor = chance.choice(site.sensors())
        try:
            if not token:
                login = {"username": "demo", "password": "demo"}
                answer = requests.post(f"{url}/auth/token", json=login, timeout=TIMEOUT_S)
                token = answer.text if answer.status_code == 200 else ""
            headers = {"Authorization": f"Bearer {token}"}
            path = f"{url}/devices/{device}/sensors/{sensor}/values"
            if requests.post(path, json=burst, headers=headers, timeout=TIMEOUT_S).status_code == 403:
                token = ""
        except (requests.RequestException, ValueError):
            continue
