"""Uplinks that a network server has authenticated and decrypted, as JSON, a line each.

ChirpStack 4, event `up`: the MQTT topic application/+/device/+/event/up, or the HTTP integration.
The Things Stack 3, `up` messages: the MQTT topic v3/+/devices/+/up, or a webhook.

Their other events and commands are passed over, and so is what stands before the JSON, as `mosquitto_sub -v` writes it.
What the server itself decoded is not looked at: the device's decoder decides. Where several gateways heard
an uplink, it is told as the best of them heard it.

Sources: chirpstack/chirpstack: api/proto/integration/integration.proto;
TheThingsNetwork/lorawan-stack: api/ttn/lorawan/v3/messages.proto.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import tzinfo
from typing import Final

import msgspec
from msgspec import Raw, Struct

from lora_post.clocks.scale import parse_utc
from lora_post.errors import FrameError
from lora_post.formats.line_reader import LineParser, show
from lora_post.lorawan.phy_payload import MAX_FCNT, MAX_PHY_PAYLOAD
from lora_post.model import ClearUplink, Frame, Heard, Link, Noise, NoiseReason, RxInfo
from lora_post.text import parse_base64

MAX_LINE: Final = 1 << 18
"""An uplink has 1 to 3 kB, 0.4 kB of them for each gateway that heard it; codecs may add theirs."""

_EUI: Final = re.compile(r"[0-9A-Fa-f]{16}", re.ASCII).fullmatch
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII).fullmatch
_CODE_RATE: Final = re.compile(r"(?:CR_)?(4)[_/]([5-8])", re.ASCII).fullmatch
MAX_GATEWAYS: Final = 64
_LEVEL: Final = 1000  # dB and dBm beyond it mean nothing
_JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _ChirpstackDevice(Struct, rename="camel", gc=False):
    dev_eui: object = None


class _ChirpstackEvent(Struct, rename="camel", gc=False):
    """An event, or a command: those name their device at the top."""

    device_info: _ChirpstackDevice | None = None
    dev_eui: Raw = Raw()
    time: object = None
    f_cnt: object = None
    f_port: object = 0  # what is 0 is left out, the counter too
    data: object = None
    rx_info: object = None
    tx_info: object = None
    join_server_context: object = None


class _TtnIds(Struct, gc=False):
    dev_eui: object = None


class _TtnUp(Struct, gc=False):
    received_at: object = None
    f_cnt: object = 0  # what is 0 is left out
    f_port: object = 0
    frm_payload: object = None
    app_s_key: object = None
    rx_metadata: object = None
    settings: object = None


class _TtnMessage(Struct, gc=False):
    end_device_ids: _TtnIds | None = None
    received_at: object = None
    uplink_message: _TtnUp | None = None
    downlinks: Raw = Raw()


_decode_chirpstack: Final = msgspec.json.Decoder(_ChirpstackEvent).decode
_decode_ttn: Final = msgspec.json.Decoder(_TtnMessage).decode


def chirpstack_parser(gateway: str, zone: tzinfo) -> LineParser:
    """Return a parser for ChirpStack's events. gateway: of uplinks that name none."""
    return LineParser(gateway, MAX_LINE, lambda line, gateway, now_us: _read(line, gateway, read_chirpstack))


def ttn_parser(gateway: str, zone: tzinfo) -> LineParser:
    """Return a parser for The Things Stack's messages. gateway: of uplinks that name none."""
    return LineParser(gateway, MAX_LINE, lambda line, gateway, now_us: _read(line, gateway, read_ttn))


def _read(line: bytes, gateway: str, read: Callable[[bytes, str], ClearUplink | None]) -> list[Heard]:
    body = line[line.find(b"{") :].strip() if b"{" in line else line.strip()
    if not body:
        return []
    try:
        uplink = read(body, gateway)
    except _JSON_ERRORS as error:
        return [Noise(NoiseReason.BAD_LINE, len(line), f"{error}: {show(line)}")]
    except FrameError as error:
        return [Noise(NoiseReason.BAD_RECORD, len(line), str(error))]
    return [] if uplink is None else [uplink]


def read_chirpstack(body: bytes, gateway: str) -> ClearUplink | None:
    """Read the uplink of an event of ChirpStack 4; None for other events and commands.

    Raises FrameError, one printable line, for an uplink that is of no use; the errors of msgspec and Unicode for bytes
    that are not JSON.
    """
    event = _decode_chirpstack(body)
    if event.device_info is None:
        if bytes(event.dev_eui):
            return None
        raise FrameError(f"deviceInfo is missing, is it an event of ChirpStack 4? {show(body)}")
    if event.rx_info is None and event.f_cnt is None and event.data is None:
        return None  # its other events: a join, a status, an acknowledgement
    dev_eui = _eui(event.device_info.dev_eui)
    if event.join_server_context is not None and event.data:
        raise _still_encrypted(dev_eui)
    heard = [(one.get("gatewayId"), _rx(one, event.tx_info)) for one in _dicts(event.rx_info)]
    fcnt = 0 if event.f_cnt is None else event.f_cnt
    return _uplink(dev_eui, event.time, fcnt, event.f_port, event.data, heard, gateway)


