"""What is known of devices and refused frames."""

from __future__ import annotations

import pytest
from msgspec import json
from msgspec.structs import replace

from lora_post.clocks.steady import SteadyClock
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import Device, Frame, Reading, RxInfo
from lora_post.observed.device_state import MAX_METADATA, MAX_SENSORS, MAX_TEXT
from lora_post.observed.site_state import MAX_RECENT, MAX_REFUSALS, SiteState
from lora_post.status.overview import whole
from lora_post.uplink.counters import MAX_GAP, stale
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, frame, report
from tests.support.status_page import WELL


def numbered(fcnt: int, of: Device | None = None) -> Report:
    made = report(Reading("t", fcnt), of=of)
    return replace(made, uplink=replace(made.uplink, fcnt=fcnt))


@pytest.mark.parametrize(
    ("fcnts", "missed"),
    [([1, 2, 3], 0), ([1, 5], 3), ([5, 1, 2], 0), ([1, MAX_GAP + 2], 0), ([7], 0), ([1, 4, 4, 6], 3)],
)
def test_gaps_of_the_counter_are_missed_frames(fcnts: list[int], missed: int) -> None:
    site = SiteState([device()])
    for fcnt in fcnts:
        site.hear(numbered(fcnt))
    [view] = site.devices()
    assert (view.heard, view.missed) == (len(fcnts), missed)


def test_what_payloads_say_of_a_device_is_kept_apart_and_bounded() -> None:
    site = SiteState([device()])
    said = tuple(Reading(f"m{number}", "x" * 500) for number in range(2 * MAX_METADATA))
    site.hear(replace(report(Reading("t", 1)), metadata=(Reading("firmware", "1.0"),)))
    site.hear(replace(report(Reading("t", 1)), metadata=(Reading("firmware", "1.1"), *said)))
    [view] = site.devices()
    assert view.metadata[0] == ("firmware", "1.1")
    assert len(view.metadata) == MAX_METADATA
    assert all(len(str(value)) <= MAX_TEXT for _, value in view.metadata)
    assert [shown.name for shown in view.sensors] == ["t"]


def test_device_shows_which_other_gateways_heard_its_last_frame_and_that_it_joined() -> None:
    site = SiteState([device()])
    first, second = numbered(1), numbered(2)
    site.hear(first)
    site.hear(Copy(Frame("gw2", NOON_US, b"", RxInfo(rssi_dbm=-70)), first.uplink))
    [view] = site.devices()
    assert [(gateway, rx.rssi_dbm) for gateway, rx in view.copies] == [("gw2", -70)]
    assert view.heard == 1
    site.hear(second)
    site.hear(Join(frame(b""), device(), "join-request", "DevNonce 0001"))
    assert site.devices()[0].copies == ()
    assert site.recent()[-1].text == "join-request: DevNonce 0001"


@pytest.mark.parametrize("step_us", [56 * 365 * 86_400_000_000, -86_400_000_000])
def test_step_of_the_wall_clock_makes_no_device_silent(step_us: int) -> None:
    wall, monotonic = [NOON_US], [100.0]
    clock = SteadyClock(lambda: wall[0], lambda: monotonic[0])
    site = SiteState([device()], clock)
    for _ in range(5):
        site.hear(report(Reading("t", 1), time_us=wall[0]))
        wall[0] += 600_000_000
        monotonic[0] += 600
    wall[0] += step_us
    site.hear(report(Reading("t", 1), time_us=wall[0]))
    [view] = site.devices()
    assert (view.usual_us, clock.now_us() - view.last_us) == (600_000_000, 0)
    shown = whole(site, replace(WELL, now_us=clock.now_us(), ahead_us=clock.ahead_us()))
    assert shown.devices[0].last == shown.now == wall[0] // 1000


def test_device_shows_its_latest_values_battery_and_problem() -> None:
    site = SiteState([device(), device("silent")])
    site.hear(report(Reading("battery_voltage", 3.3, "V"), Reading("t", 20.5, "°C")))
    site.hear(report(Reading("t", 19.0, "°C", age_s=3600.0), problem="decoder broke"))
    site.hear(report(Reading("t", 18.0, "°C", at_s=1_600_000_000), problem="decoder broke"))
    heard, silent = site.devices()
    assert [(shown.name, shown.value) for shown in heard.sensors] == [("battery_voltage", 3.3), ("t", 20.5)]
    [battery] = heard.batteries
    assert (battery.value, heard.problem, heard.rssi_dbm) == (3.3, "decoder broke", -50)
    assert (silent.last_us, silent.heard) == (0, 0)


