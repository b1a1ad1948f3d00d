"""An uplink as one JSON object: what dry runs and `decode --json` print and fixtures expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from lora_post.clocks.scale import utc_text
from lora_post.errors import FrameError
from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.lowcost.header import parse_header
from lora_post.model import Frame, Link, Reading, Value, address_text
from lora_post.times import StampUs
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report, Uplink
from lora_post.uplink.senders import claimed_sender
from lora_post.uplink.unlock import link_of
from lora_post.waziup.kinds import describe
from lora_post.waziup.names import to_id


class ReadingJson(TypedDict):
    """One reading.

    sensor: Waziup sensor id. quantity: of Waziup's ontology. unit: the symbol of the value's unit.
    """

    sensor: str
    value: Value
    channel: int | None
    quantity: str
    unit: str | None
    time: str


class RefusedJson(TypedDict):
    """Why a frame was refused. fix: what a person can do about it, "" for nothing."""

    check: str
    detail: str
    fix: str


class JoinJson(TypedDict):
    """A join. message: join-request or join-accept. dev_addr: of a join-accept, else null."""

    message: str
    detail: str
    dev_addr: str | None


class UplinkJson(TypedDict):
    """One uplink; null where the frame or the input does not say.

    kind: lorawan, lowcost or server.
    metadata: only where the payload says something of the device or itself, by name.
    late: true, only where newer frames of the device were accepted before it.
    copy_of: only of a copy that another gateway heard: the gateway whose frame was accepted.
    join: only of a message of a device's join.
    """

    time: str
    gateway: str
    device: str | None
    address: str | None
    kind: str | None
    fcnt: int | None
    fport: int | None
    rssi: float | None
    snr: float | None
    sf: int | None
    bw_khz: float | None
    freq_mhz: float | None
    payload: str | None
    decoder: str | None
    readings: list[ReadingJson]
    metadata: NotRequired[dict[str, Value]]
    warnings: list[str]
    refused: RefusedJson | None
    late: NotRequired[bool]
    copy_of: NotRequired[str]
    join: NotRequired[JoinJson]


def outcome_json(outcome: Report | Refusal | Copy | Join) -> UplinkJson:
    """Return the JSON object of a frame, whatever became of it."""
    if isinstance(outcome, Report):
        return _report_json(outcome)
    if isinstance(outcome, Copy):
        return _uplink_json(outcome.uplink, outcome.frame) | {"copy_of": outcome.uplink.frame.gateway}
    return _join_json(outcome) if isinstance(outcome, Join) else _refusal_json(outcome)


def _uplink_json(uplink: Uplink, frame: Frame) -> UplinkJson:
    """Return what an accepted uplink says. frame: as which gateway heard it."""
    return _radio_json(frame) | {
        "device": uplink.device.id,
        "address": uplink.device.address_text,
        "kind": uplink.device.link.value,
        "fcnt": uplink.fcnt,
        "fport": uplink.fport,
        "payload": uplink.payload.hex(),
    }


def _join_json(join: Join) -> UplinkJson:
    dev_addr = None if join.dev_addr is None else address_text(Link.LORAWAN, join.dev_addr)
    return _radio_json(join.frame) | {
        "device": join.device.id,
        "address": join.device.address_text,
        "kind": Link.LORAWAN.value,
        "join": {"message": join.message, "detail": join.detail, "dev_addr": dev_addr},
    }


def _report_json(report: Report) -> UplinkJson:
    uplink = report.uplink
    found = _uplink_json(uplink, uplink.frame)
    if uplink.is_late:
        found["late"] = True
    if report.metadata:
        found["metadata"] = metadata_json(report.metadata)
    return found | {
        "decoder": uplink.device.decoder_for(uplink.fport) or None,
        "readings": [reading_json(reading, uplink.frame.time_us) for reading in report.readings],
        "warnings": [*report.warnings, *([report.problem] if report.problem else [])],
    }


def _refusal_json(refusal: Refusal) -> UplinkJson:
    """Return what a refused frame says; its address and counter are only claimed."""
    found = _radio_json(refusal.frame)
    found["refused"] = {"check": refusal.check, "detail": refusal.detail, "fix": refusal.fix}
    phy_payload = refusal.frame.phy_payload
    try:
        link = refusal.frame.link or link_of(phy_payload)
        found["kind"] = link.value
        if link is Link.SERVER:
            return found
        found["address"] = claimed_sender(refusal.frame) or None
        if link is Link.LOWCOST:
            header = parse_header(phy_payload)
            found["fcnt"] = header.seq
        else:
            data = parse_data_frame(phy_payload)
            found["fcnt"], found["fport"] = data.fcnt16, data.fport
    except FrameError:
        pass  # the refusal says what is wrong with it
    return found


def _radio_json(frame: Frame) -> UplinkJson:
    rx = frame.rx
    return {
        "time": utc_text(frame.time_us),
        "gateway": frame.gateway,
        "device": None,
        "address": None,
        "kind": None,
        "fcnt": None,
        "fport": None,
        "rssi": rx.rssi_dbm,
        "snr": rx.snr_db,
        "sf": rx.sf,
        "bw_khz": rx.bw_khz,
        "freq_mhz": rx.freq_mhz,
        "payload": None,
        "decoder": None,
        "readings": [],
        "warnings": [],
        "refused": None,
    }


def metadata_json(metadata: Sequence[Reading]) -> dict[str, Value]:
    """Return what a payload says of the device or itself, by name."""
    return {reading.name: reading.value for reading in metadata}


def reading_json(reading: Reading, time_us: StampUs) -> ReadingJson:
    """Return one reading of an uplink that was received at time_us."""
    return {
        "sensor": to_id(reading.name),
        "value": reading.value,
        "channel": reading.channel,
        "quantity": describe(reading.name, reading.unit, reading.quantity, reading.channel).quantity,
        "unit": reading.unit or None,
        "time": utc_text(reading.measured_us(time_us)),
    }
