from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.mac_body import Bits, Body, layout
from lora_post.lorawan.mac_commands import DOWN, UP, parse_mac_commands
from lora_post.lorawan.phy_payload import MType

UPLINK, DOWNLINK = MType.UNCONFIRMED_UP, MType.CONFIRMED_DOWN
KINDS = [(UPLINK, kind) for kind in UP] + [(DOWNLINK, kind) for kind in DOWN]


@pytest.mark.parametrize(
    ("mtype", "commands", "found"),
    [
        (UPLINK, "", []),
        (UPLINK, "0206c80a", [("LinkCheckReq", "02", True), ("DevStatusAns", "06c80a", True)]),
        (UPLINK, "028001020d", [("LinkCheckReq", "02", True), (None, "8001020d", False)]),
        (UPLINK, "06ff", [("DevStatusAns", "06ff", False)]),
        (DOWNLINK, "0206c80a", [("LinkCheckAns", "0206c8", True), ("DlChannelReq", "0a", False)]),
        (DOWNLINK, "0350ff000106", [("LinkADRReq", "0350ff0001", True), ("DevStatusReq", "06", True)]),
    ],
)
def test_mac_commands_are_split_up_to_the_first_unknown(
    mtype: MType, commands: str, found: list[tuple[str | None, str, bool]]
) -> None:
    assert [
        (each.kind and each.kind.__name__, each.raw.hex(), each.body is not None)
        for each in parse_mac_commands(bytes.fromhex(commands), mtype)
    ] == found


@given(st.binary(max_size=40), st.sampled_from([UPLINK, DOWNLINK]))
def test_mac_commands_lose_no_byte(commands: bytes, mtype: MType) -> None:
    assert b"".join(each.raw for each in parse_mac_commands(commands, mtype)) == commands


# chirpstack/chirpstack: lrwn/src/maccommand.rs has those that are marked with *.
@pytest.mark.parametrize(
    ("on_air", "body"),
    [
        ("0101", mac.ResetConf(1)),
        ("020a0f", mac.LinkCheckAns(10, 15)),  # *
        ("0312040045", mac.LinkADRReq(2, 1, 0x0004, 5, 4)),  # *
        ("0351ff0001", mac.LinkADRReq(1, 5, 0x00FF, 1, 0)),
        ("040d", mac.DutyCycleReq(13)),  # *
        ("0500d2ad84", mac.RXParamSetupReq(0, 0, 869_525_000)),
        ("06", mac.DevStatusReq()),
        ("0703184f8450", mac.NewChannelReq(3, 867_100_000, 0, 5)),
        ("080f", mac.RXTimingSetupReq(15)),  # *
        ("092f", mac.TXParamSetupReq(15, uplink_dwell=False, downlink_dwell=True)),  # *
        ("0a00287684", mac.DlChannelReq(0, 868_100_000)),  # *
        ("0b01", mac.RekeyConf(1)),  # *
        ("0caf", mac.ADRParamSetupReq(15, 10)),  # *
        ("0d34e06d531f", mac.DeviceTimeAns(1_399_709_748, 31)),
        ("0e251c", mac.ForceRejoinReq(5, 2, 4, 3)),  # *
        ("0fef", mac.RejoinParamSetupReq(15, 14)),  # *
        ("10", mac.PingSlotInfoAns()),
        ("1128768405", mac.PingSlotChannelReq(868_100_000, 5)),  # *
        ("13287684", mac.BeaconFreqReq(868_100_000)),  # *
        ("2002", mac.DeviceModeConf(2)),
    ],
)
def test_command_of_a_network_is_built_and_read(on_air: str, body: Body) -> None:
    assert body.to_bytes().hex() == on_air
    (command,) = parse_mac_commands(bytes.fromhex(on_air), DOWNLINK)
    assert command.body == body


@pytest.mark.parametrize(
    ("on_air", "body"),
    [
        ("0307", mac.LinkADRAns(channel_mask_ok=True, data_rate_ok=True, power_ok=True)),
        ("0304", mac.LinkADRAns(channel_mask_ok=False, data_rate_ok=False, power_ok=True)),
        ("0504", mac.RXParamSetupAns(channel_ok=False, rx2_data_rate_ok=False, rx1_offset_ok=True)),
        ("06c80a", mac.DevStatusAns(200, 10)),
        ("060020", mac.DevStatusAns(0, -32)),
        ("0702", mac.NewChannelAns(frequency_ok=False, data_rates_ok=True)),
        ("0a02", mac.DlChannelAns(frequency_ok=False, uplink_channel_ok=True)),
        ("0b01", mac.RekeyInd(1)),
        ("1007", mac.PingSlotInfoReq(7)),
        ("2002", mac.DeviceModeInd(2)),
    ],
)
def test_command_of_a_device_is_built_and_read(on_air: str, body: Body) -> None:
    assert body.to_bytes().hex() == on_air
    (command,) = parse_mac_commands(bytes.fromhex(on_air), UPLINK)
    assert command.body == body


def values(bits: Bits) -> st.SearchStrategy[int | bool]:
    if bits.width == 1:
        return st.booleans()
    half = 1 << bits.width - 1
    numbers = st.integers(-half, half - 1) if bits.signed else st.integers(0, 2 * half - 1)
    return numbers.map(lambda number: number * bits.unit)


@pytest.mark.parametrize(("mtype", "kind"), KINDS, ids=[kind.__name__ for _, kind in KINDS])
@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data())
def test_every_command_is_read_as_it_was_built(mtype: MType, kind: type[Body], data: st.DataObject) -> None:
    body = kind(**{name: data.draw(values(bits)) for name, bits in layout(kind)})
    (command,) = parse_mac_commands(body.to_bytes(), mtype)
    assert (command.body, command.raw) == (body, body.to_bytes())
    assert len(command.raw) == 1 + kind.size()
