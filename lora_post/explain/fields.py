"""Take a frame apart into fields, with their names in the specification and their meaning.

Layout only: what keys tell (full FCnt, MIC verdict, clear MAC commands) is handed in.

Sources: LoRaWAN 1.0.3, sections 4 to 6; LoRaWAN 1.1, section 6.2.4 (rejoin-request);
CongducPham/LowCostLoRaGw: gw_full_latest/SX1272/SX1272.h, gw_full_latest/decrypt_AES.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from lora_post.errors import FrameError
from lora_post.explain.mac_words import command_name, command_text
from lora_post.lorawan.cf_list import Frequencies, parse_cf_list
from lora_post.lorawan.join_messages import JoinAccept, parse_join_accept
from lora_post.lorawan.mac_commands import MacCommand, parse_mac_commands
from lora_post.lorawan.phy_payload import (
    ACK,
    ADR,
    ADR_ACK_REQ,
    DOWN_TYPES,
    FOPTS_LEN,
    PENDING,
    DataFrame,
    MType,
    message_type,
    parse_data_frame,
)
from lora_post.lowcost import header as lowcost
from lora_post.text import plural, ranges_text

_MTYPE_NAMES: Final = (
    "Join-request",
    "Join-accept",
    "Unconfirmed Data Up",
    "Unconfirmed Data Down",
    "Confirmed Data Up",
    "Confirmed Data Down",
    "Rejoin-request",
    "Proprietary",
)
_FCTRL_UP: Final = ("ADR", "ADRACKReq", "ACK", "ClassB")
_FCTRL_DOWN: Final = ("ADR", "RFU", "ACK", "FPending")
_PTYPE_FLAGS: Final = (
    (lowcost.ACK_REQUESTED, "ACK_REQ", "an acknowledgement is asked for"),
    (lowcost.ENCRYPTED, "DATA_ENCRYPTED", "the payload is encrypted"),
    (lowcost.WITH_APP_KEY, "DATA_WAPPKEY", "the clear payload starts with an application key"),
    (lowcost.DOWNLINK, "DATA_DOWNLINK", "from the gateway to a device"),
)


MAYBE_ENCRYPTED: Final = "MAC commands, unknown ones or encrypted (LoRaWAN 1.1)"
NOT_CHECKED: Final = "not checked"


class Field(Struct, frozen=True):
    """One field of a frame.

    size: "4 bytes" or "3 bits". raw: hex of its bytes as on air, or its bits; "" when the parts have them.
    """

    name: str
    size: str
    raw: str = ""
    meaning: str = ""
    parts: tuple[Field, ...] = ()


class Opened(Struct, frozen=True):
    """What could be learned of a frame with keys.

    mic: the verdict. fcnt: the full counter, where the MIC proves it. clear: FRMPayload decrypted, or what follows
    the MHDR of a join-accept. fopts: FOpts decrypted, of LoRaWAN 1.1 only. is_lsc: encrypted with LSC.
    """

    mic: str
    fcnt: int | None = None
    clear: bytes | None = None
    fopts: bytes | None = None
    is_lsc: bool = False


def lorawan_field(phy_payload: bytes, opened: Opened) -> Field:
    """Return a PHYPayload of any type as a field. Raises FrameError when it is not one."""
    mtype = message_type(phy_payload)
    if MType.UNCONFIRMED_UP <= mtype <= MType.CONFIRMED_DOWN:
        fields = _data_fields(parse_data_frame(phy_payload), opened)
    else:
        fields = _other_fields(mtype, phy_payload[1:], opened)
    return Field("PHYPayload", plural(len(phy_payload), "byte"), parts=(_mhdr(phy_payload[0]), *fields))


def lowcost_fields(packet: bytes, opened: Opened) -> tuple[Field, ...]:
    """Return the four-byte header and what follows it. Raises FrameError when it is cut short."""
    header = lowcost.parse_header(packet)
    whom = {lowcost.GATEWAY: "the gateway", lowcost.BROADCAST: "everybody"}.get(header.dst, "a device")
    ptype = (
        Field("type", "4 bits", f"{header.ptype >> 4:04b}", lowcost.type_text(header.ptype)),
        *(_flag(name, header.ptype & bit, meaning) for bit, name, meaning in _PTYPE_FLAGS),
    )
    return (
        Field("dst", "1 byte", f"{header.dst:02x}", f"{header.dst}: {whom}"),
        Field("ptype", "1 byte", f"{header.ptype:02x}", "", ptype),
        Field("src", "1 byte", f"{header.src:02x}", str(header.src)),
        Field("seq", "1 byte", f"{header.seq:02x}", str(header.seq)),
        *_payload_fields(header.ptype, packet[4:], opened),
    )


def _payload_fields(ptype: int, payload: bytes, opened: Opened) -> tuple[Field, ...]:
    if ptype & lowcost.ENCRYPTED and ptype & lowcost.DOWNLINK:
        return (_bytes("payload", payload[:-4], "in clear"), _bytes("MIC", payload[-4:], opened.mic))
    if opened.is_lsc:
        return (_bytes("payload", payload[:-4], "encrypted with LSC"), _bytes("MIC", payload[-4:], opened.mic))
    if ptype & lowcost.ENCRYPTED:
        try:
            return (lorawan_field(payload, opened),)
        except FrameError as error:
            return (_bytes("payload", payload, f"encrypted, but no LoRaWAN frame inside: {error}"),)
    meaning = "in clear: a piece of a camera's picture" if lowcost.is_image(payload) else "in clear"
    if ptype & lowcost.WITH_APP_KEY:
        key = Field("application key", plural(len(payload[: lowcost.APP_KEY_SIZE]), "byte"), meaning="not shown")
        return (key, _bytes("payload", payload[lowcost.APP_KEY_SIZE :], meaning))
    return (_bytes("payload", payload, meaning),)


def _data_fields(data: DataFrame, opened: Opened) -> tuple[Field, ...]:
    down = data.mtype in DOWN_TYPES
    commands = tuple(parse_mac_commands(_clear_fopts(data, opened), data.mtype))
    fopts = tuple(map(_mac_field, commands))
    is_read = opened.fopts is not None or all(each.kind is not None for each in commands)
    fhdr = (
        _bytes("DevAddr", data.signed[1:5], f"{data.dev_addr:08x}"),
        Field("FCtrl", "1 byte", f"{data.fctrl:02x}", "", _fctrl_bits(data.fctrl, _FCTRL_DOWN if down else _FCTRL_UP)),
        _bytes("FCnt", data.signed[6:8], _fcnt_text(data.fcnt16, opened.fcnt)),
        _bytes("FOpts", data.fopts, ("MAC commands" if is_read else MAYBE_ENCRYPTED) if fopts else "none", fopts),
    )
    mac_payload = [Field("FHDR", plural(7 + len(data.fopts), "byte"), parts=fhdr)]
    if data.fport is not None:
        mac_payload.append(Field("FPort", "1 byte", f"{data.fport:02x}", f"{data.fport}: {_fport_text(data.fport)}"))
        network_key = "NwkSKey" if opened.fopts is None else "NwkSEncKey"
        mac_payload.append(_frm_payload(data, opened.clear, "AppSKey" if data.fport else network_key))
    return (
        Field("MACPayload", plural(len(data.signed) - 1, "byte"), parts=tuple(mac_payload)),
        _bytes("MIC", data.mic, opened.mic),
    )


def _clear_fopts(data: DataFrame, opened: Opened) -> bytes:
    """Return FOpts in clear, where they are: LoRaWAN 1.0 does not encrypt them."""
    return data.fopts if opened.fopts is None else opened.fopts


def _mhdr(mhdr: int) -> Field:
    parts = (
        Field("MType", "3 bits", f"{mhdr >> 5:03b}", _MTYPE_NAMES[mhdr >> 5]),
        Field("RFU", "3 bits", f"{mhdr >> 2 & 7:03b}"),
        Field("Major", "2 bits", f"{mhdr & 3:02b}", "LoRaWAN R1"),
    )
    return Field("MHDR", "1 byte", f"{mhdr:02x}", "", parts)


def _fctrl_bits(fctrl: int, names: Sequence[str]) -> tuple[Field, ...]:
    flags = [_flag(name, fctrl & bit) for name, bit in zip(names, (ADR, ADR_ACK_REQ, ACK, PENDING), strict=True)]
    return (*flags, Field("FOptsLen", "4 bits", f"{fctrl & FOPTS_LEN:04b}", str(fctrl & FOPTS_LEN)))


def _flag(name: str, bit: int, meaning: str = "") -> Field:
    return Field(name, "1 bit", "1", meaning) if bit else Field(name, "1 bit", "0")


def _fcnt_text(fcnt16: int, fcnt: int | None) -> str:
    return f"{fcnt16} on air; the upper half is not sent" if fcnt is None else f"{fcnt16} on air, {fcnt} in full"


def _fport_text(fport: int) -> str:
    if fport == 0:
        return "MAC commands"
    return "application" if fport < 224 else "certification test" if fport == 224 else "reserved"


def _frm_payload(data: DataFrame, clear: bytes | None, key: str) -> Field:
    if not data.frm_payload:
        return _bytes("FRMPayload", b"", "empty")
    commands = parse_mac_commands(clear, data.mtype) if clear is not None and data.fport == 0 else ()
    return _bytes("FRMPayload", data.frm_payload, f"encrypted under {key}", tuple(map(_mac_field, commands)))


def mac_fields(commands: bytes) -> tuple[Field, ...]:
    """Return the MAC commands of an uplink: of FOpts, or of the clear payload on FPort 0."""
    return tuple(_mac_field(command) for command in parse_mac_commands(commands))


def _mac_field(command: MacCommand) -> Field:
    return _bytes(command_name(command), command.raw, command_text(command))


def _other_fields(mtype: MType, rest: bytes, opened: Opened) -> tuple[Field, ...]:
    """Return what follows the MHDR of joins, rejoins and proprietary frames."""
    size = len(rest)
    if mtype is MType.JOIN_REQUEST and size == 22:
        verdict = "not checked: that needs the AppKey" if opened.mic == NOT_CHECKED else opened.mic
        mic = _bytes("MIC", rest[18:], verdict)
        return (_eui("JoinEUI", rest[:8]), _eui("DevEUI", rest[8:16]), _eui("DevNonce", rest[16:18]), mic)
    if mtype is MType.JOIN_ACCEPT and size in (16, 32):
        if opened.clear is not None:
            return (Field("encrypted", plural(size, "byte"), parts=_accept_fields(opened.clear, opened.mic)),)
        inside = "JoinNonce, NetID, DevAddr, DLSettings, RxDelay" + (", CFList" if size == 32 else "")
        return (_bytes("encrypted", rest, f"{inside} and MIC; reading them needs the AppKey"),)
    if mtype is MType.REJOIN_REQUEST and (size, rest[:1]) in ((18, b"\0"), (18, b"\2")):
        fields = (_eui("NetID", rest[1:4]), _eui("DevEUI", rest[4:12]), _eui("RJcount0", rest[12:14]))
    elif mtype is MType.REJOIN_REQUEST and (size, rest[:1]) == (23, b"\1"):
        fields = (_eui("JoinEUI", rest[1:9]), _eui("DevEUI", rest[9:17]), _eui("RJcount1", rest[17:19]))
    else:
        return (_bytes("payload", rest, "not laid down by the specification"),)
    kind = _bytes("Rejoin Type", rest[:1], str(rest[0]))
    return (kind, *fields, _bytes("MIC", rest[-4:], "not checked: that needs the keys of LoRaWAN 1.1"))


def _accept_fields(clear: bytes, mic: str) -> tuple[Field, ...]:
    """Return what a decrypted join-accept says."""
    accept = parse_join_accept(0, clear)
    return (
        _eui("JoinNonce", clear[:3]),
        _eui("NetID", clear[3:6]),
        _eui("DevAddr", clear[6:10]),
        _dl_settings(accept),
        _bytes("RxDelay", clear[11:12], f"{accept.rx_delay_s} s"),
        *((_bytes("CFList", accept.cf_list, _cf_list_text(accept.cf_list)),) if accept.cf_list else ()),
        _bytes("MIC", clear[-4:], f"{mic}: LoRaWAN 1.1 needs the join-request, too" if mic == NOT_CHECKED else mic),
    )


def _dl_settings(accept: JoinAccept) -> Field:
    parts = (
        Field("OptNeg", "1 bit", f"{accept.opt_neg:d}", "LoRaWAN 1.1" if accept.opt_neg else "LoRaWAN 1.0"),
        Field("RX1DROffset", "3 bits", f"{accept.rx1_offset:03b}", str(accept.rx1_offset)),
        Field("RX2DataRate", "4 bits", f"{accept.rx2_data_rate:04b}", f"DR{accept.rx2_data_rate}"),
    )
    return Field("DLSettings", "1 byte", f"{accept.dl_settings:02x}", "", parts)


def _cf_list_text(cf_list: bytes) -> str:
    """Say which channels a device may use."""
    try:
        channels = parse_cf_list(cf_list)
    except FrameError as error:
        return str(error)
    if isinstance(channels, Frequencies):
        return f"{', '.join(f'{hz / 1e6:g}' for hz in channels.hz if hz)} MHz"
    return f"channels {ranges_text(channels.numbers)}"


def _eui(name: str, on_air: bytes) -> Field:
    """Return a number that is little-endian on air, and big-endian hex for people."""
    return _bytes(name, on_air, on_air[::-1].hex())


def _bytes(name: str, on_air: bytes, meaning: str = "", parts: tuple[Field, ...] = ()) -> Field:
    return Field(name, plural(len(on_air), "byte"), on_air.hex(), meaning, parts)