def test_refusals_are_counted_by_check_and_address_with_their_fix() -> None:
    site = SiteState([])
    stranger = frame(bytes.fromhex("40da1b012680070002533cc170dfd80198bc5e"))
    for _ in range(3):
        site.hear(Refusal(stranger, "unknown-device", "no device has DevAddr 26011bda", fix="add a [[device]]"))
    [refused] = site.refused()
    assert (refused.address, refused.count, refused.fix) == ("26011bda", 3, "add a [[device]]")
    assert refused.detail == "no device has DevAddr 26011bda"


def test_repeat_is_listed_and_is_no_trouble_of_its_device() -> None:
    of = device("pond")
    site = SiteState([of])
    site.hear(numbered(7, of))
    site.hear(Refusal(frame(), "repeat", "pond: FCnt 7 again", "pond"))
    [view] = site.devices()
    assert (view.refused, [each.check for each in site.refused()]) == (0, ["repeat"])
    site.hear(Refusal(frame(), "replay", "pond: FCnt 3 after 7", "pond"))
    [view] = site.devices()
    assert view.refused == 1


def test_fix_reaches_the_page_whole_however_long_the_device_id_is() -> None:
    pond = device("pond-" + "7" * 250)
    site = SiteState([pond])
    error = stale(pond, 0, 5000)
    site.hear(Refusal.of(frame(b"\x40" + bytes(12)), error, pond.id))
    [refused] = json.decode(json.encode(whole(site, WELL)))["refused"]
    assert refused["fix"] == error.fix
    assert f"`lora-post spool reset-counter {pond.id}`" in refused["fix"]


def test_memory_is_bounded_whatever_is_heard() -> None:
    site = SiteState([device()])
    for number in range(max(MAX_SENSORS, MAX_RECENT, MAX_REFUSALS) + 50):
        site.hear(report(Reading(f"s{number}", "x" * 5000)))
        site.hear(Refusal(frame(bytes([0x40]) + number.to_bytes(4) + bytes(8)), "mic", "y" * 5000))
    [view] = site.devices()
    assert (len(view.sensors), len(site.recent()), len(site.refused())) == (MAX_SENSORS, MAX_RECENT, MAX_REFUSALS)
    assert len(json.encode(whole(site, WELL))) < 100_000


def test_reports_of_devices_that_are_not_configured_are_left_alone() -> None:
    site = SiteState([])
    site.hear(report(Reading("t", 1)))
    assert site.devices() == []


def test_device_that_is_corrected_has_no_trouble_any_more_and_the_log_keeps_it() -> None:
    pond, barn = device(), device("barn", address=0x26011BDB)
    site = SiteState([pond, barn])
    for each in (pond, barn):
        sealed = frame(seal_lorawan(KEYS, each.address or 0, 7, 2, b"x"))
        site.hear(replace(report(of=each, problem="DecoderCrash: at line 3"), warnings=("odd",)))
        site.hear(Refusal(sealed, "mic", "no key fits", fix="correct them"))
    assert [(view.refused, view.undecoded) for view in site.devices()] == [(1, 1), (1, 1)]
    site.use([replace(pond, keys=SessionKeys(bytes(16), bytes(16))), barn])
    corrected, other = site.devices()
    assert (corrected.refused, corrected.undecoded, corrected.problem, corrected.refusal.what) == (0, 0, "", "")
    assert (other.refused, other.undecoded) == (1, 1) and other.problem
    assert [each.address for each in site.refused()] == [barn.address_text]
    assert (corrected.heard, len(site.log())) == (1, 4)
    site.use([pond, barn])
    stranger = frame(seal_lorawan(KEYS, 0x26010009, 7, 2, b"x"))
    site.hear(Refusal(stranger, "unknown-device", "no device has it"))
    site.use([pond, barn, device("new", address=0x26010009)])
    assert [each.check for each in site.refused()] == ["mic"]


def test_decoder_file_that_is_corrected_clears_the_devices_that_it_reads() -> None:
    site = SiteState(
        [
            device(decoder="probe"),
            device("barn", address=2),
            device("mast", address=3, decoder="", decoder_by_fport={2: "probe"}),
        ]
    )
    for each in ("pond-7", "barn", "mast"):
        site.hear(report(of=device(each), problem="DecoderCrash: at line 3"))
    before = site.changes
    site.forget_undecoded(["probe", "other"])
    assert [(view.undecoded, bool(view.problem)) for view in site.devices()] == [(0, False), (1, True), (0, False)]
    assert [view.id for view in site.devices(before)] == ["pond-7", "mast"]


def test_devices_that_changed_are_told_in_the_order_of_the_configuration_each_once() -> None:
    names = ("a", "b", "c")
    site = SiteState(map(device, names))
    for name in ("c", "a", "c"):
        site.hear(report(Reading("t", 1), of=device(name)))
    told = [[each.id for each in site.devices(since)] for since in range(-1, 4)]
    assert told == [["a", "b", "c"], ["a", "c"], ["a", "c"], ["c"], []]
    site.use(map(device, ("c", "b")))
    assert [each.id for each in site.devices(0)] == ["c"]
