"""Set the delays, channels and data rates of devices by MAC commands, and read their status.

What is known of a session is kept with its counters, before a frame leaves that relies on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from lora_post.downlink.adr import UPLINKS, HeardUplink, adapted
from lora_post.downlink.commands import Book
from lora_post.downlink.network import Network
from lora_post.downlink.settings import (
    Known,
    Rate,
    Settings,
    answered,
    asked,
    due,
    first_settings,
    read_known,
    requests,
    wanted_settings,
)
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.phy_payload import ADR
from lora_post.model import Device, FCntPolicy, Link, Reading
from lora_post.uplink.counters import RESTART_BELOW
from lora_post.uplink.model import Uplink
from lora_post.uplink.sessions import has_app_counter, session_key

SKIPPED_PER_UPLINK: Final = 4
"""So many downlinks may have followed each uplink that this spool does not know: repeats, and those of class C."""
MAX_SKIPPED: Final = 8192
"""Devices before LoRaWAN 1.0.4 take no counter that is more than 16384 above the last that they heard."""
_EXTERNAL, _UNKNOWN = 0, 255
_STATUS: Final = mac.DevStatusReq().to_bytes()
_encode: Final = msgspec.json.Encoder().encode


class MacLayer:
    """The settings of all devices. Signal levels are in memory only: 20 uplinks after a restart.

    A device whose first uplink since the start is ahead of what is known may have been answered by another spool, of
    which this one is a backup: FCntDown then goes on above all that can have been used.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._heard: dict[str, deque[HeardUplink]] = {}
        self._met: set[str] = set()

    def settings(self, device: Device, book: Book) -> Settings:
        """Return what a device does in its session."""
        return self.known(device, book).settings

    def moves_rx2(self, device: Device, book: Book) -> bool:
        """Tell whether a device was told to listen elsewhere in RX2, and has not answered."""
        return any(each[0] == mac.RXParamSetupReq.cid for each in self.known(device, book).pending)

    def known(self, device: Device, book: Book) -> Known:
        """Return what is known of a device in its session."""
        return read_known(book.settings_of(device) or b"", device, self._network.region)

    def hear(self, uplink: Uplink, commands: Sequence[Body], book: Book) -> Known:
        """Note what an accepted uplink answers, and how well it was heard; before its counter moves."""
        device, region = uplink.device, self._network.region
        before = self.known(device, book)
        known = before
        if _is_restarted(uplink, book) or any(isinstance(each, mac.ResetInd) for each in commands):
            known = Known(first_settings(device, region))
            self._heard.pop(device.id, None)
        known = self._skip_used(uplink, answered(known, commands, region), book)
        rate, rx = known.settings.rate, uplink.frame.rx
        if rate and rate.data_rate != region.data_rate(rx.sf, rx.bw_hz):
            # One that was not answered for long goes back to its highest power, and to slower data rates.
            known = replace(known, settings=replace(known.settings, rate=None))
        if known.settings.rate not in (None, before.settings.rate):
            self._heard.pop(device.id, None)
        for each in commands:
            if isinstance(each, mac.DevStatusAns):
                known = replace(known, status_us=uplink.frame.time_us)
                for reading in _status(each):
                    book.tell(device.id, reading, uplink.frame.time_us)
        if known != before:
            book.keep_settings(device, _encode(known))
        if device.adr and uplink.frame.rx.snr_db is not None:
            heard = self._heard.setdefault(device.id, deque(maxlen=UPLINKS))
            heard.append(HeardUplink(uplink.fcnt, uplink.frame.rx.snr_db))
        return known

    def _skip_used(self, uplink: Uplink, known: Known, book: Book) -> Known:
        """Leave out values of FCntDown that may have been used, at the first uplink of a session since the start."""
        device, key = uplink.device, session_key(uplink.device)
        is_first = key not in self._met
        self._met.add(key)
        next_fcnt = _next_fcnt(device, book)
        missed = uplink.fcnt - next_fcnt
        counts_16_bits = device.fcnt is FCntPolicy.SIXTEEN_BIT
        if not is_first or not next_fcnt or missed <= 0 or counts_16_bits or book.settings_of(device) is None:
            return known
        skipped = max(min(missed * SKIPPED_PER_UPLINK, MAX_SKIPPED - known.skipped), 0)
        for is_app in (False, True)[: 1 + has_app_counter(device)]:
            book.skip_fcnt_down(device, skipped, is_app=is_app)
        return replace(known, skipped=known.skipped + skipped)

    def due(
        self, uplink: Uplink, known: Known, flags: int, commands: Sequence[Body], book: Book, *, many_channels: bool
    ) -> list[bytes]:
        """Return the requests to send after an uplink; empty where nothing can be kept of the device.

        flags: its FCtrl.
        """
        device, rx = uplink.device, uplink.frame.rx
        if book.settings_of(device) is None:
            return []
        wanted: list[bytes] = []
        data_rate = self._network.region.data_rate(rx.sf, rx.bw_hz)
        if _is_managed(device) and data_rate is not None:
            adapts = device.adr and many_channels and bool(flags & ADR)
            rate = self._rate(device, known, data_rate) if adapts else None
            settings = wanted_settings(known.settings, self._network, rx.freq_hz, rate, many_channels=many_channels)
            wanted = requests(known.settings, settings, self._network.region, data_rate)
        every_us = round(device.dev_status_every_s * 1e6)
        if every_us and not 0 <= uplink.frame.time_us - known.status_us < every_us:
            wanted.append(_STATUS)
        return due(known, wanted, uplink.fcnt, {each.cid for each in commands})

    def asked(self, uplink: Uplink, sent: Sequence[bytes], book: Book) -> None:
        """Note requests before they are sent."""
        if sent:
            known = self.known(uplink.device, book)
            book.keep_settings(uplink.device, _encode(asked(known, sent, uplink.fcnt)))

    def _rate(self, device: Device, known: Known, data_rate: int) -> Rate | None:
        """Return how a device is to send, None to leave it alone."""
        now = known.settings.rate or Rate(data_rate)
        heard = self._heard.get(device.id, ())
        rate = adapted(tuple(heard), now, self._network.region, known.limits)
        return rate if rate != now else None


def _is_managed(device: Device) -> bool:
    """Tell whether a device is told what to do: one with fixed keys, which may know no MAC commands, only with ADR."""
    return device.root is not None or device.adr


def _is_restarted(uplink: Uplink, book: Book) -> bool:
    """Tell whether a device has begun to count anew, and has forgotten what it was told."""
    device = uplink.device
    if device.root is not None:
        return False  # it joins again, and has another session
    next_fcnt = _next_fcnt(device, book)
    may_restart = device.fcnt in (FCntPolicy.RESTARTS, FCntPolicy.UNCHECKED)
    return next_fcnt == 0 or (may_restart and uplink.fcnt < min(next_fcnt, RESTART_BELOW))


def _next_fcnt(device: Device, book: Book) -> int:
    sessions = book.find(Link.LORAWAN, device.address or 0)
    return next((each.next_fcnt for each in sessions if each.device is device), 0)


def _status(answer: mac.DevStatusAns) -> Iterator[Reading]:
    if answer.battery not in (_EXTERNAL, _UNKNOWN):
        yield Reading("device_battery", round((answer.battery - 1) * 100 / 253), "%", quantity="")
    yield Reading("device_margin", answer.margin_db, "dB")
