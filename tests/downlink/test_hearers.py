"""How long the copies of a frame are waited for."""

from __future__ import annotations

from lora_post.downlink import hearers as module
from lora_post.downlink.hearers import LATELY, Hearers


def complete(hearers: Hearers, *gateways: str, address: str = "a") -> bool:
    """Tell whether nobody else is waited for, once these gateways have heard the next frame."""
    hearers.began(address)
    for gateway in gateways:
        hearers.heard(address, gateway)
    return hearers.is_complete(address, set(gateways))


def test_device_that_is_not_known_is_waited_for_and_one_that_one_gateway_hears_is_not() -> None:
    hearers = Hearers()
    assert not complete(hearers, "north")
    assert complete(hearers, "north")
    assert not complete(hearers, "south", address="b")


def test_gateway_that_has_lately_heard_the_device_is_waited_for_until_it_has_missed_some_frames() -> None:
    hearers = Hearers()
    complete(hearers, "north", "south")
    found = [complete(hearers, "north") for _ in range(LATELY)]
    assert found == [False] * (LATELY - 1) + [True]
    assert not complete(hearers, "south")
    assert complete(hearers, "south", "north")


def test_copy_that_came_too_late_is_waited_for_the_next_time() -> None:
    hearers = Hearers()
    complete(hearers, "north")
    assert complete(hearers, "north")
    hearers.heard("a", "south")
    assert not complete(hearers, "north")


def test_as_many_devices_are_known_as_there_is_room_for(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "MAX_KNOWN", 2)
    hearers = Hearers()
    for address in "abc":
        complete(hearers, "north", address=address)
    assert [complete(hearers, "north", address=address) for address in "cb"] == [True, True]
    assert not complete(hearers, "north", address="a")