def read_ttn(body: bytes, gateway: str) -> ClearUplink | None:
    """Read the uplink of a message of The Things Stack 3; None for other messages.

    Raises as `read_chirpstack` does.
    """
    message = _decode_ttn(body)
    up = message.uplink_message
    if up is None:
        if message.end_device_ids is not None or bytes(message.downlinks):
            return None
        raise FrameError(f"end_device_ids is missing, is it a message of The Things Stack 3? {show(body)}")
    dev_eui = _eui(message.end_device_ids.dev_eui if message.end_device_ids else None)
    if up.app_s_key is not None and up.frm_payload:
        raise _still_encrypted(dev_eui)
    heard = [
        (_dig(one, "gateway_ids", "eui") or _dig(one, "gateway_ids", "gateway_id"), _rx(one, up.settings))
        for one in _dicts(up.rx_metadata)
    ]
    # The network server's time; the other one is when the application server had it.
    time = up.received_at or message.received_at
    return _uplink(dev_eui, time, up.f_cnt, up.f_port, up.frm_payload, heard, gateway)


def _uplink(
    dev_eui: int,
    time: object,
    fcnt: object,
    fport: object,
    data: object,
    heard: list[tuple[object, RxInfo]],
    gateway: str,
) -> ClearUplink:
    device = f"DevEUI {dev_eui:016x}"
    if type(fcnt) is not int or not 0 <= fcnt <= MAX_FCNT:
        raise FrameError(f"{device}: no frame counter")
    if fport is not None and (type(fport) is not int or not 0 <= fport <= 255):
        raise FrameError(f"{device} FCnt {fcnt}: no FPort")
    if data is not None and not isinstance(data, str):
        raise FrameError(f"{device} FCnt {fcnt}: the payload is not a text")
    payload = parse_base64(data) if data else b""
    if len(payload) > MAX_PHY_PAYLOAD:
        raise FrameError(f"{device} FCnt {fcnt}: {len(payload)} bytes of payload, at most {MAX_PHY_PAYLOAD}")
    try:
        # Without it, an uplink that comes again could not be told from a new one.
        time_us = parse_utc(time if isinstance(time, str) else "")
    except ValueError:
        raise FrameError(f"{device} FCnt {fcnt}: no time of reception") from None
    ranked = sorted(heard, key=_quality, reverse=True)[:MAX_GATEWAYS] or [(None, RxInfo())]
    best, *others = [Frame(_gateway(name) or gateway, time_us, b"", rx, Link.SERVER) for name, rx in ranked]
    return ClearUplink(best, dev_eui, fcnt, fport, payload, tuple(others))


def _gateway(name: object) -> str:
    return name.lower() if isinstance(name, str) and _NAME(name) else ""


def _quality(heard: tuple[object, RxInfo]) -> tuple[float, float]:
    rx = heard[1]
    return (
        -_LEVEL if rx.snr_db is None else rx.snr_db,
        -_LEVEL if rx.rssi_dbm is None else rx.rssi_dbm,
    )


def _eui(text: object) -> int:
    if not isinstance(text, str) or not _EUI(text):
        raise FrameError("an uplink without DevEUI", fix="give the device one at the network server")
    return int(text, 16)


def _still_encrypted(dev_eui: int) -> FrameError:
    return FrameError(
        f"DevEUI {dev_eui:016x}: the payload is still encrypted, as the network server has no AppSKey",
        fix="let its join server hand the AppSKey over",
    )


def _rx(one: dict[str, object], settings: object) -> RxInfo:
    """Return how one gateway heard an uplink. Both servers leave out an SNR of 0."""
    lora = _dig(settings, "modulation", "lora") or _dig(settings, "data_rate", "lora")
    sf = _number(_dig(lora, "spreadingFactor") or _dig(lora, "spreading_factor"), 12)
    bandwidth = _number(_dig(lora, "bandwidth"), 10_000_000)
    rate = _dig(lora, "codeRate") or _dig(lora, "coding_rate")
    cr = _CODE_RATE(rate) if isinstance(rate, str) else None
    frequency = _dig(settings, "frequency")
    if isinstance(frequency, str) and frequency.isascii() and frequency.isdigit() and len(frequency) < 12:
        frequency = int(frequency)
    hz = _number(frequency, 100_000_000_000)
    return RxInfo(
        rssi_dbm=_number(one.get("rssi"), _LEVEL),
        snr_db=_number(one.get("snr", 0), _LEVEL) if lora else None,
        sf=int(sf) if sf else None,
        bw_khz=bandwidth / 1000 if bandwidth else None,
        cr=f"{cr[1]}/{cr[2]}" if cr else None,
        freq_mhz=hz / 1_000_000 if hz else None,
    )


def _number(value: object, limit: float) -> int | float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if -limit <= value <= limit else None


def _dicts(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _dig(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
