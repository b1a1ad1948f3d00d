"""The [fleet] table, and devices with a home gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.config import parse_config
from lora_post.config.fleet import Role
from lora_post.errors import ConfigError

GATEWAY = '[gateway]\nid = "north"\n'
FLEET = '[fleet]\nservers = ["tls://hub.example.org"]\nrole = {}\n'
DEVICE = (
    '[[device]]\nid = "pond"\ndev_addr = "26011bda"\ndecoder = "cayenne-lpp"\n'
    f'nwk_skey = "{"0" * 32}"\napp_skey = "{"1" * 32}"\nhome = "north"\n'
)
HOME = '["gateway", "home"]'


def test_home_gateway() -> None:
    config = parse_config(GATEWAY + FLEET.format(HOME) + DEVICE, Path("lora-post.toml"), {})
    assert config.fleet is not None
    assert (config.fleet.roles, config.fleet.takeover_after_s) == ({Role.GATEWAY, Role.HOME}, 3600.0)
    assert [device.home for device in config.devices] == ["north"]


def test_destination_where_nothing_is_sent() -> None:
    text = GATEWAY + FLEET.format('"gateway"') + '[json_lines]\npath = "-"\n'
    assert [each.what for each in parse_config(text, Path("lora-post.toml"), {}).warnings] == [
        "[json_lines]: only an uploader of a fleet sends readings"
    ]


def test_never_taken_over_but_by_hand() -> None:
    text = GATEWAY + FLEET.format('"worker"') + 'takeover_after = "never"\n' + DEVICE
    config = parse_config(text, Path("lora-post.toml"), {})
    assert config.fleet is not None and config.fleet.takeover_after_s == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GATEWAY + DEVICE, "device pond: home is for gateways of a fleet; remove it, or add a [fleet]"),
        (GATEWAY + FLEET.format('"home"'), 'write role = ["gateway", "home"]'),
        (GATEWAY + FLEET.format('["gateway", "home", "worker"]'), 'write role = ["gateway", "home"]'),
        (GATEWAY + FLEET.format('["gateway", "home", "uploader"]'), 'write role = ["gateway", "home"]'),
        (GATEWAY.replace("north", "south") + FLEET.format(HOME) + DEVICE, 'write home = "south", or remove the device'),
        (GATEWAY + FLEET.format(HOME) + DEVICE.replace("north", "no/rth"), "home is 'no/rth'"),
        (GATEWAY + FLEET.format(HOME) + '[json_lines]\npath = "-"\n', "[json_lines]: a home gateway sends no readings"),
        (GATEWAY + FLEET.format('"worker"') + 'takeover_after = "soon"\n', 'write "1h", "2d" or "never"'),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_what_does_not_fit_is_refused_with_the_fix(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(text, Path("lora-post.toml"), {})
    assert said in str(refused.value)
