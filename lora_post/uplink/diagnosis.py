"""Find the mistake behind a refusal by trying the usual ones: what is back to front, exchanged, or of another version.

A stranger may send what it likes, so the work for one frame is bounded: a few variants of a few devices, each a handful
of CMACs. How often it is done is bounded by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hmac import compare_digest
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import FrameError, Problem, UnlockError
from lora_post.lorawan.join_messages import JoinRequest, parse_join_request
from lora_post.lorawan.phy_payload import MType, full_fcnt, message_type, parse_data_frame
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import MIC_SIZE, UPLINK, SessionKeys, SessionKeys11
from lora_post.model import Device, Frame, Link
from lora_post.uplink.joins import is_join
from lora_post.uplink.model import Decode, Session, Uplink
from lora_post.uplink.senders import claimed_sender
from lora_post.uplink.unlock import unlock

MAX_DEVICES: Final = 8
"""With one address; more of them are an unusual site, and a stranger may have chosen the address."""
MAX_KEYS: Final = 256
"""Of devices that do not join, tried as AppKey on one join-request."""


class Diagnosis(Struct, frozen=True):
    """A mistake in the configuration of a device, found by trying: with it put right, the frame opens."""

    device: Device
    problem: Problem


def diagnose(frame: Frame, devices: Iterable[Device]) -> Diagnosis | None:
    """Return why a refused frame may be one of these devices after all; None when nothing that is usual fits."""
    if is_join(frame):
        return _of_request(frame, tuple(devices)) if message_type(frame.phy_payload) is MType.JOIN_REQUEST else None
    sender = claimed_sender(frame)
    if not sender:
        return None
    fitting = (
        each for each in devices if each.keys is not None and sender in (each.address_text, _turned_address(each))
    )
    for device in islice(fitting, MAX_DEVICES):
        for problem, variant in _variants(device, sender):
            if _opens(frame, variant):
                return Diagnosis(device, problem)
        if sender == device.address_text and (found := _other_version(frame, device)):
            return Diagnosis(device, found)
    return None


def _turned_address(device: Device) -> str:
    """Return the DevAddr of a device with its bytes in reverse order; "" for another address."""
    if device.link is not Link.LORAWAN or device.address is None:
        return ""
    return device.address.to_bytes(4, "little").hex()


def _variants(device: Device, sender: str) -> Iterator[tuple[Problem, Device]]:
    """Yield what may be wrong with a device, with the device as it would be then."""
    is_turned = sender != device.address_text
    here = replace(device, address=int(sender, 16)) if is_turned else device
    turned = Problem(f"{device.id}: dev_addr is written back to front", f'write dev_addr = "{sender}"')
    if is_turned:
        yield turned, here
    for problem, keys in _key_variants(device):
        text = problem.at(device.id)
        if is_turned:
            text = Problem(f"{turned.what}, and {problem.what}", f"{turned.fix}; {problem.fix}")
        yield text, replace(here, keys=keys)


def _key_variants(device: Device) -> Iterator[tuple[Problem, SessionKeys | SessionKeys11]]:
    keys = device.keys
    if isinstance(keys, SessionKeys):
        nwk, app = keys.secrets
        yield (
            Problem(
                "nwk_skey is written back to front",
                "write its bytes in reverse order, and those of app_skey when both come from the same place",
            ),
            SessionKeys(nwk[::-1], app[::-1]),
        )
        yield Problem("nwk_skey and app_skey are exchanged", "swap them"), SessionKeys(app, nwk)
        yield (
            Problem("nwk_skey and app_skey are exchanged and back to front", "swap them, and reverse their bytes"),
            SessionKeys(app[::-1], nwk[::-1]),
        )
    elif isinstance(keys, SessionKeys11):
        forwarding, serving, encryption, app = keys.secrets
        yield (
            Problem("s_nwk_s_int_key and f_nwk_s_int_key are exchanged", "swap them"),
            SessionKeys11(serving, forwarding, encryption, app),
        )
        yield (
            Problem("its keys are written back to front", "write the bytes of each in reverse order"),
            SessionKeys11(*(key[::-1] for key in keys.secrets)),
        )


def _opens(frame: Frame, device: Device) -> bool:
    def sessions(link: Link, address: int) -> list[Session]:
        return [Session(device)] if (link, address) == (device.link, device.address) else []

    try:
        uplink, _ = unlock(frame, sessions)
    except (FrameError, UnlockError):
        return False
    return uplink.authentic


def _other_version(frame: Frame, device: Device) -> Problem | None:
    """Return that keys of LoRaWAN 1.0 are in the fields of 1.1, or the other way round."""
    keys = device.keys
    if device.link is not Link.LORAWAN:
        return None
    data = parse_data_frame(frame.phy_payload)
    if isinstance(keys, SessionKeys11):
        for name, key in zip(("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key"), keys.secrets, strict=False):
            if _opens(frame, replace(device, keys=SessionKeys(key, keys.secrets[3]))):
                what = f"{device.id} speaks LoRaWAN 1.0, and its keys are in the fields of 1.1"
                return Problem(what, f"write {name} as nwk_skey, and remove the other two network keys")
    elif isinstance(keys, SessionKeys):
        # Half of a 1.1 MIC: one forged frame in 65,536 fits, which costs a wrong hint.
        half = keys.data_mic(data.dev_addr, full_fcnt(0, data.fcnt16), UPLINK, data.signed)[: MIC_SIZE // 2]
        if compare_digest(half, data.mic[MIC_SIZE // 2 :]):
            return Problem(
                f"{device.id} speaks LoRaWAN 1.1: nwk_skey is its FNwkSIntKey",
                "write it as f_nwk_s_int_key, and add s_nwk_s_int_key and nwk_s_enc_key",
            )
    return None


def _of_request(frame: Frame, devices: tuple[Device, ...]) -> Diagnosis | None:
    request = parse_join_request(frame.phy_payload)
    for device in devices:
        if device.root is not None and (found := _in_euis(request, device.root)) is not None:
            for problem, root in ((found, device.root), *_root_variants(found, device.root)):
                if problem.what and compare_digest(root.request_mic(request.signed), request.mic):
                    return Diagnosis(device, problem.at(device.id))
    return _app_key_as_session_key(request, devices)


def _in_euis(request: JoinRequest, root: RootKeys) -> Problem | None:
    """Return what is wrong with the EUIs of a device, without text for nothing; None for the request of another."""
    sent = (request.dev_eui, request.join_eui)
    dev_eui, join_eui = root.dev_eui, root.join_eui
    if sent == (join_eui, dev_eui):
        return Problem("dev_eui and join_eui are exchanged", "swap them")
    parts = [
        (name, eui)
        for name, eui, ours in (("dev_eui", sent[0], dev_eui), ("join_eui", sent[1], join_eui))
        if eui != ours
    ]
    if any(_turned(eui) != (dev_eui if name == "dev_eui" else join_eui) for name, eui in parts):
        return None
    names = " and ".join(name for name, _ in parts)
    fixes = ", ".join(f'{name} = "{eui:016x}"' for name, eui in parts)
    return Problem(f"{names} is written back to front", f"write {fixes}") if parts else Problem("")


def _turned(eui: int) -> int:
    return int.from_bytes(eui.to_bytes(8, "little"))


def _root_variants(found: Problem, root: RootKeys) -> Iterator[tuple[Problem, RootKeys]]:
    """Yield what may be wrong with the root keys, beside what is wrong with the EUIs."""
    app_key, *rest = root.secrets
    variants = [
        (
            Problem("app_key is written back to front", "write its bytes in reverse order"),
            RootKeys(root.dev_eui, root.join_eui, app_key[::-1], rest[0][::-1] if rest else None),
        )
    ]
    if rest:
        exchanged = RootKeys(root.dev_eui, root.join_eui, rest[0], app_key)
        variants.append((Problem("app_key and nwk_key are exchanged, or it speaks 1.0", "swap them"), exchanged))
    for problem, variant in variants:
        if found.what:
            problem = Problem(f"{found.what}, and {problem.what}", f"{found.fix}; {problem.fix}")
        yield problem, variant


def _app_key_as_session_key(request: JoinRequest, devices: tuple[Device, ...]) -> Diagnosis | None:
    """Return the device whose session key is the AppKey with which a stranger asks to join."""
    named = ((device, name, key) for device in devices for name, key in _session_keys(device))
    for device, name, key in islice(named, MAX_KEYS):
        root = RootKeys(request.dev_eui, request.join_eui, key)
        if compare_digest(root.request_mic(request.signed), request.mic):
            return Diagnosis(
                device,
                Problem(
                    f"{device.id} joins (OTAA): its {name} is an AppKey",
                    f'give it dev_eui = "{request.dev_eui:016x}", join_eui = "{request.join_eui:016x}" and that key as '
                    "app_key, in place of dev_addr and session keys",
                ),
            )
    return None


def _session_keys(device: Device) -> Iterator[tuple[str, bytes]]:
    if device.link is Link.LORAWAN and device.root is None and isinstance(device.keys, SessionKeys):
        yield from zip(("nwk_skey", "app_skey"), device.keys.secrets, strict=True)


def diagnose_payload(uplink: Uplink, decode: Decode) -> Problem | None:
    """Return what is wrong with app_skey when an authentic payload cannot be decoded; None when no guess fits."""
    keys = uplink.device.keys
    if uplink.device.link is not Link.LORAWAN or not uplink.authentic or not uplink.fport or keys is None:
        return None
    app = keys.secrets[-1]
    network = keys.secrets[0]
    data = parse_data_frame(uplink.frame.phy_payload)
    for what, fix, key in (
        ("app_skey is written back to front", "write its bytes in reverse order", app[::-1]),
        ("app_skey is wrong: the payload is encrypted with nwk_skey", "write nwk_skey as app_skey, too", network),
    ):
        clear = SessionKeys(network, key).crypt(data.dev_addr, uplink.fcnt, UPLINK, uplink.fport, data.frm_payload)
        report = decode(replace(uplink, payload=clear))
        if report.problem is None and not report.warnings and report.readings:
            return Problem(f"{uplink.device.id}: {what}", fix)
    return None
