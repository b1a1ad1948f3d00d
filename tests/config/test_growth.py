"""Loading a configuration takes work for each device, and not for each pair of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lora_post.config import load_what_works

GATEWAY = '[gateway]\nid = "gw1"\n[json_lines]\npath = "-"\n'
FEW, MANY = 30, 240
SAME_ADDRESS = 'dev_addr = "26011bda"\nnwk_skey = "{0:032x}"\napp_skey = "{0:032x}"\ndecoder = "text"\n'
JOINING = 'dev_eui = "{0:016x}"\njoin_eui = "{1:016x}"\napp_key = "{0:032x}"\ndecoder = "text"\n'
MISTAKEN = 'dev_addr = "26011bda"\nnwk_skey = "{0:x}"\ndecoder = "text"\nwrong_key = 1\n'
BY_RULE = 'dev_eui = "{0:016x}"\n'
RULE = '[[decoder_rule]]\ndev_eui_prefix = "{0:016x}"\ndecoder = "text"\n'


@pytest.mark.parametrize(
    ("device", "rule"), [(SAME_ADDRESS, ""), (JOINING, ""), (MISTAKEN, ""), (BY_RULE, RULE)], ids=str.split
)
def test_work_grows_with_the_devices(device: str, rule: str, tmp_path: Path) -> None:
    few, many = (_lines_run(_write(tmp_path, device, rule, count)) for count in (FEW, MANY))
    assert many / few < 1.1 * MANY / FEW


def _write(folder: Path, device: str, rule: str, count: int) -> Path:
    numbers = [(index + 1, index + 1_000_000) for index in range(count)]
    path = folder / "site.toml"
    path.write_text(
        GATEWAY
        + "".join(rule.format(*each) for each in numbers)
        + "".join("[[device]]\n" + device.format(*each) for each in numbers)
    )
    path.chmod(0o600)
    return path


def _lines_run(path: Path) -> int:
    """How many lines of Python it takes, which is the same on every machine."""
    lines = 0

    def count(frame: object, event: str, argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)  # type: ignore[arg-type]
    try:
        load_what_works(path)
    finally:
        sys.settrace(before)
    return lines
