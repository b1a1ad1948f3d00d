"""Hold the settings of a device in a session, and make the MAC commands that change them.

A change is believed once the device has answered that it obeys: until then its windows are where they were.

Sources: LoRaWAN 1.0.4, section 5; LoRaWAN 1.1, section 5; RP002-1.0.4, "LinkADRReq command" of each region.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from lora_post.downlink.network import Network
from lora_post.errors import FrameError
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.cf_list import Frequencies, parse_cf_list
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.phy_payload import MType
from lora_post.lorawan.region import Region
from lora_post.model import Device

MAX_PAUSE: Final = 10
"""A device that does not answer is asked again after 1, 2, 4 … 2^MAX_PAUSE uplinks."""
MAX_REFUSED: Final = 32
"""So many requests that a device has refused are remembered."""
_MASK_BITS: Final = 16
_ALL_NARROW_OFF: Final = 7
_WIDE: Final = 64
"""With ChMaskCntl 7 the mask is that of the channels from here on, and those before are off."""
_MAX_RATE: Final = 15
_MAX_DELAY_S: Final = 15


class Rate(Struct, frozen=True):
    """How a device sends: the number of its data rate, TXPower, and how often each frame."""

    data_rate: int
    power: int = 0
    nb_trans: int = 1


class Settings(Struct, frozen=True):
    """What a device is told. rx2: frequency and number of the data rate.

    channels: in a plan of fixed channels the numbers of those that are used, None: not known; in others the frequencies
    of those beyond the region's, 0 for none. rate: None: not told. duty_exponent: it sends 1/2^n of the time at most.
    tx_params: index in MAX_EIRP_DBM and whether it keeps to 400 ms; None: not told.
    """

    rx_delay_s: int
    rx2: tuple[int, int]
    channels: tuple[int, ...] | None = None
    rate: Rate | None = None
    duty_exponent: int = 0
    tx_params: tuple[int, bool] | None = None


class Limits(Struct, frozen=True):
    """What a device has not refused."""

    max_rate: int = _MAX_RATE
    min_power: int = 0
    max_power: int = _MAX_RATE


class Known(Struct, frozen=True):
    """What is known of a device in a session.

    pending: requests that it has not answered, each as on air; those of LinkADRReq that belong together are one.
    asked_fcnt: of the uplink behind which they went last. tries: how often they went. refused: requests that it does
    not obey. status_us: when it told its battery last, 0: never. skipped: values of FCntDown that were left out since
    it has answered, see `MacLayer`.
    """

    settings: Settings
    pending: tuple[bytes, ...] = ()
    asked_fcnt: int = 0
    tries: int = 0
    refused: tuple[bytes, ...] = ()
    limits: Limits = Limits()
    status_us: int = 0
    skipped: int = 0


_decode: Final = msgspec.json.Decoder(Known).decode


def read_known(told: bytes, device: Device, region: Region) -> Known:
    """Return what is known of a device in its session. told: as it was kept, b"" for nothing."""
    try:
        known = _decode(told)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Known(first_settings(device, region))
    # Damaged, or of the region that the configuration had before.
    return known if is_possible(known, region) else Known(first_settings(device, region))


def first_settings(device: Device, region: Region) -> Settings:
    """Return the settings of a device after its join."""
    channels: tuple[int, ...] | None = None
    if not region.is_fixed:
        try:
            told = parse_cf_list(device.cf_list) if device.cf_list else None
        except FrameError:
            told = None
        channels = told.hz if isinstance(told, Frequencies) else ()
    return Settings(device.rx_delay_s, region.rx2, channels)


def is_possible(known: Known, region: Region) -> bool:
    """Tell whether a device in this region can have these settings."""
    settings, (low, high) = known.settings, region.band
    hz, rx2_rate = settings.rx2
    return (
        1 <= settings.rx_delay_s <= _MAX_DELAY_S
        and low <= hz <= high
        and rx2_rate in region.data_rates
        and all(known.pending)
        and all(known.refused)
    )


def wanted_settings(
    known: Settings, network: Network, uplink_hz: int, rate: Rate | None, *, many_channels: bool
) -> Settings:
    """Return the settings that a device is to have.

    many_channels: its gateway hears more than the channels that each device of the region has.
    """
    region = network.region
    channels = known.channels
    if region.is_fixed:
        channels = region.used_channels(uplink_hz, network.sub_band) or channels
    elif many_channels:
        channels = region.more_channels or channels
    return Settings(
        network.rx_delay_s, network.rx2, channels, rate or known.rate, network.duty_exponent, network.tx_params
    )


def requests(known: Settings, wanted: Settings, region: Region, data_rate: int) -> list[bytes]:
    """Return the MAC commands that change the settings, the most urgent first.

    data_rate: of the last uplink. Those of LinkADRReq are one, as a device takes all of them or none.
    """
    found: list[bytes] = []
    if wanted.rx_delay_s != known.rx_delay_s:
        found.append(mac.RXTimingSetupReq(wanted.rx_delay_s).to_bytes())
    if wanted.rx2 != known.rx2:
        hz, rx2_rate = wanted.rx2
        found.append(mac.RXParamSetupReq(rx2_rate, 0, hz).to_bytes())
    new = [] if region.is_fixed else list(_new_channels(known, wanted, region))
    found += new
    is_masked = region.is_fixed and wanted.channels != known.channels
    if (is_masked or wanted.rate not in (None, known.rate)) and not new:  # not both in one frame
        found.append(_link_adr(wanted, wanted.rate or Rate(data_rate), region))
    if wanted.duty_exponent != known.duty_exponent:
        found.append(mac.DutyCycleReq(wanted.duty_exponent).to_bytes())
    if wanted.tx_params not in (None, known.tx_params):
        eirp, dwells = wanted.tx_params or (0, False)
        found.append(mac.TXParamSetupReq(eirp, uplink_dwell=dwells, downlink_dwell=False).to_bytes())
    return found


def _new_channels(known: Settings, wanted: Settings, region: Region) -> Iterator[bytes]:
    had = known.channels or ()
    for at, hz in enumerate(wanted.channels or ()):
        if hz and (at >= len(had) or had[at] != hz):
            request = mac.NewChannelReq(region.usual_channels + at, hz, 0, region.adr[0])
            yield request.to_bytes()


def _link_adr(wanted: Settings, rate: Rate, region: Region) -> bytes:
    def request(mask: int, control: int) -> bytes:
        return mac.LinkADRReq(rate.power, rate.data_rate, mask, rate.nb_trans, control).to_bytes()

    channels = wanted.channels or ()
    if not region.is_fixed:
        usual = region.usual_channels
        return request((1 << usual) - 1 | sum(1 << usual + at for at, hz in enumerate(channels) if hz), 0)
    wide = [number - _WIDE for number in channels if number >= _WIDE] if len(region.channels) > 1 else []
    narrow = [number for number in channels if number - _WIDE not in wide]
    count = region.channels[0].count // _MASK_BITS
    masks = [sum(1 << n % _MASK_BITS for n in narrow if n // _MASK_BITS == control) for control in range(count)]
    if wide:
        off = request(sum(1 << number for number in wide), _ALL_NARROW_OFF)
        return off + b"".join(request(mask, control) for control, mask in enumerate(masks) if mask)
    return b"".join(request(mask, control) for control, mask in enumerate(masks))


def due(known: Known, wanted: Sequence[bytes], fcnt: int, answered: Collection[int]) -> list[bytes]:
    """Return the requests to send after an uplink; ever fewer while a device does not answer.

    answered: the CIDs that this uplink answers. A device repeats some answers until it hears something; a new request
    of the same kind would take them for its own.
    """
    if known.pending and 0 <= fcnt - known.asked_fcnt < (1 << min(known.tries, MAX_PAUSE + 1)) >> 1:
        return []
    return [each for each in wanted if each not in known.refused and each[0] not in answered]


def asked(known: Known, sent: Sequence[bytes], fcnt: int) -> Known:
    """Return what is known once requests are sent behind an uplink."""
    cids = {each[0] for each in sent}
    others = tuple(each for each in known.pending if each[0] not in cids)
    tries = known.tries + 1 if known.pending else 1
    return replace(known, pending=(*others, *sent), asked_fcnt=fcnt, tries=tries)


def answered(known: Known, answers: Sequence[Body], region: Region) -> Known:
    """Return what is known once a device has answered; answers to no question are not believed."""
    left = {cid: [each for each in answers if each.cid == cid] for cid in {each.cid for each in answers}}
    pending: list[bytes] = []
    for request in known.pending:
        commands = _commands(request)
        found = left.get(request[0], [])[: len(commands)]
        if not found:
            pending.append(request)
            continue
        del left[request[0]][: len(found)]
        if all(value for each in found for value in astuple(each) if isinstance(value, bool)):
            known = replace(known, settings=_obeyed(known.settings, commands, region))
        else:
            limits = known.limits
            if isinstance(found[-1], mac.LinkADRAns) and isinstance(commands[-1], mac.LinkADRReq):
                limits = _narrowed(limits, commands[-1], found[-1])
            known = replace(known, refused=(*known.refused, request)[-MAX_REFUSED:], limits=limits)
    if len(pending) == len(known.pending):
        return known
    return replace(known, pending=tuple(pending), tries=0, skipped=0)


def _commands(request: bytes) -> list[Body]:
    return [each.body for each in mac.parse_mac_commands(request, MType.UNCONFIRMED_DOWN) if each.body is not None]


def _narrowed(limits: Limits, request: mac.LinkADRReq, answer: mac.LinkADRAns) -> Limits:
    """Return the limits of a device that did not obey; some refuse the highest power (TXPower 0)."""
    if not answer.power_ok and request.power_index:
        limits = replace(limits, max_power=request.power_index - 1)
    elif not answer.power_ok:
        limits = replace(limits, min_power=1)
    return limits if answer.data_rate_ok else replace(limits, max_rate=max(request.data_rate - 1, 0))


def _obeyed(settings: Settings, commands: Sequence[Body], region: Region) -> Settings:
    first = commands[0]
    if isinstance(first, mac.RXTimingSetupReq):
        return replace(settings, rx_delay_s=first.delay_s or 1)
    if isinstance(first, mac.RXParamSetupReq):
        return replace(settings, rx2=(first.rx2_hz, first.rx2_data_rate))
    if isinstance(first, mac.DutyCycleReq):
        return replace(settings, duty_exponent=first.limit_exponent)
    if isinstance(first, mac.TXParamSetupReq):
        return replace(settings, tx_params=(first.max_eirp_index, first.uplink_dwell))
    if isinstance(first, mac.NewChannelReq):
        at, channels = first.channel - region.usual_channels, list(settings.channels or ())
        channels += [0] * (at + 1 - len(channels))
        channels[at] = first.frequency_hz
        return replace(settings, channels=tuple(channels))
    links = [each for each in commands if isinstance(each, mac.LinkADRReq)]
    if not links:
        return settings
    rate = Rate(links[-1].data_rate, links[-1].power_index, links[-1].nb_trans or 1)
    channels_now = _masked(links) if region.is_fixed else settings.channels
    return replace(settings, rate=rate, channels=channels_now)


def _masked(links: Sequence[mac.LinkADRReq]) -> tuple[int, ...]:
    numbers = set()
    for each in links:
        first = _WIDE if each.mask_control == _ALL_NARROW_OFF else each.mask_control * _MASK_BITS
        numbers |= {first + bit for bit in range(_MASK_BITS) if each.channel_mask >> bit & 1}
    return tuple(sorted(numbers))
