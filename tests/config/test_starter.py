"""A gateway's id is made of what this machine has and keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lora_post.config.starter import own_gateway_id


def site(folder: Path, cards: dict[str, str], machine_id: str = "") -> str:
    network = folder / "net"
    network.mkdir()
    for name, address in cards.items():
        (network / name).mkdir()
        (network / name / "address").write_text(f"{address}\n")
    (folder / "machine-id").write_text(machine_id)
    return own_gateway_id(network, folder / "machine-id")


@pytest.mark.parametrize(
    "cards",
    [
        {"eth0": "b8:27:eb:6e:80:a1"},
        {"wlan0": "b8:27:eb:6e:80:a2", "eth0": "b8:27:eb:6e:80:a1", "lo": "00:00:00:00:00:00"},
        {"docker0": "02:42:ac:11:00:02", "eth0": "b8:27:eb:6e:80:a1", "tun0": ""},
        {"eth0": "nonsense", "eth1": "b8:27:eb:6e:80:a1"},
    ],
)
def test_a_cable_s_address_comes_first(tmp_path: Path, cards: dict[str, str]) -> None:
    assert site(tmp_path, cards) == "b827ebfffe6e80a1"


def test_without_a_card_the_machine_s_id_is_taken(tmp_path: Path) -> None:
    found = site(tmp_path, {"veth0": "02:42:ac:11:00:02"}, "0123456789ABCDEF0123456789abcdef\n")
    assert found == "0123456789abcdef"


@pytest.mark.parametrize("machine_id", ["", "uninitialized\n", "ü"])
def test_without_anything_it_is_random(tmp_path: Path, machine_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{16}", site(tmp_path, {}, machine_id))
