"""The hub's end for home gateways: which are away, and that one is back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lora_post.fleet.home import answering
from lora_post.fleet.home.answering import BACK_S, Answering
from lora_post.fleet.hub.link import Link as HubLink
from lora_post.fleet.hub.raw import OfferWaiting, decode_word
from lora_post.fleet.log.log import Logged
from lora_post.model import Device, Link
from tests.support.memory_log import MemoryLog
from tests.support.seal import ROOT_10

BUOY = Device("buoy", "buoy", Link.LORAWAN, None, "cayenne-lpp", root=ROOT_10, home="north")
TAKEOVER_S = 3600.0


class Quiet(HubLink):
    """A link over which words are said."""

    def __init__(self) -> None:
        self.reconnects = 0
        self.said: list[object] = []

    def say(self, subject: str, data: bytes) -> None:
        self.said.append(decode_word(data))


class Hub:
    """What gateways have said there, and the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: list[Logged] = []
        self.now = 1000.0
        monkeypatch.setattr(answering.hub_state, "read_state", lambda link, subjects: self.states)
        monkeypatch.setattr(answering.time, "monotonic", lambda: self.now)
        self.link = Quiet()
        self.answering = Answering(self.link, MemoryLog(), [BUOY], TAKEOVER_S)

    def hear(self, after_s: float, *homes: str) -> None:
        """Let time pass, and gateways say something."""
        self.now += after_s
        last = self.states[-1].position if self.states else 0
        self.states = [each for each in self.states if each.subject.split(".")[1] not in homes]
        self.states += [Logged(last + 1 + at, f"gw.{home}.state", b"") for at, home in enumerate(homes)]
        self.answering._look_after()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(monkeypatch)


def test_home_gateway_that_is_back_has_others_hand_in_what_waits_for_it(hub: Hub) -> None:
    for _ in range(5):
        hub.hear(120, "north", "south")
    hub.hear(BACK_S, "south")
    assert hub.link.said == []
    hub.hear(BACK_S, "north")  # south is not the home of a device, and not back
    assert hub.link.said == [OfferWaiting()]
    hub.hear(120, "north")
    hub.hear(2 * BACK_S, "south")
    assert hub.link.said == [OfferWaiting()]


def test_home_gateway_is_away_after_an_hour_in_which_this_worker_could_have_heard_it(hub: Hub) -> None:
    assert not hub.answering.is_away("north")
    hub.hear(0, "north")
    seen: Sequence[float] = (TAKEOVER_S - 100, 200)
    for after_s, is_away in zip(seen, (False, True), strict=True):
        hub.hear(after_s)
        assert hub.answering.is_away("north") is is_away
    hub.link.reconnects += 1
    hub.hear(0)
    assert not hub.answering.is_away("north")
