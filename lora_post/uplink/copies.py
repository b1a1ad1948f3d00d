"""One uplink heard by several gateways: what was accepted last of each device, to know a copy of it by."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lora_post.model import Copy, Frame, RxInfo, Uplink

COPY_WINDOW_US: Final = 20_000_000
"""How far apart the receptions of one transmission may be: gateways differ in their clocks and in their links."""
MAX_GATEWAYS: Final = 64
"""A gateway's id is what an input says; invented ones must not fill the memory."""


class _Heard(Struct):
    """An accepted uplink and the gateways that heard it."""

    uplink: Uplink
    gateways: dict[str, RxInfo]


class Copies:
    """Tells the copy of another gateway from a replay. In memory: after a restart a copy counts as a replay."""

    def __init__(self) -> None:
        self._last: dict[str, Uplink] = {}
        self._heard: dict[str, _Heard] = {}

    def accepted(self, uplink: Uplink) -> None:
        """Remember the newest uplink of a device."""
        self._last[uplink.device.id] = uplink

    def match(self, frame: Frame, device: str) -> Copy | None:
        """The copy that a refused frame is; None when it is none: another frame, too late, or of a gateway known."""
        last = self._last.get(device)
        if last is None or last.frame.phy_payload != frame.phy_payload:
            return None
        if abs(frame.time_us - last.frame.time_us) > COPY_WINDOW_US:
            return None
        heard = self._heard.get(device)
        if heard is None or heard.uplink is not last:
            heard = self._heard[device] = _Heard(last, {last.frame.gateway: last.frame.rx})
        if frame.gateway in heard.gateways or len(heard.gateways) >= MAX_GATEWAYS:
            return None
        heard.gateways[frame.gateway] = frame.rx
        return Copy(frame, last)
