from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.lorawan.mac_commands import MacCommand, parse_mac_commands
from lora_post.lorawan.phy_payload import MType

UP, DOWN = MType.UNCONFIRMED_UP, MType.CONFIRMED_DOWN


@pytest.mark.parametrize(
    ("mtype", "commands", "found"),
    [
        (UP, "", []),
        (UP, "0206c80a", [(0x02, "LinkCheckReq", ""), (0x06, "DevStatusAns", "c80a")]),
        (UP, "0307", [(0x03, "LinkADRAns", "07")]),
        (UP, "0b01", [(0x0B, "RekeyInd", "01")]),
        (UP, "028001020d", [(0x02, "LinkCheckReq", ""), (0x80, "unknown", "01020d")]),
        (UP, "06ff", [(0x06, "DevStatusAns, cut short", "ff")]),
        (DOWN, "0206c80a", [(0x02, "LinkCheckAns", "06c8"), (0x0A, "DlChannelReq, cut short", "")]),
        (DOWN, "0350ff0001 06", [(0x03, "LinkADRReq", "50ff0001"), (0x06, "DevStatusReq", "")]),
    ],
)
def test_mac_commands_are_split_up_to_the_first_unknown(
    mtype: MType, commands: str, found: list[tuple[int, str, str]]
) -> None:
    wanted = [MacCommand(cid, name, bytes.fromhex(body)) for cid, name, body in found]
    assert parse_mac_commands(bytes.fromhex(commands), mtype) == wanted


@given(st.binary(max_size=40), st.sampled_from([UP, DOWN]))
def test_mac_commands_lose_no_byte(commands: bytes, mtype: MType) -> None:
    assert b"".join(bytes((c.cid,)) + c.body for c in parse_mac_commands(commands, mtype)) == commands
