"""Take the pictures of docs/status-page.md: a real `lora-post run` with a made-up day of a farm, as Chromium shows it.

python -m tests.screenshot
"""

from __future__ import annotations

import math
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

import requests
from msgspec import Struct
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from lora_post.lorawan.session_keys import SessionKeys
from lora_post.lowcost import header as lowcost
from lora_post.model import Frame, RxInfo
from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.server import running_sandbox
from lora_post.simulate.format_writers import lowcost_text
from lora_post.uplink.unlock import seal_lorawan
from tests.support.browser import browser
from tests.support.command import started, wait_until
from tests.support.paths import ROOT
from tests.support.ports import free_port

PICTURES: Final = {"status-page.png": ("", 560), "status-page-device.png": ("#/device/farm-26011bd3", 960)}
"""File in docs → address of the view, height."""
WIDTH: Final = 730
DAY_S: Final = 86_400
MINUTE_S: Final = 60
STRANGER: Final = 0x260B5C01

Payload = Callable[[float, Random], bytes]


class Node(Struct, frozen=True):
    """A made-up device. payload: part of the day, noise -> what it sends. lost: share of frames that nobody hears."""

    name: str
    decoder: str
    fport: int
    payload: Payload
    every_s: int
    rssi: int
    sf: int
    lost: float = 0.0


def sun(of_day: float) -> float:
    """-1 at three in the night, 1 at three in the afternoon."""
    return math.sin((of_day - 0.375) * 2 * math.pi)


def _pond(of_day: float, random: Random) -> bytes:
    water, air = 25.4 + 1.8 * sun(of_day - 0.1), 27 + 6 * sun(of_day) + random.uniform(-0.3, 0.3)
    return struct.pack(">BBhBBhBBh", 1, 0x67, round(water * 10), 2, 0x67, round(air * 10), 3, 2, 368)


def _weather(of_day: float, random: Random) -> bytes:
    air, humidity = 27 + 6 * sun(of_day) + random.uniform(-0.3, 0.3), 64 - 18 * sun(of_day) + random.uniform(-2, 2)
    return struct.pack("<BBBBBhBBB", 1, 0x75, 92, 3, 0x67, round(air * 10), 4, 0x68, round(humidity * 2))


def _cold_store(of_day: float, random: Random) -> bytes:
    inside, humidity = 4.2 + 0.6 * math.sin(of_day * 40) + random.uniform(-0.1, 0.1), 81 + random.uniform(-1, 1)
    return struct.pack(">HhHBhBB", 0xCBF6, round(inside * 100), round(humidity * 10), 1, round(inside * 90), 0, 0)


def _field(of_day: float, random: Random) -> bytes:
    moisture = 31 - 6 * of_day + (8 if of_day > 0.75 else 0) + random.uniform(-0.1, 0.1)
    temperature = 24 + 2.5 * sun(of_day - 0.15)
    return struct.pack(">HhHhHB", 3312, 0, round(moisture * 100), round(temperature * 100), 214, 0)


def _tank(of_day: float, random: Random) -> bytes:
    distance = 700 + 900 * (of_day * 2 % 1) + random.uniform(-4, 4)  # filled twice a day
    return struct.pack(">HHBhB", 3604, round(distance), 0, 0, 1)


def _greenhouse(of_day: float, random: Random) -> bytes:
    air, humidity = 30 + 7 * sun(of_day) + random.uniform(-0.4, 0.4), 70 - 15 * sun(of_day)
    return f"\\!TC/{air:.1f}/HU/{humidity:.0f}/BATV/3.61".encode()


NODES: Final = (
    Node("Pond 7", "cayenne-lpp", 2, _pond, 20 * MINUTE_S, -97, 9),
    Node("Cold store", "dragino-lht65", 2, _cold_store, 20 * MINUTE_S, -83, 7),
    Node("Maize field", "dragino-lse01", 2, _field, 20 * MINUTE_S, -113, 12, lost=0.06),
    Node("Weather mast", "milesight-em300-th", 85, _weather, 10 * MINUTE_S, -71, 7),
    Node("Water tank", "dragino-ldds75", 2, _tank, 20 * MINUTE_S, -102, 10),
)
GREENHOUSE: Final = Node("Greenhouse", "text", 0, _greenhouse, 15 * MINUTE_S, -64, 12)
"""A LowCostLoRaGw device that sends text in clear."""
ADDRESS: Final = 6


