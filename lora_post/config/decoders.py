"""Find the decoder of a [[device]]: its own, one by FPort, one by a [[decoder_rule]]."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from lora_post.config.device_tables import DecoderRuleTable, DeviceTable
from lora_post.errors import Problem
from lora_post.text import bare_hex

MAX_PREFIX: Final = 16


def read_decoder_rules(
    tables: Sequence[tuple[str, DecoderRuleTable]], rules: dict[str, str], mistakes: list[Problem]
) -> None:
    """Add decoders by the first digits of DevEUIs to `rules`, and what is wrong to `mistakes`.

    tables: with their places.
    """
    for place, table in tables:
        prefix = bare_hex(table.dev_eui_prefix)
        if not re.fullmatch(rf"[0-9a-f]{{1,{MAX_PREFIX}}}", prefix):
            mistakes.append(
                Problem(f"{place} dev_eui_prefix is {table.dev_eui_prefix!r}", "it must be 1 to 16 hex digits")
            )
        elif prefix in rules:
            mistakes.append(Problem(f"{place} dev_eui_prefix {prefix!r} is listed before", "keep one of the two rules"))
        if not table.decoder:
            mistakes.append(Problem(f"{place} decoder is empty", "`lora-post decoders` lists what there is"))
        rules[prefix] = table.decoder


def read_decoder(place: str, table: DeviceTable, rules: Mapping[str, str], mistakes: list[Problem]) -> str:
    """Return the device's own decoder, else that of the longest rule for its DevEUI, else ""."""
    dev_eui = bare_hex(table.dev_eui) if table.dev_eui else ""
    if table.dev_eui and not re.fullmatch(r"[0-9a-f]{16}", dev_eui):
        mistakes.append(Problem(f"{place} dev_eui is {table.dev_eui!r}", "it must be 16 hex digits"))
    decoder = table.decoder or (_by_prefix(dev_eui, rules) if dev_eui else "")
    if not decoder and not table.decoder_by_fport:
        why = f", and no [[decoder_rule]] begins like dev_eui {dev_eui}" if dev_eui else ""
        mistakes.append(Problem(f"{place}: decoder is missing{why}", 'add decoder = "…", see `lora-post decoders`'))
    return decoder


def _by_prefix(dev_eui: str, rules: Mapping[str, str]) -> str:
    """Return the decoder of the longest rule, "" without one; as quick for a thousand rules as for one."""
    prefixes = (dev_eui[:size] for size in range(MAX_PREFIX, 0, -1))
    return next((rules[prefix] for prefix in prefixes if prefix in rules), "")


def read_decoder_by_fport(place: str, table: DeviceTable, mistakes: list[Problem]) -> dict[int, str]:
    """Return the decoders of single FPorts."""
    found: dict[int, str] = {}
    for key, decoder in table.decoder_by_fport.items():
        if not re.fullmatch(r"[1-9][0-9]{0,2}", key, re.ASCII) or int(key) > 255:
            mistakes.append(Problem(f"{place} decoder_by_fport has {key!r}", "an FPort is a number from 1 to 255"))
        elif not decoder:
            mistakes.append(Problem(f"{place} decoder_by_fport {key} is empty", "name a decoder, or remove the FPort"))
        else:
            found[int(key)] = decoder
    if found and table.address is not None:
        mistakes.append(Problem(f"{place} decoder_by_fport: devices with `address` send no FPort", "use decoder"))
    return found
