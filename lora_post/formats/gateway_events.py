"""What gateways say by ChirpStack's MQTT forwarder or gateway bridge, and what they are told, in JSON or protobuf.

The schema is the part of it that is used here. Fields of older versions (`tx_info_legacy`, …) are not read.

Source: chirpstack/chirpstack: api/proto/gw/gw.proto (4.x).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import duration_pb2, json_format, timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from msgspec import Struct

from lora_post.errors import FrameError
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD
from lora_post.model import SPREADING_FACTORS, Frame, Link, RxInfo
from lora_post.text import bare_hex, plural, printable
from lora_post.times import WallUs

_PACKAGE: Final = "gw"
_ENUMS: Final[Mapping[str, str]] = {
    "CodeRate": "CR_UNDEFINED CR_4_5 CR_4_6 CR_4_7 CR_4_8 CR_3_8 CR_2_6 CR_1_4 CR_1_6 CR_5_6 CR_LI_4_5 CR_LI_4_6 "
    "CR_LI_4_8",
    "CRCStatus": "NO_CRC BAD_CRC CRC_OK",
    "TxAckStatus": "IGNORED OK TOO_LATE TOO_EARLY COLLISION_PACKET COLLISION_BEACON TX_FREQ TX_POWER GPS_UNLOCKED "
    "QUEUE_FULL INTERNAL_ERROR DUTY_CYCLE_OVERFLOW",
}
"""Names in the order of their numbers."""
_MESSAGES: Final[Mapping[str, str]] = {
    "LoraModulationInfo": "bandwidth:uint32=1 spreading_factor:uint32=2 polarization_inversion:bool=4 "
    "code_rate:CodeRate=5",
    "Modulation": "lora:LoraModulationInfo=3",
    "UplinkTxInfo": "frequency:uint32=1 modulation:Modulation=2",
    "UplinkRxInfo": "gateway_id:string=1 rssi:int32=6 snr:float=7 context:bytes=13 crc_status:CRCStatus=16",
    "UplinkFrame": "phy_payload:bytes=1 tx_info:UplinkTxInfo=4 rx_info:UplinkRxInfo=5",
    "GatewayStats": "rx_packets_received:uint32=5 rx_packets_received_ok:uint32=6 tx_packets_received:uint32=7 "
    "tx_packets_emitted:uint32=8 gateway_id:string=17",
    "ImmediatelyTimingInfo": "",
    "DelayTimingInfo": "delay:google.protobuf.Duration=1",
    "Timing": "immediately:ImmediatelyTimingInfo=1 delay:DelayTimingInfo=2",
    "DownlinkTxInfo": "frequency:uint32=1 power:int32=2 modulation:Modulation=3 timing:Timing=6 context:bytes=7",
    "DownlinkFrameItem": "phy_payload:bytes=1 tx_info:DownlinkTxInfo=3",
    "DownlinkFrame": "downlink_id:uint32=3 items:*DownlinkFrameItem=5 gateway_id:string=7",
    "DownlinkTxAckItem": "status:TxAckStatus=1",
    "DownlinkTxAck": "downlink_id:uint32=2 items:*DownlinkTxAckItem=5 gateway_id:string=6",
}
"""Fields as name:type=number, a star for repeated ones."""
_SCALARS: Final = {
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}
_EUI_DIGITS: Final = 16
_BAD_CRC: Final = 1
_LEVEL: Final = 1000  # dB and dBm beyond it mean nothing, and neither does NaN
_MAX_CONTEXT: Final = 256
"""Contexts are held until uplinks are answered; packet forwarders have 4 bytes, stations 16."""
_CODE_RATES: Final = {1: "4/5", 2: "4/6", 3: "4/7", 4: "4/8"}
CR_4_5: Final = 1
_OK: Final = "OK"


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for known in (duration_pb2, timestamp_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    file = FileDescriptorProto(name="gw.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(duration_pb2.DESCRIPTOR.name)
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split():
            _add_field(message, field)
    pool.Add(file)
    return pool


def _add_field(message: DescriptorProto, text: str) -> None:
    name, _, rest = text.partition(":")
    kind, _, number = rest.partition("=")
    label = FieldDescriptorProto.LABEL_REPEATED if kind.startswith("*") else FieldDescriptorProto.LABEL_OPTIONAL
    kind = kind.lstrip("*")
    field = message.field.add(name=name, number=int(number), label=label)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = FieldDescriptorProto.TYPE_ENUM if kind in _ENUMS else FieldDescriptorProto.TYPE_MESSAGE
    field.type_name = f".{kind}" if "." in kind else f".{_PACKAGE}.{kind}"


_POOL: Final = _pool()
_STATUSES: Final = _ENUMS["TxAckStatus"].split()


def new_message(name: str) -> Any:
    """Return an empty message of the schema."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()


