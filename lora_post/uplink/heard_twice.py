"""What is heard twice and is one: for how long, and by what it is known.

    what comes again                              known by                           window
    a datagram of a packet forwarder, doubled     gateway, token, body               30 s   `DATAGRAM_WINDOW_US`
      by the network
    one transmission, by another gateway          the device's newest PHYPayload     20 s   `COPY_WINDOW_US`
    a packet that its device repeats, and whose   device, counter, payload           20 s   `REPEAT_WINDOW_US`
      counter proves nothing
    the same, of a device that may restart        device, counter, payload           1 h    `RESTART_WINDOW_US`
    an uplink that its device sends again,        the device's newest PHYPayload     2 min  `SENT_AGAIN_US`
      until it is acknowledged, or for safety
    a frame that may prove a restart              device, counter, payload           ever   `EVER_US`
    an uplink that a network server sends again   device, counter, payload           5 min  `SERVER_WINDOW_US`
      with another time; with the same one, ever

Where the MIC proves a counter that only rises, the counter tells, for ever. The first is remembered by
`inputs.push_queue`, the second by `Copies`, the others by the ledger.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lora_post.errors import Repeat, StaleFCnt
from lora_post.model import FCntPolicy, Frame, RxInfo
from lora_post.uplink.model import Copy, Uplink

DATAGRAM_WINDOW_US: Final = 30_000_000
"""A network that doubles datagrams does so at once; a token has 16 bits and comes again."""
COPY_WINDOW_US: Final = 20_000_000
"""How far apart the receptions of one transmission may be: gateways differ in their clocks and in their links."""
REPEAT_WINDOW_US: Final = 20_000_000
"""LowCostLoRaGw's library repeats an unacknowledged frame within a few seconds, at most three times."""
RESTART_WINDOW_US: Final = 3_600_000_000
"""How far apart two equal frames around a restart are one: a gateway that was offline may deliver its copy late."""

SENT_AGAIN_US: Final = 120_000_000
"""LoRaWAN devices send a confirmed uplink up to eight times, with both windows and a pause of seconds in between."""

SERVER_WINDOW_US: Final = 300_000_000
"""A gateway with a slow link hands its copy in after the server has closed the uplink, and that is told as another one:
48 s were seen. A device that joined again may send the same counter, hardly with the same payload so soon."""

EVER_US: Final = 1 << 60
"""As long as it is remembered."""

MAX_GATEWAYS: Final = 64
"""A gateway's id is what an input says; invented ones must not fill the memory."""

_STRICT: Final = FCntPolicy.STRICT


def repeat_window_us(uplink: Uplink) -> int:
    """Return how far apart equal uplinks of this device are repeats; 0 where the counter tells."""
    if not uplink.authentic:
        return REPEAT_WINDOW_US
    policy = uplink.device.fcnt
    if policy is _STRICT:
        return 0
    if policy is FCntPolicy.UNCHECKED:
        return REPEAT_WINDOW_US
    # Whatever the counter: after a restart, a frame from before it has the higher one.
    return RESTART_WINDOW_US if policy is FCntPolicy.RESTARTS else 0


class _Heard(Struct):
    """An accepted uplink and the gateways that heard it."""

    uplink: Uplink
    gateways: dict[str, RxInfo]


class Copies:
    """The newest uplink of each device, to tell the copy of another gateway from a replay.

    In memory: after a restart a copy counts as a replay.
    """

    def __init__(self) -> None:
        self._last: dict[str, Uplink] = {}
        self._heard: dict[str, _Heard] = {}

    def accepted(self, uplink: Uplink) -> None:
        """Remember the newest uplink of a device."""
        self._last[uplink.device.id] = uplink

    def match(self, frame: Frame, device: str) -> Copy | None:
        """Return the copy that a refused frame is, or None.

        Another frame is not a copy, nor is a late one, nor what a gateway gives a second time.
        """
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

    def judged(self, frame: Frame, error: StaleFCnt) -> StaleFCnt | Repeat:
        """Return why a frame is refused: as a repeat, where its device sends its newest uplink again soon after."""
        last = self._last.get(error.device)
        if last is None or last.frame.phy_payload != frame.phy_payload:
            return error
        if abs(frame.time_us - last.frame.time_us) > SENT_AGAIN_US:
            return error
        return Repeat(
            f"{error.device}: FCnt {last.fcnt} again with the same bytes: its device, or somebody, repeats it"
        )
