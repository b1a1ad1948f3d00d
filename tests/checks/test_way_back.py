"""What `check` says of the way back to devices."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.checks.way_back import check_heard, check_round_trips, check_sent, check_way_back
from lora_post.command import Command, Moment
from lora_post.config import parse_config
from lora_post.downlink.transmit import Station
from lora_post.model import Frame, RxInfo
from lora_post.sinks.finding import Grade
from lora_post.spool import downlinks
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import ROUND_TRIPS
from lora_post.spool.spool_file import SpoolFile
from tests.support.build import NOON_US, device
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import EU868 as NETWORK_SITE
from tests.support.network_site import Site as Running
from tests.support.network_site import otaa
from tests.support.seal import ROOT_10

EU868 = replace(NETWORK_SITE, name="EU868")
NOW = Moment(NOON_US, "", 0)
SITE = '[gateway]\nid = "gw1"\n[json_lines]\npath = "out"\n[spool]\npath = "spool.db"\n'
NETWORK = '[network]\nregion = "EU868"\nrx_delay_s = 1\n'
UDP = '[[input]]\nurl = "udp://127.0.0.1:1700"\n'
SERVER = '[[input]]\nurl = "mqtt://127.0.0.1/application/+/device/+/event/up"\nformat = "chirpstack"\n'


def texts(folder: Path, site: str) -> list[tuple[Grade, str]]:
    config = parse_config(SITE + site, folder / "site.toml", {})
    return [(each.verdict, each.text) for each in check_way_back(config)]


def told(*steps: str) -> Command:
    command = Command("pond-7", 1, b"", NOW, 1)
    for step in steps:
        command = command.with_step(NOW, step)
    return command


def heard(freq_mhz: float | None) -> Frame:
    return Frame("gw1", NOON_US, b"", RxInfo(freq_mhz=freq_mhz))


def test_who_transmits_is_said(tmp_path: Path) -> None:
    assert texts(tmp_path, UDP) == []
    answered = "devices are answered by udp://127.0.0.1:1700, in EU868"
    assert texts(tmp_path, NETWORK + UDP) == [(Grade.OK, answered)]
    quiet = '[[input]]\nurl = "udp://127.0.0.1:1701"\ntransmit = false\n'
    assert texts(tmp_path, NETWORK + UDP + quiet) == [(Grade.OK, f"{answered}; not by udp://127.0.0.1:1701")]
    assert [grade for grade, _ in texts(tmp_path, NETWORK + quiet)] == [Grade.WARNING]
    ((grade, text),) = texts(tmp_path, SERVER)
    assert grade is Grade.OK and text.startswith("devices of network servers are sent to through mqtt://")


def test_what_gateways_said_is_read_from_the_spool(tmp_path: Path) -> None:
    with closing(SpoolFile(tmp_path / "spool.db")) as store, store.transaction() as db:
        downlinks.add(db, told("not sent by gateway gw1 in RX1: the gateway refused it (TX_ACK): TX_FREQ, x"), NOW)
    assert [text for grade, text in texts(tmp_path, NETWORK + UDP) if grade is Grade.WARNING] == [
        "a gateway has refused 1 downlink with TX_FREQ: it is set up for another region"
    ]


def test_spool_that_cannot_be_read_costs_only_that(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"not a database" * 100)
    assert [grade for grade, _ in texts(tmp_path, NETWORK + UDP)] == [Grade.OK, Grade.SKIPPED]


@pytest.mark.parametrize("step", ["not sent by gateway gw1 in RX2: 80 ms too late", "the gateway refused it: TOO_LATE"])
def test_late_answers_lead_to_a_longer_delay(step: str) -> None:
    (finding,) = check_sent([told("queued", step)], EU868)
    assert finding.text == "1 downlink came too late for the windows of the device" and "rx_delay_s" in finding.fix
    assert list(check_sent([told("sent by gateway gw1 in RX1")], EU868)) == []


def test_frames_of_another_region_are_told_of() -> None:
    frames = [heard(868.1), heard(None), heard(915.2), heard(915.2)]
    (finding,) = check_heard(frames, EU868)
    assert finding.text == "2 frames of unknown senders came at 915.2 MHz, which is not in EU868"
    assert list(check_heard(frames[:2], EU868)) == []


@pytest.mark.parametrize(
    ("ms", "rx_delay_s", "fixed", "says"),
    [
        ("40", 5, True, "0.04 s: soon enough for rx_delay_s = 1"),
        ("900", 5, False, "0.90 s: soon enough for rx_delay_s = 5, not for 1"),
        ("900", 5, True, "0.90 s: too late for devices that listen after 1 s"),
        ("4900", 5, False, "4.90 s: too late for devices that listen after 5 s"),
        ("damaged", 1, False, ""),
        ("9" * 5000, 1, False, ""),
    ],
)
def test_round_trips_are_compared_with_when_devices_listen(ms: str, rx_delay_s: int, fixed: bool, says: str) -> None:
    devices = [device("pond-7", rx_delay_s=1)] if fixed else []
    found = list(check_round_trips({"gw1": ms}, replace(EU868, rx_delay_s=rx_delay_s), devices))
    assert [each.text for each in found] == ([f"gateway gw1 answers within {says}"] if says else [])
    assert all((each.verdict is Grade.WARNING) == ("too late" in says) for each in found)


def test_round_trip_of_a_run_is_kept_where_check_finds_it(tmp_path: Path) -> None:
    site, end = Running(tmp_path / "spool.db", otaa(ROOT_10)), JoiningDevice(ROOT_10)
    with closing(site.store):
        for trip_s in (0.04, 0.05, 2.0):
            site.gateway.now = Station(True, round_trip_s=trip_s)
            site.tell(site.join(end))
            site.hear(end.uplink(b""))
            kept = Facts(site.store, ROUND_TRIPS).recall()
            assert kept == {"gw1": "2000" if trip_s > 1 else "40"}
    assert (Grade.OK, "gateway gw1 answers within 2.00 s: soon enough for rx_delay_s = 5, not for 1") in texts(
        tmp_path, NETWORK.replace("1", "5") + UDP
    )


def test_radio_program_takes_two_delays_only(tmp_path: Path) -> None:
    site = '[[input]]\nurl = "stdin:"\nformat = "lowcost"\ndownlink_dir = "downlink"\n'
    warnings = [text for grade, text in texts(tmp_path, NETWORK.replace("= 1", "= 3") + site) if grade is Grade.WARNING]
    assert warnings == [f"LowCostLoRaGw's radio program at {tmp_path}/downlink takes rx_delay_s 1 and 5 only"]
    assert all(grade is Grade.OK for grade, _ in texts(tmp_path, NETWORK + site))


@pytest.mark.parametrize(("sf", "grade"), [(7, Grade.WARNING), (12, Grade.OK)])
def test_module_may_be_too_late_for_fast_frames(sf: int, grade: Grade, tmp_path: Path) -> None:
    setup = f'setup = ["radio set freq 868100000", "radio set sf sf{sf}", "radio rx 0"]\n'
    module = f'[[input]]\nurl = "serial:///dev/x"\nformat = "rn2483"\n{setup}'
    found = [(verdict, text) for verdict, text in texts(tmp_path, NETWORK + module) if "a device listens for" in text]
    assert [verdict for verdict, _ in found] == [grade]
