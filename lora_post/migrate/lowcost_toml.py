"""Write a LowCostLoRaGw installation as a lora-post.toml with the same devices and sensors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from msgspec import Struct

from lora_post.migrate.lowcost_installation import DEFAULT_KEY, ENCRYPTED, Address, KeyPair, Site
from lora_post.model import Link
from lora_post.text import printable

HEAD = """\
# Made from a LowCostLoRaGw installation; the Waziup names of devices and sensors are as they were.
# It holds secrets:  chmod 640 lora-post.toml        Then run:  lora-post check
"""
INPUT = """
# What the radio program prints:  sudo stdbuf -oL ./lora_gateway | sudo lora-post run
# (with --raw where there are LoRaWAN devices)
[[input]]
url = "stdin:"
format = "lowcost"
"""
WAZIUP_OFF = """
# The Waziup cloud was switched off in clouds.json ("enabled": false), so readings go to a file. To send them to Waziup
# as well, add [waziup] with username and password_file.
[json_lines]
path = "readings.jsonl"
"""
OTHERS = """
# Any other device is refused, and the log says which lines would let it in. So that it goes on under its old name,
# give it the id that the old uploader gave it, with its address in the place of ADDRESS (LoRaWAN: 0x and the DevAddr
# in 8 digits and capital letters):
# [[device]]
# address = ADDRESS
# id = {id}
# decoder = "text"
"""
SWITCHES = {
    ("gateway_conf", "dht22"): "the gateway's own temperature sensor (dht22) is not read",
    ("gateway_conf", "downlink"): "downlinks are not sent",
    ("gateway_conf", "aux_radio"): "the auxiliary radio (aux_radio) is not used",
    ("alert_conf", "use_sms"): "text messages about alerts are not sent",
    ("status_conf", "dynamic_gps"): "the gateway's own position (dynamic_gps) is not sent",
    ("gateway_conf", "lsc"): "LSC is switched on: give the devices that encrypt with it their lsc_key, from key_LSC.py",
}


class Imported(Struct, frozen=True):
    """A configuration. devices: how many it has. left_out: what is not carried over, in words."""

    text: str
    devices: int
    left_out: tuple[str, ...]


def import_site(site: Site, heard: Mapping[Address, int], own_id: str = "") -> Imported:
    """Return an installation as a configuration.

    heard: addresses in the old program's logs, with the bits of their packet types. own_id: the gateway's id where the
    installation has a placeholder.
    """
    left_out = [*site.missing, *_left_out(site, heard)]
    alerts, why = _alerts(site)
    if why:
        left_out.append(why)
    tables: list[str] = []
    for address in _addresses(site, heard):
        keys = _keys_of(site, address)
        if keys is None and address.link is Link.LORAWAN:
            left_out.append(f"LoRaWAN device {address.text}: there are neither keys for it nor default ones")
            continue
        if address.link is Link.LORAWAN and not _has_own_keys(site, address):
            file = "key_LoRaWAN.py" if DEFAULT_KEY in site.lorawan_keys else "key_AES.py"
            left_out.append(f"LoRaWAN device {address.text} has no keys of its own: it gets the default ones of {file}")
        tables.append(_device(site, address, keys, is_encrypted=bool(heard.get(address, 0) & ENCRYPTED)))
    if not tables:
        left_out.append(
            "no device is known; name the old program's logs with --log, or add devices when they are refused"
        )
    parts = [
        HEAD,
        *(_comment(f"NOT CARRIED OVER: {line}") for line in left_out),
        _gateway(site, own_id),
        _waziup(site),
        alerts,
        INPUT,
    ]
    return Imported(
        "".join([*parts, *tables, OTHERS.format(id=_quoted(site.device_id("ADDRESS")))]), len(tables), tuple(left_out)
    )


def _addresses(site: Site, heard: Mapping[Address, int]) -> list[Address]:
    """Return the known senders whose values the old uploader took, sorted."""
    if site.source_list:
        return sorted(set(site.source_list))
    keyed = (int(name, 16) for name in site.keys if name != DEFAULT_KEY)
    known = (Address(Link.LOWCOST if 1 < number < 256 else Link.LORAWAN, number) for number in keyed)
    lorawan = (Address(Link.LORAWAN, int(name, 16)) for name in site.lorawan_keys if name != DEFAULT_KEY)
    return sorted({*heard, *known, *lorawan})


def _keys_of(site: Site, address: Address) -> KeyPair | None:
    """Return the keys that the old program opened the frames of a device with, the default ones last."""
    name = f"{address.number:08X}"
    if address.link is Link.LOWCOST:
        return site.keys.get(name) or site.keys.get(DEFAULT_KEY)
    places = ((site.lorawan_keys, name), (site.keys, name), (site.lorawan_keys, DEFAULT_KEY), (site.keys, DEFAULT_KEY))
    return next((keys[label] for keys, label in places if label in keys), None)


def _has_own_keys(site: Site, address: Address) -> bool:
    name = f"{address.number:08X}"
    return name in site.keys or (address.link is Link.LORAWAN and name in site.lorawan_keys)


def _gateway(site: Site, own_id: str) -> str:
    visibility = site.visibility if site.visibility in ("private", "public") else "private"
    lines = [f"id = {_quoted(site.gateway_id)}", f'visibility = "{visibility}"']
    if not site.has_own_id and own_id:
        lines[:1] = [
            _comment(f"{site.gateway_id} stood here, which is no id but its placeholder; this one is made of this"),
            "# machine's network address. Put the gateway's own id here, if it has one on Waziup already.",
            f"id = {_quoted(own_id)}",
        ]
    return "\n[gateway]\n" + "".join(f"{line.rstrip()}\n" for line in lines)


def _alerts(site: Site) -> tuple[str, str]:
    """Return the [alerts] table of who got mails, and why there is none or not all of it; "" for nothing."""
    if not _is_on(site, "alert_conf", "use_mail"):
        return "", ""
    conf = site.conf["alert_conf"]
    to, sender, host, password = (
        str(conf.get(key, "")).strip() for key in ("contact_mail", "mail_from", "mail_server", "mail_passwd")
    )
    first, *others = [each.strip() for each in to.split(",")]
    wrong = [key for key, text in (("contact_mail", first), ("mail_from", sender)) if text.count("@") != 1]
    wrong += [key for key, text in (("mail_server", host), ("mail_passwd", password)) if not text]
    if wrong:
        return "", f"mails about alerts are not sent: {', '.join(wrong)} is not filled in (alert_conf)"
    lines = [
        "[alerts]",
        f"email = {_quoted(first)}",
        f"email_from = {_quoted(sender)}",
        f"smtp = {_quoted('smtp://' + quote(sender, safe='') + '@' + host)}",
        f"smtp_password = {_quoted(password)}",
    ]
    why = f"mails about alerts go to {first} alone, not to {', '.join(others)}" if others else ""
    return "\n" + "".join(f"{line}\n" for line in lines), why


def _waziup(site: Site) -> str:
    if site.is_waziup_off:
        return WAZIUP_OFF
    lines = ["\n[waziup]\n"]
    if site.server and "//api.waziup.io" not in site.server:
        lines.append(f"url = {_quoted(site.server.rstrip('/').removesuffix('/v1').removesuffix('/v2') + '/v2')}\n")
    if site.username == "guest":
        lines.append(
            "# As guest: values go to the devices and sensors that exist already. With an account of your own, say so\n"
        )
        lines.append('# here (username, password), and provision = "auto" creates new ones.\nprovision = "never"\n')
    else:
        lines.append(f"username = {_quoted(site.username)}\npassword = {_quoted(site.password.reveal())}\n")
    return "".join(lines)


def _device(site: Site, address: Address, keys: KeyPair | None, *, is_encrypted: bool) -> str:
    lines = ["\n[[device]]"]
    is_lorawan = address.link is Link.LORAWAN
    lines.append(f'dev_addr = "{address.text}"' if is_lorawan else f"address = {address.number}")
    lines.append(f"id = {_quoted(site.device_id(address))}")
    lines.append('decoder = "text"')
    if keys is not None:
        has_own = _has_own_keys(site, address)
        pair = [f'nwk_skey = "{keys.nwk_skey.reveal()}"', f'app_skey = "{keys.app_skey.reveal()}"']
        if is_lorawan or is_encrypted or has_own:
            if not is_lorawan:
                lines.append("# With keys it is believed only when it encrypts; if it sends in clear, take them out.")
            lines += pair
        elif _is_on(site, "gateway_conf", "aes") or _is_on(site, "gateway_conf", "aes_lorawan"):
            lines.append("# If it encrypts, which the log then says (no-key), these are its keys:")
            lines += [f"# {line}" for line in pair]
    if not is_lorawan and site.app_keys and _is_on(site, "gateway_conf", "wappkey"):
        lines.append(f"app_keys = [{', '.join(_quoted(key.reveal()) for key in site.app_keys)}]")
    return "\n".join(lines) + "\n"


def _left_out(site: Site, heard: Mapping[Address, int]) -> Iterator[str]:
    if site.is_waziup_off:
        yield "the Waziup cloud is switched off in clouds.json, so nothing is sent to it now either"
    if not site.has_own_id:
        yield f"gateway_ID is {site.gateway_id}, the placeholder of the file that is shipped: see id in [gateway]"
    for name in site.clouds:
        yield f"the cloud {name!r} is switched on; lora-post sends to Waziup"
    for (table, key), text in SWITCHES.items():
        if _is_on(site, table, key):
            yield text
    if site.source_list:
        for address in sorted(heard.keys() - set(site.source_list)):
            yield f"{address.text} was heard, but source_list does not have it, so Waziup never got its values"
    if _is_on(site, "gateway_conf", "wappkey") and not site.app_keys:
        yield "application keys are asked for (wappkey), but key_AppKey.py has none: any key is accepted now"
    if site.visibility not in ("private", "public"):
        yield f"visibility {site.visibility!r} is neither private nor public; it is private now"
    if "/api/v1" in site.server:
        yield f"the server's address {site.server!r} is of the first API; the second one, /api/v2, is used"


def _is_on(site: Site, table: str, key: str) -> bool:
    return site.conf.get(table, {}).get(key) not in (None, False, 0, "", "0", "false")


def _quoted(text: str) -> str:
    """Return a text as a TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return f"# {printable(text)}\n"
