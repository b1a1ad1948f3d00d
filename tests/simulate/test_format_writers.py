"""What is written in a format, its parser reads again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.formats import FORMATS
from lora_post.model import Frame
from lora_post.simulate.devices import clear_devices, simulated_devices, simulated_frame
from lora_post.simulate.format_writers import WRITERS
from tests.support.parsers import NOW_US, frames_of, reasons_of

TIMED = ("lowcost", "rxpk", "pcap")


@pytest.mark.parametrize("name", WRITERS)
@given(seed=st.integers(), fcnt=st.integers(0, 0xFFFF), index=st.integers(0, 20), time_us=st.integers(0, NOW_US))
def test_written_frame_is_read_again(name: str, seed: int, fcnt: int, index: int, time_us: int) -> None:
    devices = clear_devices(21) if name == "reyax" else simulated_devices(21, seed)
    frame = simulated_frame(devices[index], fcnt, seed, time_us)
    stream = WRITERS[name](frame, 1) + WRITERS[name](frame, 2)
    first, second = frames_of(name, stream)
    assert reasons_of(name, stream) == []
    assert first == second
    if name == "reyax":  # the module has no sequence number
        assert first.phy_payload == frame.phy_payload[:3] + b"\0" + frame.phy_payload[4:]
    else:
        assert first.phy_payload == frame.phy_payload
    if name != "lines":
        assert (first.rx.rssi_dbm, first.rx.snr_db) == (frame.rx.rssi_dbm, frame.rx.snr_db)
    if name in TIMED:
        assert first.time_us == time_us
        assert (first.rx.sf, first.rx.bw_khz) == (frame.rx.sf, frame.rx.bw_khz)
        assert abs((first.rx.freq_mhz or 0) - (frame.rx.freq_mhz or 0)) < 0.001


def test_formats_of_radio_programs_and_modules_can_be_written() -> None:
    assert FORMATS.keys() - WRITERS.keys() == {"auto", "capture", "chirpstack", "pkt_logger", "station", "ttn"}
    assert isinstance(frames_of("lines", b"40")[0], Frame)
