"""Keys that are given by hand, as options or in the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click
from msgspec import Struct

from lora_post.errors import ConfigError
from lora_post.lorawan.join_messages import REQUEST_SIZE, parse_join_request
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import KEY_SIZE, AnySessionKeys, SessionKeys, SessionKeys11
from lora_post.text import plural

_SESSION_10: Final = ("nwk_skey", "app_skey")
_SESSION_11: Final = ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_skey")
_HELP: Final = {
    "nwk_skey": "NwkSKey, which the MIC is checked with. From the variable, it stays out of the shell's history.",
    "app_skey": "AppSKey, which the payload is decrypted with.",
    "f_nwk_s_int_key": "LoRaWAN 1.1: FNwkSIntKey.",
    "s_nwk_s_int_key": "LoRaWAN 1.1: SNwkSIntKey.",
    "nwk_s_enc_key": "LoRaWAN 1.1: NwkSEncKey.",
    "app_key": "AppKey, for a join-request or a join-accept.",
    "nwk_key": "LoRaWAN 1.1: NwkKey, in place of AppKey.",
}
_F = TypeVar("_F", bound=Callable[..., Any])


class HandKeys(Struct, frozen=True):
    """The keys of a session, and the root keys of a join; None where they are not given."""

    session: AnySessionKeys | None = None
    app_key: bytes | None = None
    nwk_key: bytes | None = None

    def __repr__(self) -> str:
        return "HandKeys()"  # they are secrets

    def root(self, phy_payload: bytes) -> RootKeys | None:
        """Return the root keys of the device that a join is of; a join-accept does not name it."""
        if self.app_key is None and self.nwk_key is None:
            return None
        dev_eui = join_eui = 0
        if len(phy_payload) == REQUEST_SIZE:
            request = parse_join_request(phy_payload)
            dev_eui, join_eui = request.dev_eui, request.join_eui
        return RootKeys(dev_eui, join_eui, self.app_key or bytes(KEY_SIZE), self.nwk_key)


def key_options(command: _F) -> _F:
    """Add an option for each key to a command, which gets them as `keys` by name."""
    for name, text in reversed(_HELP.items()):
        option = f"--{name.replace('_', '-')}"
        variable = f"LORA_POST_{name.upper()}"
        command = click.option(option, name, envvar=variable, show_envvar=True, metavar="HEX", help=text)(command)
    return command


def read_hand_keys(given: Mapping[str, str | None]) -> HandKeys:
    """Return the keys given by hand. Raises ConfigError, which does not show them."""
    keys = {name: _key(name, text) for name, text in given.items() if text}
    is_11 = any(name in keys for name in _SESSION_11[:-1])
    if is_11 and "nwk_skey" in keys:
        raise ConfigError("--nwk-skey is a key of LoRaWAN 1.0, --nwk-s-enc-key of 1.1", fix="give those of one version")
    wanted = _SESSION_11 if is_11 else _SESSION_10
    missing = [name for name in wanted if name not in keys]
    session: AnySessionKeys | None = None
    if len(missing) < len(wanted):
        if missing:
            all_of = "both keys" if len(wanted) == 2 else "all four keys"
            raise ConfigError(f"{_option(missing[0])} is missing", fix=f"a frame is opened with {all_of}")
        session = (SessionKeys11 if is_11 else SessionKeys)(*(keys[name] for name in wanted))
    return HandKeys(session, keys.get("app_key"), keys.get("nwk_key"))


def _key(name: str, text: str) -> bytes:
    digits = re.sub(r"[\s:]", "", text).removeprefix("0x")
    if not re.fullmatch(r"[0-9A-Fa-f]{32}", digits):
        raise ConfigError(
            f"{_option(name)} has {plural(len(digits), 'character')}", fix=f"it must be {2 * KEY_SIZE} hex digits"
        )
    return bytes.fromhex(digits)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
