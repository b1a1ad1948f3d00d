"""Write the configuration to start from: it works as it is, and has this machine's own id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final
from uuid import uuid4

from msgspec import Struct

NETWORK: Final = Path("/sys/class/net")
MACHINE_ID: Final = Path("/etc/machine-id")
LOCALLY_MADE: Final = 0x02  # IEEE 802: the bit of addresses that a driver or a person has made up
SECRET_FILE: Final = "waziup.password"  # noqa: S105 - the name of a file

TOP: Final = """\
# lora-post: the configuration to start from, made by `lora-post init`. Change what you like, then: {check}
# What else there is: docs/configuration.md, and lora-post.example.toml for an example of everything.

[gateway]
# The id that the gateway has on Waziup, made of this machine's network address. Keep it once there are data.
id = {gateway_id}
name = {name}
# "private": only your account sees the data. "public": anybody may read it, and write to it.
visibility = "private"
"""
ACCOUNT: Final = """
[waziup]
username = {username}
password_file = {password_file}
"""
NO_ACCOUNT: Final = """
# Readings are written to a file. To send them to Waziup Cloud, add this, and the password in the file waziup.password:
# [waziup]
# username = "me"
# password_file = "waziup.password"
[json_lines]
path = {readings}
"""
SPOOL: Final = """
[spool]
# What waits to be sent.
path = {spool}
"""
REST: Final = """
[status]
# The status page: http://localhost:8080/ on this machine.
listen = "127.0.0.1:8080"

[[input]]
url = {url}
{format}
# Devices: strangers that are heard are on the status page. One with LowCostLoRaGw's header and address 6, in clear:
# [[device]]
# address = 6
# decoder = "text"
"""


class Start(Struct, frozen=True):
    """What the configuration to start from says.

    username: of Waziup Cloud, whose password is in `waziup.password`; "" writes readings to a file. url, format: of
    the input. spool, readings: paths; spool "" for the service's own. format: "" where the url tells it.
    """

    gateway_id: str
    name: str
    url: str
    format: str
    username: str = ""
    spool: str = ""
    readings: str = "readings.jsonl"


def starting_config(start: Start, check: str) -> str:
    """Return the text of the file. check: the command that tests it."""
    parts = [TOP.format(check=check, gateway_id=_quoted(start.gateway_id), name=_quoted(start.name))]
    if start.username:
        parts.append(ACCOUNT.format(username=_quoted(start.username), password_file=_quoted(SECRET_FILE)))
    else:
        parts.append(NO_ACCOUNT.format(readings=_quoted(start.readings)))
    if start.spool:
        parts.append(SPOOL.format(spool=_quoted(start.spool)))
    line = f"format = {_quoted(start.format)}\n" if start.format else ""
    parts.append(REST.format(url=_quoted(start.url), format=line))
    return "".join(parts)


def own_gateway_id(network: Path = NETWORK, machine_id: Path = MACHINE_ID) -> str:
    """Return an EUI-64 of this machine, 16 hex digits: of its network card, else of its machine-id, else random.

    A card's MAC address becomes an EUI-64 with fffe in the middle, as packet forwarders do it (IEEE, guidelines for
    EUI-64). Cables come before radio, and addresses that are made up (containers, bridges) do not count.
    """
    cards = sorted(network.iterdir(), key=lambda card: (card.name[0] != "e", card.name)) if network.is_dir() else []
    for card in cards:
        try:
            address = bytes.fromhex((card / "address").read_text("ascii").strip().replace(":", ""))
        except (OSError, ValueError):
            continue
        if len(address) == 6 and any(address) and not address[0] & LOCALLY_MADE:
            return (address[:3] + b"\xff\xfe" + address[3:]).hex()
    try:
        found = machine_id.read_text("ascii").strip()[:16].lower()
        return found if len(bytes.fromhex(found)) == 8 else uuid4().hex[:16]
    except (OSError, ValueError):
        return uuid4().hex[:16]


def _quoted(text: str) -> str:
    """Return the text as a TOML string; JSON's escapes are among TOML's."""
    return json.dumps(text)
