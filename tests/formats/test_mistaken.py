"""An input whose format is not what arrives."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats import FORMATS, STREAM_FORMATS
from lora_post.formats.mistaken import ENOUGH, MistakenFormat
from lora_post.model import Frame, Noise, NoiseReason
from tests.support.parsers import FIXTURES, NOW_US

CAPTURES = {
    "rxpk": "lora_pkt_fwd.rxpk",
    "lines": "frames_hex.lines",
    "rak": "at_rak_rui3.rak",
    "rn2483": "at_rn2483.rn2483",
    "chirpstack": "chirpstack_up.chirpstack",
    "station": "field_basics_station.station",
}

RIGHT = sorted(path for name in STREAM_FORMATS for path in FIXTURES.glob(f"*.{name}"))


def hints(configured: str, stream: bytes) -> list[str]:
    parser = MistakenFormat(FORMATS[configured]("gw1", UTC), configured)
    events = [*parser.feed(stream, NOW_US), *parser.finish(NOW_US)]
    return [e.detail for e in events if isinstance(e, Noise) and e.reason is NoiseReason.UNKNOWN_FORMAT]


@pytest.mark.parametrize("configured", ["lowcost", "rn2483"])
@pytest.mark.parametrize("actual", CAPTURES)
def test_format_that_arrives_is_named(configured: str, actual: str) -> None:
    if configured == actual:
        assert hints(configured, (FIXTURES / CAPTURES[actual]).read_bytes()) == []
        return
    (hint,) = hints(configured, (FIXTURES / CAPTURES[actual]).read_bytes())
    assert f'set format = "{actual}"' in hint


UNREAD = {
    "Seeed LoRa-E5": b'+TEST: RXLRPKT\r\n+TEST: LEN:15, RSSI:-57, SNR:8\r\n+TEST: RX "5C2154432F32322E352F"\r\n',
    "Dragino LA66": b"Data: (HEX:) 5c 21 54 43 2f 31 39 2e 35\r\nRssi= -61\r\n" * 2,
    "Heltec": b'received packet "\\!TC/18.5" with rssi -45 , length 9\r\n' * 3,
    "arduino-LoRa": b"Received packet '\\!TC/17.5' with RSSI -46\r\n" * 3,
}


@pytest.mark.parametrize("configured", ["lowcost", "lines", "rak"])
@pytest.mark.parametrize("module", UNREAD)
def test_module_that_no_format_reads_is_named_with_what_to_do(configured: str, module: str) -> None:
    for stream in (UNREAD[module], UNREAD[module][:40] + b"\r\n"):  # while it goes on, and at the end
        (hint,) = hints(configured, stream)
        assert module in hint
        assert 'have the bytes of each frame printed in hex, alone on a line, and set format = "lines"' in hint


@pytest.mark.parametrize(
    "capture", sorted(path for name in STREAM_FORMATS for path in FIXTURES.glob(f"*.{name}")), ids=str
)
def test_input_with_the_right_format_is_left_alone(capture: object) -> None:
    path = FIXTURES / str(capture).rsplit("/", 1)[-1]
    assert hints(path.suffix[1:], path.read_bytes()) == []


def test_it_is_said_while_the_input_goes_on_and_once() -> None:
    parser = MistakenFormat(FORMATS["lowcost"]("gw1", UTC), "lowcost")
    line = b"radio_rx  40035cab0100000002c53faad42929afbcd834bc63\r\n"
    said = [event for _ in range(3 * ENOUGH) for event in parser.feed(line, NOW_US)]
    assert [event.reason for event in said if isinstance(event, Noise)] == [NoiseReason.UNKNOWN_FORMAT]


RUBBISH = b"".join(b"temp=%d \x1b[31m" % n + b"x" * 90 + b"\r\n" for n in range(400))
TALK = (
    b"^$**********Power ON: state 0\n^$LoRa mode: 1\nPower ON: state 0\nDefault sync word: 0x12\n"
    b"--> CAD duration 547\n"
    b"--- rxlora. dst=1 type=0x10 src=8 seq=0 len=4 SNR=9 RSSIpkt=-54\n" + b"^$Low-level gw status ON\n\n" * 400
)


@pytest.mark.parametrize(
    ("name", "stream", "is_told"),
    [("lowcost", RUBBISH, True), ("lowcost", TALK, False), ("rxpk", RUBBISH, False)],
)
@pytest.mark.parametrize("cut", [1_000, 1_000_000])
def test_rubbish_is_told_of_once_with_its_first_line(
    name: str, stream: bytes, is_told: bool, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no noise: frames may follow."""
    parser = MistakenFormat(FORMATS[name]("gw1", UTC), name)
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    assert [event for piece in pieces for event in parser.feed(piece, NOW_US)] + parser.finish(NOW_US) == []
    assert len(caplog.messages) == is_told
    for line in caplog.messages:
        assert "the first is temp=0 \\x1b[31mxx" in line
        assert "set the format of this [[input]]" in line
        assert len(line) < 320


def test_rubbish_before_a_frame_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    parser = MistakenFormat(FORMATS["lowcost"]("gw1", UTC), "lowcost")
    assert parser.feed(b"hello\n" * 19, NOW_US) == []
    assert parser.feed((FIXTURES / "lowcost_raw_lorawan.lowcost").read_bytes(), NOW_US)
    assert parser.feed(b"hello\n" * 400, NOW_US) == []
    assert caplog.messages == []


@given(st.binary(max_size=400))
def test_frames_are_those_of_the_parser(stream: bytes) -> None:
    plain = FORMATS["lines"]("gw1", UTC)
    expected = [e for e in [*plain.feed(stream, NOW_US), *plain.finish(NOW_US)] if isinstance(e, Frame)]
    parser = MistakenFormat(FORMATS["lines"]("gw1", UTC), "lines")
    assert [e for e in [*parser.feed(stream, NOW_US), *parser.finish(NOW_US)] if isinstance(e, Frame)] == expected
