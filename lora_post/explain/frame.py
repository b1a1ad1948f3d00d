"""Explain a frame to a person: fields, verdict on the MIC, device, clear payload.

Downlinks, joins and frames of unknown devices are explained, too, as far as the bytes and the keys go. Every frame is
taken as the first of its device: no counter is too old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from hmac import compare_digest
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import BadMIC, FrameError, NotUplink, UnlockError
from lora_post.explain.fields import NOT_CHECKED, Field, Opened, lorawan_field, lowcost_fields
from lora_post.lorawan.join_messages import parse_join_accept, parse_join_request
from lora_post.lorawan.phy_payload import ACK, DOWN_TYPES, DataFrame, MType, describe, message_type, parse_data_frame
from lora_post.lorawan.session_keys import DOWNLINK, UPLINK, AnySessionKeys, SessionKeys11
from lora_post.lowcost import header as lowcost
from lora_post.model import Device, Frame, Link
from lora_post.uplink.join_state import Join, Joiner
from lora_post.uplink.joins import hear_join, is_join
from lora_post.uplink.model import FindSessions, Refusal, Session, Uplink
from lora_post.uplink.unlock import NO_JOINERS, link_of, unlock

# How many upper halves of FCnt are tried, `unlock` trying the first few of those that it is pointed to.
# 67 million frames are a decade of a dozen a minute, and a forged frame fits one of these halves once in 4 million.
_UPPER_HALVES: Final = 1024
_HALVES_AT_ONCE: Final = 17


class Mic(StrEnum):
    """The verdict on a message integrity code."""

    OK = "OK"
    BAD = "BAD"
    NOT_CHECKED = NOT_CHECKED


class Explanation(Struct, frozen=True):
    """The explanation of one frame.

    mic: None where the frame has none. fport: None where it has none.
    device: that sent it; None when no device has that address, or its key does not fit.
    payload: the clear bytes after FPort or four-byte header; None when they are encrypted or not there.
    outcome: what becomes of the frame at a gateway that has not heard the device before.
    expected: the MIC that the keys give, "" where it is right or there are none. is_join: of a device that joins.
    """

    title: str
    fields: tuple[Field, ...]
    mic: Mic | None
    device: Device | None
    fport: int | None
    payload: bytes | None
    outcome: Uplink | Refusal | Join
    expected: str = ""
    is_join: bool = False


def explain(
    frame: Frame, find: FindSessions, joiners: Sequence[Device] = (), asker: Device | None = None
) -> Explanation:
    """Take a frame apart, and open it with the keys that are known.

    find: the devices of an address. joiners: the devices that join. asker: the one that a join is taken to be of.

    Raises FrameError when the bytes are neither a LoRaWAN nor a LowCostLoRaGw frame.
    """
    link = frame.link or link_of(frame.phy_payload)
    if link is Link.LOWCOST:
        return _explain_lowcost(frame, find)
    mtype = message_type(frame.phy_payload)
    if is_join(frame):
        if mtype is MType.JOIN_REQUEST:
            return _explain_request(frame, joiners if asker is None else [asker])
        return _explain_accept(frame, joiners) if asker is None else _explain_accept_of(frame, asker)
    if mtype in DOWN_TYPES:
        return _explain_downlink(frame, find)
    return _explain_uplink(frame, mtype, find, _by_dev_eui(joiners))


def _explain_uplink(frame: Frame, mtype: MType, find: FindSessions, joiners: Mapping[int, Joiner]) -> Explanation:
    """Explain data, joins and proprietary frames: what a device may have sent."""
    phy_payload = frame.phy_payload
    is_data = mtype in (MType.UNCONFIRMED_UP, MType.CONFIRMED_UP)
    fport = parse_data_frame(phy_payload).fport if is_data else None
    outcome, mic = open_frame(frame, find, joiners)
    title = f"LoRaWAN {describe(phy_payload)}"
    if isinstance(outcome, Uplink):
        opened = Opened(mic, outcome.fcnt, outcome.payload, _clear_fopts(outcome))
        fields = (lorawan_field(phy_payload, opened),)
        return Explanation(title, fields, mic, outcome.device, fport, outcome.payload, outcome)
    fields = (lorawan_field(phy_payload, Opened(mic)),)
    expected = _expected(parse_data_frame(phy_payload), UPLINK, find) if mic is Mic.BAD else ""
    return Explanation(title, fields, None if mtype is MType.PROPRIETARY else mic, None, fport, None, outcome, expected)


def _expected(data: DataFrame, direction: int, find: FindSessions) -> str:
    """Return the MIC that the keys of the one device with this address give, with the FCnt that is on air.

    Of a LoRaWAN 1.1 uplink only the half that does not depend on how it was sent. "" for several devices.
    """
    keys = [session.device.keys for session in find(Link.LORAWAN, data.dev_addr) if session.device.keys is not None]
    if len(keys) != 1 or keys[0] is None:
        return ""
    if direction == DOWNLINK:
        return keys[0].downlink_mic(data.dev_addr, data.fcnt16, data.signed).hex()
    if isinstance(keys[0], SessionKeys11):
        half = keys[0].forwarding_mic(data.dev_addr, data.fcnt16, data.signed)
        return "" if half == data.mic[2:] else f"····{half.hex()}"
    return keys[0].data_mic(data.dev_addr, data.fcnt16, UPLINK, data.signed).hex()


def _clear_fopts(uplink: Uplink) -> bytes | None:
    """Return FOpts decrypted, for a LoRaWAN 1.1 device; None for others, which do not encrypt them."""
    keys = uplink.device.keys
    if not isinstance(keys, SessionKeys11):
        return None
    data = parse_data_frame(uplink.frame.phy_payload)
    return keys.crypt_fopts(data.dev_addr, uplink.fcnt, data.fopts)


def _explain_request(frame: Frame, joiners: Sequence[Device]) -> Explanation:
    by_eui = _by_dev_eui(joiners)
    outcome: Refusal | Join
    device, expected = None, ""
    try:
        outcome, _ = hear_join(frame, by_eui)
        mic, device = Mic.OK, outcome.device
    except UnlockError as error:
        outcome = Refusal.of(frame, error)
        mic = Mic.BAD if isinstance(error, BadMIC) else Mic.NOT_CHECKED
        request = parse_join_request(frame.phy_payload)
        root = by_eui[request.dev_eui].device.root if mic is Mic.BAD else None
        expected = root.request_mic(request.signed).hex() if root is not None else ""
    title = f"LoRaWAN {describe(frame.phy_payload)}"
    fields = (lorawan_field(frame.phy_payload, Opened(mic)),)
    return Explanation(title, fields, mic, device, None, None, outcome, expected, True)


def _explain_accept(frame: Frame, joiners: Sequence[Device]) -> Explanation:
    """Explain a join-accept. Without its join-request, only a MIC of LoRaWAN 1.0 can be verified."""
    phy_payload = frame.phy_payload
    title = f"LoRaWAN {describe(phy_payload)}"
    for device in joiners:
        root = device.root
        if root is None:
            continue
        clear = root.open_accept(phy_payload[1:])
        accept = parse_join_accept(phy_payload[0], clear)
        if compare_digest(root.accept_mic(accept.signed, 0, opt_neg=False), accept.mic):
            fields = (lorawan_field(phy_payload, Opened(Mic.OK, clear=clear)),)
            join = Join(frame, device, "join-accept", f"DevAddr {accept.dev_addr:08x}", accept.dev_addr)
            return Explanation(title, fields, Mic.OK, device, None, None, join, is_join=True)
    outcome = Refusal(frame, NotUplink.check, describe(phy_payload))
    fields = (lorawan_field(phy_payload, Opened(Mic.NOT_CHECKED)),)
    return Explanation(title, fields, Mic.NOT_CHECKED, None, None, None, outcome, is_join=True)


def _explain_accept_of(frame: Frame, asker: Device) -> Explanation:
    """Explain a join-accept whose device is known: what its key makes of it, right or not."""
    found = _explain_accept(frame, [asker])
    if found.mic is Mic.OK or asker.root is None:
        return found
    phy_payload = frame.phy_payload
    clear = asker.root.open_accept(phy_payload[1:])
    accept = parse_join_accept(phy_payload[0], clear)
    if asker.root.is_11 and accept.opt_neg:
        return replace(found, fields=(lorawan_field(phy_payload, Opened(Mic.NOT_CHECKED, clear=clear)),))
    expected = asker.root.accept_mic(accept.signed, 0, opt_neg=False).hex()
    bad = BadMIC("the MIC of the join-accept does not fit: damaged, forged, or a wrong key")
    fields = (lorawan_field(phy_payload, Opened(Mic.BAD)),)
    return replace(found, fields=fields, mic=Mic.BAD, outcome=Refusal.of(frame, bad), expected=expected)


def _explain_downlink(frame: Frame, find: FindSessions) -> Explanation:
    data = parse_data_frame(frame.phy_payload)
    title = f"LoRaWAN {describe(frame.phy_payload)}"
    outcome = Refusal(frame, NotUplink.check, describe(frame.phy_payload))
    mic = Mic.NOT_CHECKED
    for session in find(Link.LORAWAN, data.dev_addr):
        keys = session.device.keys
        if keys is None:
            continue
        fcnt = _downlink_fcnt(keys, data)
        if fcnt is not None:
            clear = keys.crypt(data.dev_addr, fcnt, DOWNLINK, data.fport or 0, data.frm_payload)
            fopts = (
                keys.crypt_fopts(data.dev_addr, fcnt, data.fopts, DOWNLINK, data.fport)
                if isinstance(keys, SessionKeys11)
                else None
            )
            fields = (lorawan_field(frame.phy_payload, Opened(Mic.OK, fcnt, clear, fopts)),)
            return Explanation(title, fields, Mic.OK, session.device, data.fport, clear, outcome)
        mic = Mic.BAD
    fields = (lorawan_field(frame.phy_payload, Opened(mic)),)
    expected = _expected(data, DOWNLINK, find) if mic is Mic.BAD else ""
    return Explanation(title, fields, mic, None, data.fport, None, outcome, expected)


def _downlink_fcnt(keys: AnySessionKeys, data: DataFrame) -> int | None:
    """Return the full FCnt with which the MIC of a downlink fits, None for none.

    LoRaWAN 1.1 signs the FCnt of the uplink that is acknowledged, too: all are tried, with the FCnt on air only.
    """
    for fcnt in range(data.fcnt16, _UPPER_HALVES << 16, 1 << 16):
        if compare_digest(keys.downlink_mic(data.dev_addr, fcnt, data.signed), data.mic):
            return fcnt
    if isinstance(keys, SessionKeys11) and data.fctrl & ACK:
        for conf_fcnt in range(1 << 16):
            if compare_digest(keys.downlink_mic(data.dev_addr, data.fcnt16, data.signed, conf_fcnt), data.mic):
                return data.fcnt16
    return None


def _explain_lowcost(frame: Frame, find: FindSessions) -> Explanation:
    packet = frame.phy_payload
    header = lowcost.parse_header(packet)
    title = f"LowCostLoRaGw {lowcost.type_text(header.ptype)} from address {header.src}, sequence number {header.seq}"
    outcome, verdict = open_frame(frame, find)
    mic = verdict if header.ptype & lowcost.ENCRYPTED else None
    if isinstance(outcome, Uplink):
        is_lsc = bool(header.ptype & lowcost.ENCRYPTED) and not outcome.authentic
        opened = Opened(verdict, outcome.fcnt, outcome.payload, is_lsc=is_lsc)
        return Explanation(title, lowcost_fields(packet, opened), mic, outcome.device, None, outcome.payload, outcome)
    fields = lowcost_fields(packet, Opened(verdict))
    if mic is not None:
        expected = _expected_of_packet(packet, find) if mic is Mic.BAD else ""
        return Explanation(title, fields, mic, None, None, None, outcome, expected)
    sessions = find(Link.LOWCOST, header.src)
    device = sessions[0].device if sessions else None
    clear = packet[4 + (lowcost.APP_KEY_SIZE if header.ptype & lowcost.WITH_APP_KEY else 0) :]
    return Explanation(title, fields, None, device, None, clear, outcome)


def _expected_of_packet(packet: bytes, find: FindSessions) -> str:
    """Return the MIC that the AES keys of the device with this address give."""
    src = lowcost.parse_header(packet).src
    try:
        return _expected(parse_data_frame(packet[4:]), UPLINK, lambda _link, _address: find(Link.LOWCOST, src))
    except FrameError:  # the light cipher's packets have no LoRaWAN frame inside
        return ""


def _by_dev_eui(joiners: Sequence[Device]) -> dict[int, Joiner]:
    return {device.root.dev_eui: Joiner(device) for device in joiners if device.root is not None}


def open_frame(
    frame: Frame, find: FindSessions, joiners: Mapping[int, Joiner] = NO_JOINERS
) -> tuple[Uplink | Refusal, Mic]:
    """Ask `unlock`, as a running gateway does; search for the counter, which that one knows.

    Costs up to 2,000 CMACs: for what a person asks, not for what is heard.
    """
    for halves in range(0, _UPPER_HALVES, _HALVES_AT_ONCE):

        def sessions(link: Link, address: int, next_fcnt: int = halves << 16) -> list[Session]:
            return [Session(session.device, next_fcnt) for session in find(link, address)]

        try:
            uplink, _ = unlock(frame, sessions, joiners)
        except BadMIC as error:
            refusal = Refusal.of(frame, error)
        except (FrameError, UnlockError) as error:
            return Refusal.of(frame, error), Mic.NOT_CHECKED
        else:
            return uplink, Mic.OK
    return refusal, Mic.BAD
