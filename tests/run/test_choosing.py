from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.downlink.hearers import LATELY, MAX_GATEWAYS
from lora_post.downlink.transmit import Downlink, Station, Transmission
from lora_post.model import DeviceClass
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import Site, otaa
from tests.support.seal import ROOT_10

SECOND = 1_000_000


class Field(Site):
    """A site with a device that has joined, and that two gateways have heard."""

    def __init__(self, path: Path, *, class_: DeviceClass = DeviceClass.A) -> None:
        super().__init__(path, otaa(ROOT_10, device_class=class_))
        self.end = JoiningDevice(ROOT_10)

    def send(self, *heard: tuple[str, float | None], freqs: dict[str, float] | None = None, **words: bool) -> None:
        """Let the device send, and gateways hear it with these SNR, one after the other."""
        phy_payload = self.end.uplink(b"\x03\x67\x00\xe1", **words)  # type: ignore[arg-type]
        for number, (gateway, snr) in enumerate(heard):
            after_us = 1_000 if number else 60 * SECOND
            freq = (freqs or {}).get(gateway, 868.1)
            self.hear(phy_payload, gateway=gateway, snr=snr, after_us=after_us, tmst=(number + 1) * 1000, freq=freq)

    @property
    def last(self) -> Downlink:
        return self.gateway.sent[-1]

    def refuse(self, window: str = "RX1") -> bool:
        """Have the gateway refuse the last frame; return whether another one is given it."""
        told = Transmission(self.last.gateway, window, False, "TOO_LATE")
        return bool(self.last.tell(told))


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    site = Field(tmp_path / "spool.db")
    with closing(site.store):
        site.join(site.end)
        site.send(("gw1", 5.0), ("gw2", 5.0))
        site.gateway.sent.clear()
        site.is_held = True
        yield site


def test_device_that_one_gateway_hears_is_answered_at_once(tmp_path: Path) -> None:
    site = Field(tmp_path / "spool.db")
    with closing(site.store):
        site.join(site.end)
        site.is_held = True
        for _ in range(3):
            site.send(("gw1", 5.0), confirmed=True)
    assert not site.held and len(site.gateway.sent) == 4


def test_answer_goes_by_the_gateway_that_hears_the_device_best_once_all_are_heard(field: Field) -> None:
    field.send(("gw1", -5.0), confirmed=True)
    assert not field.gateway.sent
    ((seconds, _),) = field.held
    assert 0 < seconds <= 0.2
    field.end.fcnt -= 1
    field.hear(field.end.uplink(b"\x03\x67\x00\xe1", confirmed=True), gateway="gw2", snr=7.0, after_us=1000, tmst=5)
    assert len(field.held) == 2  # nothing else is waited for
    field.go_on()
    assert [(each.gateway, each.windows[0].tmst) for each in field.gateway.sent] == [("gw2", 5 * SECOND + 5)]


def test_answer_goes_by_the_first_one_when_the_others_are_not_heard(field: Field) -> None:
    field.send(("gw1", -5.0), confirmed=True)
    field.go_on()
    assert [each.gateway for each in field.gateway.sent] == ["gw1"]


def test_gateway_that_has_not_heard_a_device_lately_is_not_waited_for(field: Field) -> None:
    for _ in range(LATELY):
        field.send(("gw1", 5.0))
    field.send(("gw1", 5.0), confirmed=True)
    assert not field.held and field.last.gateway == "gw1"


def test_air_time_is_that_of_the_gateway_that_sends(field: Field) -> None:
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert field.last.gateway == "gw2"
    assert sorted(each.gateway for each in field.duty_cycle.used()) == ["gw1", "gw2"]  # gw1: its join-accept
    before = {each.gateway: each.used for each in field.duty_cycle.used()}
    assert field.refuse()
    field.go_on()
    after = {each.gateway: each.used for each in field.duty_cycle.used()}
    assert "gw2" not in after and after["gw1"] > before["gw1"]


def test_refused_answer_goes_by_the_next_gateway_and_then_by_the_window_that_is_left(field: Field) -> None:
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert field.last.gateway == "gw2" and field.refuse()
    field.go_on()
    assert field.last.gateway == "gw1" and field.last.windows[0].name == "RX1"
    assert field.last.phy_payload == field.gateway.sent[0].phy_payload
    assert not field.refuse()  # its own RX2 is left
    assert len(field.gateway.sent) == 2