class HeardUp(Struct, frozen=True):
    """An uplink. context: what a downlink to it must say; is_damaged: its CRC is wrong."""

    frame: Frame
    context: bytes
    is_damaged: bool


class TxAck(Struct, frozen=True):
    """What became of a downlink: "" for each window that was used, else the error."""

    downlink_id: int
    errors: tuple[str, ...]


def is_json(body: bytes) -> bool:
    """Tell how a gateway writes: protobuf never begins so with the messages that there are."""
    return body.lstrip()[:1] == b"{"


def read_up(body: bytes, gateway: str, now_us: WallUs) -> HeardUp:
    """Read `event/up`. gateway: the EUI in the topic. Raises FrameError."""
    message = _read("UplinkFrame", body)
    info, tx, lora = message.rx_info, message.tx_info, message.tx_info.modulation.lora
    phy_payload = bytes(message.phy_payload)
    if not 0 < len(phy_payload) <= MAX_PHY_PAYLOAD:
        raise FrameError(f"{plural(len(phy_payload), 'byte')}, a frame has 1 to {MAX_PHY_PAYLOAD}")
    context = bytes(info.context)
    if len(context) > _MAX_CONTEXT:
        raise FrameError(f"a context of {len(context)} bytes, at most {_MAX_CONTEXT}")
    rx = RxInfo(
        rssi_dbm=info.rssi if abs(info.rssi) <= _LEVEL else None,
        snr_db=round(info.snr, 1) if abs(info.snr) <= _LEVEL else None,
        sf=lora.spreading_factor if lora.spreading_factor in SPREADING_FACTORS else None,
        bw_khz=lora.bandwidth / 1000 if lora.bandwidth else None,
        cr=_CODE_RATES.get(lora.code_rate),
        freq_mhz=tx.frequency / 1e6 if tx.frequency else None,
    )
    # Packet forwarders have the counter in four bytes there, stations in the last four of sixteen.
    tmst = int.from_bytes(context[-4:]) if len(context) >= 4 else None
    return HeardUp(Frame(gateway, now_us, phy_payload, rx, Link.LORAWAN, tmst), context, info.crc_status == _BAD_CRC)


def read_stats(body: bytes) -> dict[str, float]:
    """Read `event/stats`: the numbers as packet forwarders call them. Raises FrameError."""
    stats = _read("GatewayStats", body)
    return {
        "rxnb": stats.rx_packets_received,
        "rxok": stats.rx_packets_received_ok,
        "dwnb": stats.tx_packets_received,
        "txnb": stats.tx_packets_emitted,
    }


def read_ack(body: bytes) -> TxAck:
    """Read `event/ack`. Raises FrameError."""
    ack = _read("DownlinkTxAck", body)
    names = [_STATUSES[item.status] if 0 <= item.status < len(_STATUSES) else "UNKNOWN" for item in ack.items]
    return TxAck(ack.downlink_id, tuple("" if name == _OK else name for name in names))


def written(message: Any, *, json: bool) -> bytes:
    """Return a message as it is sent."""
    return json_format.MessageToJson(message, indent=None).encode() if json else bytes(message.SerializeToString())


def gateway_in(topic: str) -> tuple[str, str]:
    """Return EUI and kind of event of a topic like `eu868/gateway/0016c001f1500812/event/up`. Raises FrameError."""
    parts = topic.split("/")
    if len(parts) >= 4 and parts[-2] == "event" and parts[-4] == "gateway":
        gateway = bare_hex(parts[-3])
        if len(gateway) == _EUI_DIGITS and not gateway.strip("0123456789abcdef"):
            return gateway, parts[-1]
    raise FrameError(f"topic {printable(topic)[:100]} is not like eu868/gateway/EUI/event/up")


def _read(name: str, body: bytes) -> Any:
    message = new_message(name)
    try:
        if is_json(body):
            json_format.Parse(body, message, ignore_unknown_fields=True, descriptor_pool=_POOL)
        else:
            message.ParseFromString(body)
    except (json_format.Error, DecodeError, ValueError, RecursionError, TypeError) as error:
        raise FrameError(f"{name}: {printable(str(error))[:100]}") from error
    return message
