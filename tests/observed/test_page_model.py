"""The page's JSON: its keys are public, and what is written can be read."""

from __future__ import annotations

from msgspec import json
from msgspec.structs import replace

from lora_post.command import Command, Fate, Moment
from lora_post.downlink.duty_cycle import AirTime
from lora_post.errors import Problem
from lora_post.lorawan.region import SubBand
from lora_post.model import Frame, Reading, RxInfo
from lora_post.observed.page_model import Page, PageNews, PageSensor
from lora_post.observed.run_state import DestinationState, Disk, GatewayState, InputState, RunState
from lora_post.observed.site_state import SiteState
from lora_post.status.overview import news, whole
from lora_post.uplink.model import Copy, Refusal
from tests.support.build import NOON_US, device, frame, report

NOON = NOON_US // 1000
FULL = RunState(
    gateway="Farm",
    started_us=NOON_US,
    now_us=NOON_US,
    inputs=(
        InputState("udp", NOON_US, Problem("broken"), (GatewayState("gw1", NOON_US, {"rxnb": 2}),)),
        InputState("i", 0),
    ),
    destinations=(
        DestinationState("waziup", 1, 2, 3, NOON_US, NOON_US, Problem("no way", "pay"), "night"),
        DestinationState("d", 0, 0, 0, 0, 0),
    ),
    disk=Disk(1 << 30, 1 << 31, 3 << 20),
    stalled=(),
    commands=(
        Command("pond-7", 1, b"", Moment(NOON_US, "", 0), 7).ended(Moment(NOON_US, "", 0), Fate.EXPIRED),
        Command("pond-7", 1, b"", Moment(NOON_US, "", 0), 8).with_step(Moment(NOON_US, "", 0), "not sent: too long"),
        Command("pond-7", 1, b"", Moment(NOON_US, "", 0), 9),
    ),
    air_time=(
        AirTime("gw1", SubBand(868_000_000, 868_600_000, 0.01, 14), 0.97, 90.0),
        AirTime("gw2", SubBand(868_000_000, 868_600_000, 0.01, 14), 0.12, 90.0),
        AirTime("gw3", SubBand(868_000_000, 868_600_000, 0.01, 14), 0.001, 90.0),
    ),
    troubles={},
    alerts={"a": Problem("x", "y")},
)


def full_board() -> SiteState:
    site = SiteState([device(name="Pond"), device("silent", address=1)])
    heard = report(Reading("battery", 3.3, "V"), Reading("open", False), Reading("count", 0))
    site.hear(heard)
    site.hear(Copy(Frame("gw2", NOON_US, b"", RxInfo(snr_db=0)), heard.uplink))
    site.hear(
        Refusal(frame(bytes.fromhex("40da1b012680070002533cc170dfd80198bc5e")), "mic", "no key fits", fix="correct it")
    )
    return site


def test_keys_are_those_that_programs_read() -> None:
    found = json.decode(json.encode(whole(full_board(), FULL)))
    battery = {"name": "battery", "value": 3.3, "unit": "V", "time": NOON}
    assert found == {
        "v": 3,
        "now": NOON,
        "total": 2,
        "heard": 1,
        "next": 0,
        "news": False,
        "devices": [
            {
                "id": "pond-7",
                "name": "Pond",
                "last": NOON,
                "rssi": -50,
                "snr": 7.0,
                "gateway": "gw1",
                "copies": [{"gateway": "gw2", "snr": 0}],
                "heard": 1,
                "battery": battery,
                "sensors": [
                    battery,
                    {"name": "open", "value": False, "time": NOON},
                    {"name": "count", "value": 0, "time": NOON},
                ],
            },
            {"id": "silent"},
        ],
        "recent": [
            {"time": NOON, "text": "battery 3.3 V, open false, count 0", "device": "pond-7"},
            {"time": NOON, "text": "mic: no key fits"},
        ],
        "refused": [
            {
                "check": "mic",
                "count": 1,
                "address": "26011bda",
                "last": NOON,
                "detail": "no key fits",
                "fix": "correct it",
                "rssi": -50,
                "snr": 7.0,
            }
        ],
        "state": {
            "gateway": "Farm",
            "started": NOON,
            "inputs": [
                {
                    "name": "udp",
                    "last": NOON,
                    "trouble": {"what": "broken", "fix": ""},
                    "gateways": [{"name": "gw1", "last": NOON, "stat": {"rxnb": 2}}],
                },
                {"name": "i"},
            ],
            "destinations": [
                {
                    "name": "waziup",
                    "queued": 1,
                    "parked": 2,
                    "refused": 3,
                    "oldest": NOON,
                    "last": NOON,
                    "trouble": {"what": "no way", "fix": "pay"},
                    "held": "night",
                },
                {"name": "d"},
            ],
            "disk": {"free": 50, "spool": 3},
            "commands": [
                {"id": 7, "device": "pond-7", "fate": "expired", "given": NOON, "last": NOON},
                {
                    "id": 8,
                    "device": "pond-7",
                    "fate": "queued",
                    "given": NOON,
                    "last": NOON,
                    "step": "not sent: too long",
                },
                {"id": 9, "device": "pond-7", "fate": "queued", "given": NOON},
            ],
            "air_time": [
                {"gateway": "gw1", "band": "868–868.6 MHz", "used": 97, "more": NOON + 60_000},
                {"gateway": "gw2", "band": "868–868.6 MHz", "used": 12},
            ],
        },
        "verdict": {
            "kind": "bad",
            "text": "Needs attention",
            "problems": [
                {"what": "x", "fix": "y"},
                {"what": "input udp: broken", "fix": ""},
                {"what": "waziup: no way", "fix": "pay"},
            ],
        },
    }


def test_a_site_of_which_nothing_is_known_has_all_its_lists() -> None:
    found = json.decode(json.encode(whole(SiteState([]), replace(FULL, inputs=(), destinations=()))))
    assert (found["devices"], found["recent"], found["refused"]) == ([], [], [])
    assert (found["state"]["inputs"], found["state"]["destinations"]) == ([], [])


def test_what_is_written_is_read() -> None:
    site = full_board()
    page = whole(site, FULL)
    assert json.decode(json.encode(page), type=Page) == page
    told = replace(news(site, 0, 0), state=page.state, verdict=page.verdict)
    assert json.decode(json.encode(told), type=PageNews) == told
    assert json.encode(PageNews(7)) == b'{"v":7}'
    assert json.encode(PageNews(7, refused=())) == b'{"v":7,"refused":[]}'
    assert json.encode(PageSensor("t", float("nan"))) == b'{"name":"t","value":null}'
