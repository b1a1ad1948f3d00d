from __future__ import annotations

from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats import FORMATS
from lora_post.formats.bare_payload import BarePayloadParser
from lora_post.metrics import Metrics
from lora_post.model import Frame, Link, Noise
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import MemoryLedger
from lora_post.uplink.model import Report, Uplink
from lora_post.uplink.outcome import Outcome
from tests.support.build import NOON_US, lowcost_device


def frames(lines: bytes, address: int = 7) -> list[Frame]:
    parser = BarePayloadParser(FORMATS["lines"]("gw1", UTC), address)
    events = [*parser.feed(lines, NOON_US), *parser.finish(NOON_US)]
    return [event for event in events if isinstance(event, Frame)]


def test_bare_payload_comes_from_the_named_device() -> None:
    device = lowcost_device("pond-7", address=7, decoder="cayenne-lpp")
    outcomes: list[Outcome] = []

    def decode(uplink: Uplink) -> Report:
        return Report(uplink, ())

    Pipeline(MemoryLedger([device]), decode, Metrics(), outcomes.append).handle(frames(b"01670110\n"))
    [report] = outcomes
    assert isinstance(report, Report)
    assert (report.uplink.device.id, report.uplink.payload.hex()) == ("pond-7", "01670110")
    assert not report.uplink.authentic


def test_what_looks_like_a_header_is_payload() -> None:
    [frame] = frames(b"40da1b012680070002533cc170dfd80198bc5e\n", 200)
    assert (frame.link, frame.phy_payload[:4].hex()) == (Link.LOWCOST, "0110c800")
    assert frame.phy_payload[4:].hex() == "40da1b012680070002533cc170dfd80198bc5e"


def test_noise_stays_noise() -> None:
    parser = BarePayloadParser(FORMATS["lines"]("gw1", UTC), 7)
    assert [type(event) for event in parser.feed(b"nonsense!\n", NOON_US)] == [Noise]


@given(st.binary(min_size=1, max_size=51), st.integers(2, 255))
def test_any_payload_arrives_whole(payload: bytes, address: int) -> None:
    [frame] = frames(payload.hex().encode() + b"\n", address)
    assert frame.phy_payload == bytes((1, 0x10, address, 0)) + payload
