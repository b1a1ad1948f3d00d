"""Compute when and how a device listens after an uplink.

Source: LoRaWAN 1.0.4, sections 3.3 and 6.2.6; RP002-1.0.4, section 3.3 (delays).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from lora_post.downlink.transmit import COUNTER, Window
from lora_post.lorawan.region import Region
from lora_post.model import Frame

JOIN_DELAY_S: Final = 5
"""From the end of a join-request to RX1; no setting changes it."""
LOWCOST_DELAY_S: Final = 1


def windows_after(frame: Frame, region: Region, delay_s: int, rx2: tuple[int, int] | None = None) -> tuple[Window, ...]:
    """Return RX1 and RX2 after a frame; none for one that is not of this region, or has no tmst.

    delay_s: from the end of the frame to RX1; RX2 is a second later. rx2: frequency and data rate there; None: the
    region's.
    """
    rx = frame.rx
    if frame.tmst is None or rx.freq_mhz is None or rx.sf is None or rx.bw_khz is None:
        return ()
    rx1 = region.rx1(rx.freq_hz, rx.sf, rx.bw_hz)
    if rx1 is None:
        return ()
    return (
        Window("RX1", _after(frame.tmst, delay_s), rx1),
        Window("RX2", _after(frame.tmst, delay_s + 1), region.slot(*(rx2 or region.rx2))),
    )


def windows_of_copy(windows: Iterable[Window], heard: Frame, frame: Frame) -> Iterator[Window]:
    """Yield windows by the counter of another gateway, none if its channel differs. heard: the frame they follow."""
    ours, theirs = heard.rx, frame.rx
    if frame.tmst is None or (ours.freq_hz, ours.sf, ours.bw_hz) != (theirs.freq_hz, theirs.sf, theirs.bw_hz):
        return
    for window in windows:
        after_us = ((window.tmst or 0) - (heard.tmst or 0)) % COUNTER
        yield replace(window, tmst=(frame.tmst + after_us) % COUNTER)


def lowcost_window(frame: Frame, region: Region) -> Window | None:
    """Return when and how a device with LowCostLoRaGw's header listens after a frame; None as for `windows_after`.

    Once, 1 s after it and for 0.85 s, as it has sent, with inverted IQ; only if it was built with WITH_RCVW.
    Source: CongducPham/LowCostLoRaGw: Arduino/Arduino_LoRa_SX12XX_temp, Arduino/Arduino_LoRa_temp.
    """
    rx, (low, high) = frame.rx, region.band
    rate = region.data_rate(rx.sf, rx.bw_hz)
    if frame.tmst is None or rate is None or not low <= rx.freq_hz <= high:
        return None
    return Window("RX1", _after(frame.tmst, LOWCOST_DELAY_S), region.slot(rx.freq_hz, rate))


def _after(tmst: int, seconds: int) -> int:
    return (tmst + seconds * 1_000_000) % COUNTER
