from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.config import Config, parse_config
from lora_post.errors import ConfigError
from lora_post.model import ActuatorRule, DeviceClass

HEAD = '[gateway]\nid = "gw1"\n'
DEVICE = (
    '[[device]]\nid = "valve"\ndecoder = "xlpp"\ndev_addr = "26011bda"\n'
    f'nwk_skey = "{"11" * 16}"\napp_skey = "{"22" * 16}"\n'
)
ACTUATOR = '[[device.actuator]]\nname = "pump"\n'


def read(text: str) -> Config:
    return parse_config(HEAD + text, Path("lora-post.toml"), {})


def test_actuators_are_read() -> None:
    (device,) = read(
        DEVICE
        + 'class = "C"\n'
        + ACTUATOR
        + 'payloads = { on = "01 01" }\nport = 7\nconfirmed = true\nexpires = "10min"\n'
        + '[[device.actuator]]\nname = "lamp"\n'
    ).devices
    assert device.device_class is DeviceClass.C
    pump = ActuatorRule("pump", 7, True, 600.0, {"on": b"\x01\x01"})
    assert device.actuators == (pump, ActuatorRule("lamp"))
    assert device.actuator("pump") == pump and device.actuator("other") == ActuatorRule("other")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (DEVICE + ACTUATOR + ACTUATOR, "name 'pump' is there twice; put both into one"),
        (DEVICE + '[[device.actuator]]\nname = ""\n', "name is empty; it is the actuator's id on Waziup"),
        (DEVICE + ACTUATOR + "port = 0\n", "port is 0; FPorts of applications are 1 to 223"),
        (DEVICE + ACTUATOR + 'expires = "soon"\n', "expires is 'soon'; write"),
        (DEVICE + ACTUATOR + 'payloads = { on = "01" }\n', "payloads need a port; see the device's manual"),
        (DEVICE + ACTUATOR + 'port = 1\npayloads = { on = "0" }\n', "payloads.on: 1 hex digits"),
        (DEVICE + ACTUATOR + 'port = 1\npayloads = { on = "AQI=" }\n', "payloads.on: base64, want hex"),
        (DEVICE + 'class = "B"\n', "class"),
        (
            '[[device]]\nid = "old"\naddress = 6\ndecoder = "text"\nclass = "C"\n',
            "class: only LoRaWAN devices that are answered here have a class; remove it",
        ),
        (
            '[waziup]\nusername = "a"\npassword = "b"\nactuators = "15min"\n',
            "[waziup] actuators needs [network]; add it",
        ),
        (
            '[network]\nregion = "EU868"\n[waziup]\nusername = "a"\npassword = "b"\nactuators = "1s"\n',
            "[waziup] actuators is '1s'; write",
        ),
    ],
)
def test_mistake_is_told_with_the_fix(text: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert mistake in str(caught.value)
