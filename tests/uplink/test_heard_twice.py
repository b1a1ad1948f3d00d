from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.metrics import Metrics
from lora_post.model import ClearUplink, Frame, Link, Reading, RxInfo
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger, SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.heard_twice import COPY_WINDOW_US, MAX_GATEWAYS, SERVER_WINDOW_US
from lora_post.uplink.model import Copy, Refusal, Report, Uplink
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.outcome_json import outcome_json
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import KEYS, NOON_US, device, lowcost_device

POND = device()
NODE = lowcost_device()
SECOND_US = 1_000_000


def phy(fcnt: int) -> bytes:
    return seal_lorawan(KEYS, 0x26011BDA, fcnt, 2, b"x")


def heard(by: str, data: bytes, after_us: int = 0, rssi: float = -90.0) -> Frame:
    return Frame(by, NOON_US + after_us, data, RxInfo(rssi_dbm=rssi))


def one_reading(uplink: Uplink) -> Report:
    return Report(uplink, (Reading("t", uplink.fcnt),))


class Site:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.outcomes: list[Outcome] = []
        ledger = MemoryLedger([POND, NODE])
        self.pipeline = Pipeline(ledger, one_reading, self.metrics, self.outcomes.append)

    def hear(self, *frames: Frame) -> list[type[Outcome]]:
        self.outcomes.clear()
        self.pipeline.handle(frames)
        return [type(outcome) for outcome in self.outcomes]


def test_second_gateway_s_copy_keeps_how_that_gateway_heard_it() -> None:
    site = Site()
    assert site.hear(heard("gw1", phy(1)), heard("gw2", phy(1), SECOND_US, rssi=-60.0)) == [Report, Copy]
    accepted, copy = site.outcomes
    assert isinstance(accepted, Report) and isinstance(copy, Copy)
    assert copy.uplink is accepted.uplink
    assert (copy.frame.gateway, copy.frame.rx.rssi_dbm) == ("gw2", -60.0)
    assert (site.metrics.total("copies"), site.metrics.total("refused"), site.metrics.total("readings")) == (1, 0, 1)
    told = outcome_json(copy)
    assert (told["gateway"], told["copy_of"], told["fcnt"], told["rssi"]) == ("gw2", "gw1", 1, -60.0)
    assert told["readings"] == [] and told["refused"] is None


def test_copy_is_known_in_a_later_read_too() -> None:
    site = Site()
    site.hear(heard("gw1", phy(1)))
    assert site.hear(heard("gw2", phy(1))) == [Copy]
    assert site.hear(heard("gw3", phy(1), -SECOND_US)) == [Copy]


@pytest.mark.parametrize(
    "again",
    [
        heard("gw1", phy(1), SECOND_US),
        heard("gw2", phy(1), COPY_WINDOW_US + 1),
        heard("gw2", phy(1), -COPY_WINDOW_US - 1),
        heard("gw2", phy(0)),
    ],
    ids=["same gateway", "much later", "much earlier", "another frame"],
)
def test_what_is_no_copy_is_refused(again: Frame) -> None:
    site = Site()
    assert site.hear(heard("gw1", phy(1)), again) == [Report, Refusal]


def test_each_gateway_has_one_copy() -> None:
    site = Site()
    frames = [heard(by, phy(1)) for by in ("gw1", "gw2", "gw2", "gw1", "gw3")]
    assert site.hear(*frames) == [Report, Copy, Refusal, Refusal, Copy]
    assert site.hear(heard("gw2", phy(2)), heard("gw1", phy(2))) == [Report, Copy]


def test_copy_of_a_packet_without_mic_is_known() -> None:
    packet = b"\x01\x10\x06\x05\\!TC/22.5"
    site = Site()
    assert site.hear(heard("gw1", packet), heard("gw2", packet), heard("gw2", packet)) == [Report, Copy, Refusal]


def test_invented_gateways_do_not_fill_the_memory() -> None:
    site = Site()
    kinds = site.hear(*(heard(f"gw{n}", phy(1)) for n in range(MAX_GATEWAYS + 10)))
    assert kinds.count(Copy) == MAX_GATEWAYS - 1
    assert kinds.count(Refusal) == 10


def test_copy_adds_nothing_to_the_spool_also_when_the_first_try_failed(tmp_path: Path) -> None:
    store = SpoolFile(tmp_path / "spool.db")
    broken = [RuntimeError("a defect")]

    def decode(uplink: Uplink) -> Report:
        if uplink.fcnt == 2 and broken:
            raise broken.pop()
        return one_reading(uplink)

    outcomes: list[Outcome] = []
    ledger = SpoolLedger(store, [POND], QueueWriter(store, ["waziup"], 1 << 30))
    pipeline = Pipeline(ledger, decode, Metrics(), outcomes.append)
    frames = [heard("gw1", phy(1)), heard("gw2", phy(1)), heard("gw1", phy(2))]
    with pytest.raises(RuntimeError):
        pipeline.handle(frames)
    pipeline.handle(frames)
    assert [type(outcome) for outcome in outcomes] == [Report, Copy, Report]
    assert Queue(store, "waziup").counts().queued == 2
    store.close()


@pytest.mark.parametrize("apart_us", [0, 48 * SECOND_US, SERVER_WINDOW_US, SERVER_WINDOW_US + 1, 3600 * SECOND_US])
def test_uplink_that_a_network_server_sends_again_within_minutes_is_one(apart_us: int, tmp_path: Path) -> None:
    of_server = device(link=Link.SERVER, address=1, keys=None)
    store = SpoolFile(tmp_path / "spool.db")
    for ledger in (MemoryLedger([of_server]), SpoolLedger(store, [of_server], QueueWriter(store, ["waziup"], 1 << 30))):
        outcomes: list[Outcome] = []
        pipeline = Pipeline(ledger, one_reading, Metrics(), outcomes.append)
        frames = [Frame("gw1", NOON_US + after_us, b"", RxInfo(), Link.SERVER) for after_us in (0, apart_us, apart_us)]
        pipeline.handle([ClearUplink(frame, 1, 104, 2, b"x") for frame in frames])
        pipeline.handle([ClearUplink(frames[0], 1, 104, 2, b"another payload")])
        again = Refusal if apart_us <= SERVER_WINDOW_US else Report
        assert [type(outcome) for outcome in outcomes] == [Report, again, Refusal, Report]
    store.close()