@pytest.mark.parametrize("is_sent", [None, True])
def test_second_gateway_is_never_given_what_the_first_one_may_send(is_sent: bool | None, field: Field) -> None:
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert not field.last.tell(Transmission("gw2", "RX1", is_sent))
    assert not field.held and len(field.gateway.sent) == 1


def test_refusal_that_comes_when_the_window_is_over_moves_nothing(field: Field) -> None:
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    field.time_us += 5 * SECOND
    assert not field.refuse()


def test_gateway_without_air_time_or_with_a_slow_link_is_not_the_best(field: Field) -> None:
    field.gateway.others["gw2"] = Station(True, round_trip_s=20.0)
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert field.last.gateway == "gw1"
    field.gateway.others.clear()
    for _ in range(2000):
        field.duty_cycle.spend("gw2", field.last.windows[0], 60)
        field.duty_cycle.spend("gw2", field.last.windows[1], 255)
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert field.last.gateway == "gw1"


def test_gateway_that_heard_another_channel_or_cannot_send_is_none(field: Field) -> None:
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True, freqs={"gw2": 868.3})
    field.go_on()
    assert field.last.gateway == "gw1"
    field.gateway.others["gw2"] = None
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert field.last.gateway == "gw1"


def test_uplink_that_the_first_gateway_cannot_answer_is_answered_by_the_next(field: Field) -> None:
    field.gateway.others["gw1"] = None
    field.queue("buoy")
    field.send(("gw1", 5.0), ("gw2", -6.0), confirmed=True)
    field.go_on()
    assert [each.gateway for each in field.gateway.sent] == ["gw2"]
    field.queue("buoy")
    field.send(("gw1", 5.0))
    field.end.fcnt -= 1
    field.hear(field.end.uplink(b"\x03\x67\x00\xe1"), gateway="gw2", after_us=15 * SECOND)
    field.go_on()
    assert len(field.gateway.sent) == 1  # so much later its windows are over


def test_join_goes_by_the_best_gateway(tmp_path: Path) -> None:
    site = Field(tmp_path / "spool.db")
    with closing(site.store):
        site.join(site.end)
        site.send(("gw1", 5.0), ("gw2", 5.0))
        site.is_held = True
        request = site.end.request()
        assert site.hear(request, gateway="gw1", snr=-5.0) == "join-request"
        assert site.hear(request, gateway="gw2", snr=5.0, after_us=1000, tmst=77) == "copy"
        site.go_on()
        assert (site.last.gateway, site.last.windows[0].tmst) == ("gw2", 5 * SECOND + 77)


def test_device_of_class_c_is_sent_to_by_the_gateway_that_heard_it_best(tmp_path: Path) -> None:
    site = Field(tmp_path / "spool.db", class_=DeviceClass.C)
    with closing(site.store):
        site.join(site.end)
        site.send(("gw1", -5.0), ("gw2", 5.0), ("gw3", 1.0))
        site.queue("buoy")
        site.wait(60)
        assert (site.last.gateway, site.last.windows[0].tmst) == ("gw2", None)


def test_gateways_that_are_made_up_are_bounded(field: Field) -> None:
    field.send(*((f"gw{number}", 5.0) for number in range(3 * MAX_GATEWAYS)), confirmed=True)
    field.go_on()
    assert [each.gateway for each in field.gateway.sent] == ["gw0"]  # equal ones: who was first


def test_what_is_not_kept_is_not_sent(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    release = field.pipeline._choosing.release  # type: ignore[union-attr]
    monkeypatch.setattr(field.pipeline._choosing, "release", lambda answers: None)  # the power fails here
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert not field.gateway.sent
    monkeypatch.setattr(field.pipeline._choosing, "release", release)
    field.send(("gw1", -5.0), ("gw2", 7.0), confirmed=True)
    field.go_on()
    assert len(field.gateway.sent) == 1


def test_fate_of_a_command_tells_both_gateways(field: Field) -> None:
    number = field.queue("buoy")
    field.send(("gw1", -5.0), ("gw2", 7.0))
    field.go_on()
    assert field.refuse()
    field.go_on()
    field.tell(replace(field.last))
    steps = [each.text for each in field.command(number).steps]
    assert steps == ["not sent by gateway gw2 in RX1: TOO_LATE", "sent by gateway gw1 in RX1"]
