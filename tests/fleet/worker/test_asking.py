"""Which gateway is asked first: by how well it heard the device, how soon it replies, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.downlink.transmit import Transmission
from lora_post.fleet.errors import FleetError
from lora_post.fleet.hub.downlinks import RequestFate, encode
from lora_post.fleet.hub.link import Link
from lora_post.fleet.judging.desk import Sent
from lora_post.fleet.judging.reply import Reply, Way
from lora_post.fleet.worker.asking import MAX_UNDER_WAY, Asking
from lora_post.metrics import Metrics

LEFT_S = 0.7
METRICS = Metrics()


@pytest.fixture
def asking() -> Iterator[Asking]:
    nowhere = FleetConfig(("nats://127.0.0.1:1",), frozenset({Role.WORKER}))
    with closing(Link(nowhere, "desk")) as link:
        yield Asking(link, METRICS)


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


def given(asking: Asking, command: int = 0, id_: str = "entry") -> None:
    """Have gw1 asked; without a hub the request is lost."""
    with suppress(FleetError):
        asking.send(Reply("pond", "answer to pond", b"x", (Way("gw1", "gw1", ()),), 1.0, command), id_, 0.0)


def told(asking: Asking, window: str, is_sent: bool | None, why: str = "", by: str = "gw1") -> list[Sent]:
    asking._hear(f"gw.{by}.sent", encode(RequestFate("entry", Transmission(by, window, is_sent, why))))
    return list(asking.fates())


def test_answer_that_its_gateway_refused_is_counted_and_logged(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    before = METRICS.total("downlinks")
    given(asking)
    assert told(asking, "RX1", False, "TOO_LATE", by="gw2") == []
    assert (METRICS.total("downlinks"), caplog.messages) == (before, [])
    assert told(asking, "RX1", False, "TOO_LATE") == []
    assert METRICS.total("downlinks") == before + 1
    assert caplog.messages == ["answer to pond is not sent by gateway gw1 in RX1: TOO_LATE"]


def test_command_that_went_in_the_second_window_is_sent(asking: Asking) -> None:
    given(asking, 7)
    outcomes = told(asking, "RX1", False, "TX_POWER") + told(asking, "RX2", True)
    for is_sent in (True, False):  # another gateway with its name, or its TX_ACK once more
        outcomes += told(asking, "RX2", is_sent)
    assert [(each.command, each.transmission.is_sent) for each in outcomes] == [(7, False), (7, True)]


def test_no_gateway_at_all_is_told_as_well(asking: Asking, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    given(asking)
    asking._fail("entry", "", "no gateway that heard it can send")
    assert list(asking.fates()) == []
    assert caplog.messages == ["answer to pond is not sent: no gateway that heard it can send"]


def test_answers_of_a_busy_fleet_do_not_push_a_command_out(asking: Asking) -> None:
    given(asking, 7)
    for number in range(2 * MAX_UNDER_WAY):
        given(asking, id_=str(number))
    assert [each.command for each in told(asking, "RX2", True)] == [7]
