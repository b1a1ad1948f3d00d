"""Things that many tests need, made short."""

from __future__ import annotations

from lora_post.lorawan.session_keys import SessionKeys
from lora_post.model import Device, Frame, Link, Reading, RxInfo
from lora_post.uplink.model import Report, Uplink

NWK_SKEY = bytes(range(16, 32))
APP_SKEY = bytes(range(16))
KEYS = SessionKeys(NWK_SKEY, APP_SKEY)
NOON_US = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z


def device(device_id: str = "pond-7", **changes: object) -> Device:
    """A LoRaWAN device with Cayenne LPP."""
    fields: dict[str, object] = {
        "id": device_id,
        "name": device_id,
        "link": Link.LORAWAN,
        "address": 0x26011BDA,
        "decoder": "cayenne-lpp",
        "keys": KEYS,
    }
    return Device(**(fields | changes))  # type: ignore[arg-type]


def lowcost_device(device_id: str = "gw1-6", **changes: object) -> Device:
    """A LowCostLoRaGw device that sends text in clear."""
    fields: dict[str, object] = {"link": Link.LOWCOST, "address": 6, "decoder": "text", "keys": None}
    return device(device_id, **(fields | changes))


def frame(phy_payload: bytes = b"", time_us: int = NOON_US) -> Frame:
    """A frame as heard by gateway gw1."""
    return Frame("gw1", time_us, phy_payload, RxInfo(rssi_dbm=-50, snr_db=7.0))


def report(*readings: Reading, time_us: int = NOON_US, of: Device | None = None, problem: str | None = None) -> Report:
    """A report of these readings."""
    uplink = Uplink(frame(time_us=time_us), of or device(), 1, 2, b"\x01", True)
    return Report(uplink, readings, (), problem)
