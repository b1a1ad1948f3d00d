"""The MIC of LoRaWAN 1.1 uplinks.

Half of it covers what a listener does not know, data rate and channel index: all that are possible are tried. The
half that needs no guess is checked first.

Sources: LoRaWAN 1.1, section 4.4.1; LoRaWAN Regional Parameters RP002-1.0.3, sections 2.4 to 2.14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Final, TypeAlias

from lora_post.errors import BadMIC
from lora_post.lorawan.phy_payload import ACK, DataFrame
from lora_post.lorawan.session_keys import SessionKeys11
from lora_post.model import Device, RxInfo

_HALF: Final = 2
_LAST_SENT: Final = 8
"""So many downlinks may be the one that is acknowledged: each costs a bit of proof."""
_ANY_DATA_RATE: Final = range(8)
_FREE_CHANNELS: Final = range(16)  # plans in which the network adds channels to a few fixed ones
_ALL_CHANNELS: Final = range(96)
# Plans with fixed channels: US902-928 and AU915-928 have 72, CN470-510 has 96.
_FIXED_PLANS: Final = ((902.0, 928.0, range(72)), (470.0, 510.0, _ALL_CHANNELS))


NextDown: TypeAlias = Callable[[Device], int]
"""Returns the next AFCntDown of a device's session."""


def nothing_sent(device: Device) -> int:
    """Return the counter of a session in which nothing was sent from here."""
    return 0


def fits(
    data: DataFrame,
    device: Device,
    keys: SessionKeys11,
    fcnt: int,
    rx: RxInfo,
    next_down: NextDown = nothing_sent,
) -> bool:
    """Tell whether both halves of an uplink's MIC fit for a way in which it can have been sent.

    One that acknowledges a downlink fits for each of the last that were sent. Raises BadMIC where it fits for none of
    them, as it is another network's, unless half a MIC is enough for this device.
    """
    dev_addr, message, mic = data.dev_addr, data.signed, data.mic
    if not compare_digest(keys.forwarding_mic(dev_addr, fcnt, message), mic[_HALF:]):
        return False
    serving = mic[:_HALF]
    ways = [(tx_dr, tx_ch) for tx_dr in data_rates(rx) for tx_ch in channels(rx)]
    if data.fctrl & ACK:
        sent = next_down(device)
        for conf_fcnt in range(sent - 1, max(-1, sent - 1 - _LAST_SENT), -1):
            if _fits_one(keys, dev_addr, fcnt, message, ways, conf_fcnt & 0xFFFF, serving):
                return True
        # ConfFCnt, the counter of that downlink, may be any of 65536: to try them all would prove nothing.
        if device.accept_half_mic:
            return True
        raise BadMIC(
            f"{device.id}: the frame acknowledges a downlink that was not sent from here, so only half of its MIC can "
            "be checked",
            fix="accept_half_mic = true accepts that",
        )
    return _fits_one(keys, dev_addr, fcnt, message, ways, 0, serving)


def _fits_one(
    keys: SessionKeys11,
    dev_addr: int,
    fcnt: int,
    message: bytes,
    ways: Sequence[tuple[int, int]],
    conf_fcnt: int,
    serving: bytes,
) -> bool:
    return any(
        compare_digest(keys.serving_mic(dev_addr, fcnt, message, tx_dr, tx_ch, conf_fcnt), serving)
        for tx_dr, tx_ch in ways
    )


def data_rates(rx: RxInfo) -> Sequence[int]:
    """Return the data rate indices that a frame heard like this can have had, in all regions."""
    sf, bw_khz = rx.sf, rx.bw_khz
    if sf is None or bw_khz is None:
        return _ANY_DATA_RATE
    if bw_khz == 125:
        if sf < 7:
            return (18 - sf,)
        return (12 - sf, 10 - sf) if sf <= 10 else (12 - sf,)
    if bw_khz == 250:
        return (6,)
    return (4, 6) if bw_khz == 500 else _ANY_DATA_RATE


def channels(rx: RxInfo) -> Sequence[int]:
    """Return the channel indices that a frame heard like this can have had, in all regions."""
    freq_mhz = rx.freq_mhz
    if freq_mhz is None:
        return _ALL_CHANNELS
    for lowest, highest, fixed in _FIXED_PLANS:
        if lowest <= freq_mhz <= highest:
            return fixed
    return _FREE_CHANNELS
