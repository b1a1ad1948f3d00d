"""Say in words what a MAC command asks for or answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lora_post.clocks.scale import utc_text
from lora_post.lorawan import mac_commands as mac
from lora_post.text import plural, ranges_text
from lora_post.times import WallUs

_GPS_EPOCH_S: Final = 315_964_800
_LEAP_S: Final = 18
"""GPS time is ahead of UTC by this, since 2017."""
_CLASSES: Final = {0: "A", 1: "B", 2: "C"}


def command_name(command: mac.MacCommand) -> str:
    """Return the name in the specification; what is wrong with a command that cannot be read."""
    if command.kind is None:
        return "unknown"
    return command.kind.__name__ if command.body is not None else f"{command.kind.__name__}, cut short"


def command_text(command: mac.MacCommand) -> str:
    """Return its fields in words, "" where it has none or cannot be read."""
    body = command.body
    if body is None:
        return ""
    if isinstance(body, mac.DevStatusAns):
        return f"{_battery(body.battery)}, margin {body.margin_db} dB"
    if isinstance(body, mac.DeviceTimeAns):
        return _gps_text(body)
    if isinstance(body, mac.LinkADRReq):
        return _link_adr_text(body)
    return ", ".join(_field_text(name, getattr(body, name)) for name in body.__struct_fields__)


def _field_text(name: str, value: int) -> str:
    if name.endswith("_ok"):
        return f"{_words(name[:-3])} {'ok' if value else 'refused'}"
    if name in _WORDS:
        return _WORDS[name](value)
    return f"{_words(name)} {value}"


def _words(name: str) -> str:
    return name.replace("_", " ").replace("rx", "RX")


def _hz(value: int) -> str:
    return f"{value / 1e6:g} MHz" if value else "off"


def _gps_text(body: mac.DeviceTimeAns) -> str:
    us = (body.gps_s + _GPS_EPOCH_S - _LEAP_S) * 1_000_000 + body.fraction * 1_000_000 // 256
    return f"{utc_text(WallUs(us))[:23].rstrip('Z')} UTC"


def _battery(value: int) -> str:
    return {0: "external power", 255: "battery unknown"}.get(value, f"battery {(value - 1) / 253:.0%}")


def _link_adr_text(body: mac.LinkADRReq) -> str:
    channels = [number for number in range(16) if body.channel_mask >> number & 1]
    mask = f"channels {ranges_text(channels)}" if channels else "no channel"
    control = f" of mask {body.mask_control}" if body.mask_control else ""
    often = f", each frame {plural(body.nb_trans, 'time')}" if body.nb_trans else ""
    return f"DR{body.data_rate}, power index {body.power_index}, {mask}{control}{often}"


_WORDS: Final[dict[str, Callable[[int], str]]] = {
    "minor": lambda value: f"LoRaWAN 1.{value}",
    "margin_db": lambda value: f"margin {value} dB",
    "gateways": lambda value: plural(value, "gateway"),
    "limit_exponent": lambda value: f"limit 1/{1 << value}",
    "delay_exponent": lambda value: f"delay {1 << value}",
    "rx2_data_rate": lambda value: f"RX2 DR{value}",
    "rx1_offset": lambda value: f"RX1 offset {value}",
    "rx2_hz": lambda value: f"RX2 {_hz(value)}",
    "frequency_hz": _hz,
    "min_data_rate": lambda value: f"from DR{value}",
    "max_data_rate": lambda value: f"to DR{value}",
    "data_rate": lambda value: f"DR{value}",
    "delay_s": lambda value: f"RX1 after {value or 1} s",
    "max_eirp_index": lambda value: f"at most {mac.MAX_EIRP_DBM[value]} dBm",
    "uplink_dwell": lambda value: f"uplinks {'at most 400 ms' if value else 'of any length'}",
    "downlink_dwell": lambda value: f"downlinks {'at most 400 ms' if value else 'of any length'}",
    "device_class": lambda value: f"class {_CLASSES.get(value, value)}",
    "periodicity": lambda value: f"every {plural(1 << value, 'second')}",
}
"""By the name of a field; others are told by their name and number."""
