"""Which gateway is asked first: by how well it heard the device, how soon it replies, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.asking import Asking
from lora_post.fleet.link import Link
from lora_post.fleet.reply import Way

LEFT_S = 0.7


@pytest.fixture
def asking() -> Iterator[Asking]:
    nowhere = FleetConfig(("nats://127.0.0.1:1",), frozenset({Role.WORKER}))
    with closing(Link(nowhere, "desk")) as link:
        yield Asking(link)


def order(asking: Asking, **heard: float | None) -> list[str]:
    """Return the gateways in the order in which they are asked. heard: SNR by gateway."""
    ways = [Way(name, name, (), snr_db, 7) for name, snr_db in heard.items()]
    return [way.gateway for way in asking.in_order(ways, LEFT_S)]


def test_gateway_that_heard_it_better_is_asked_first(asking: Asking) -> None:
    assert order(asking, a=-5.0, b=0.0, c=None, d=9.0) == ["d", "b", "a", "c"]


def test_what_a_lying_gateway_tells_is_no_better_than_a_very_good_one(asking: Asking) -> None:
    assert order(asking, good=12.5, liar=1e9) == ["good", "liar"]


def test_gateway_whose_reply_would_come_too_late_is_asked_last(asking: Asking) -> None:
    asking.trips_ms = {"far": 900.0, "near": 40.0}
    assert order(asking, far=5.0, near=-5.0) == ["near", "far"]
    assert asking.slowest_s == 0.9