def main() -> None:
    """Write the pictures; the page is the one of this moment, so they are never twice the same."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, running_sandbox(Settings(users={"demo": "demo"})) as server:
        site = Path(folder) / "site.toml"
        site.write_text(_configuration(server))
        site.chmod(0o600)
        with started("run", "-c", str(site), "--status", f"127.0.0.1:{port}", "-q") as process:
            assert process.stdin is not None
            process.stdin.write(_capture(time.time()))
            url = f"http://127.0.0.1:{port}/"
            wait_until(lambda: _is_quiet(url), "not everything is delivered")
            for name, (view, height) in PICTURES.items():
                path = ROOT / "docs" / name
                path.write_bytes(_picture(url + view, height))
                sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


def _keys(index: int) -> SessionKeys:
    return SessionKeys(bytes([index + 1] * 16), bytes([index + 101] * 16))


def _configuration(server: str) -> str:
    tables = [
        '[gateway]\nid = "farm"\nname = "Lake farm"\n',
        '[spool]\npath = "spool.db"\n',
        f'[waziup]\nurl = "{server}"\nusername = "demo"\npassword = "demo"\n',
        f'[[device]]\naddress = {ADDRESS}\nname = "{GREENHOUSE.name}"\ndecoder = "text"\n',
        _renamed("TC", "temperature", "°C") + _renamed("HU", "humidity", "%") + _renamed("BATV", "battery", "V"),
    ]
    for index, node in enumerate(NODES):
        tables.append(
            f'[[device]]\ndev_addr = "{_dev_addr(index):08x}"\nname = "{node.name}"\ndecoder = "{node.decoder}"\n'
            f'nwk_skey = "{bytes([index + 1]).hex() * 16}"\napp_skey = "{bytes([index + 101]).hex() * 16}"\n'
        )
        if node.name == "Pond 7":
            tables += [_renamed("temperature_1", "water"), _renamed("temperature_2", "air")]
            tables += [_renamed("analog_in_3", "battery", "V")]
    return "\n".join(tables)


def _renamed(name: str, new: str, unit: str | None = None) -> str:
    return f'[[device.sensor]]\nname = "{name}"\nrename = "{new}"\n' + (f'unit = "{unit}"\n' if unit else "")


def _dev_addr(index: int) -> int:
    return 0x26011BD0 + index


def _capture(now_s: float) -> bytes:
    """What LowCostLoRaGw's radio program printed in the day until now."""
    random = Random(7)
    frames = [frame for index, node in enumerate(NODES) for frame in _lorawan(index, node, now_s, random)]
    frames += _lowcost(GREENHOUSE, now_s, random)
    keys = SessionKeys(bytes(16), bytes(16))
    frames += [
        _frame(now_s - ago_s, seal_lorawan(keys, STRANGER, 500 - ago_s // MINUTE_S, 1, bytes(9)), -108, 10)
        for ago_s in (42 * MINUTE_S, 12 * MINUTE_S)
    ]
    frames.sort(key=lambda frame: frame.time_us)
    return b"".join(lowcost_text(frame, count) for count, frame in enumerate(frames))


def _lorawan(index: int, node: Node, now_s: float, random: Random) -> Iterator[Frame]:
    for fcnt, time_s in enumerate(_times(node, index, now_s)):
        payload = node.payload(time_s % DAY_S / DAY_S, random)
        packet = seal_lorawan(_keys(index), _dev_addr(index), fcnt, node.fport, payload)
        if random.random() >= node.lost:
            yield _frame(time_s, packet, node.rssi + random.randint(-3, 3), node.sf)


def _lowcost(node: Node, now_s: float, random: Random) -> Iterator[Frame]:
    for seq, time_s in enumerate(_times(node, len(NODES), now_s)):
        head = lowcost.build_header(lowcost.Header(lowcost.GATEWAY, lowcost.DATA, ADDRESS, seq % 256))
        payload = node.payload(time_s % DAY_S / DAY_S, random)
        yield _frame(time_s, head + payload, node.rssi + random.randint(-3, 3), node.sf)


def _times(node: Node, place: int, now_s: float) -> list[float]:
    """When it sent in the day until now; places apart by some minutes."""
    last_s = now_s - 45 - 140 * place
    return [last_s - node.every_s * step for step in reversed(range(DAY_S // node.every_s))]


def _frame(time_s: float, packet: bytes, rssi: int, sf: int) -> Frame:
    return Frame("farm", int(time_s * 1e6), packet, RxInfo(rssi, 10 - (sf - 7) * 3, sf, 125.0, "4/5", 868.1))


def _is_quiet(url: str) -> bool:
    try:
        page = requests.get(f"{url}status.json", timeout=10).json()
    except requests.ConnectionError:
        return False
    is_heard = all("last" in device for device in page["devices"])
    [waziup] = page["state"]["destinations"]
    return is_heard and page["verdict"]["kind"] == "good" and "last" in waziup and "queued" not in waziup


def _picture(url: str, height: int) -> bytes:
    with browser(WIDTH, height) as chromium:
        chromium.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        chromium.get(url)
        WebDriverWait(chromium, 20).until(lambda b: b.find_element(By.ID, "link").text == "live")
        if "#" in url:
            WebDriverWait(chromium, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#plots svg"))
        return bytes(chromium.get_screenshot_as_png())


if __name__ == "__main__":
    main()
