"""A value that is set on Waziup arrives at a device, and what became of it is on Waziup: sandbox, forwarder, device."""

from __future__ import annotations

import signal
from base64 import b64decode
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.lorawan.session_keys import DOWNLINK
from lora_post.spool.spool_file import SpoolFile
from tests.support.command import PATIENCE_S, started, wait_until
from tests.support.forwarder import Forwarder, JoiningDevice
from tests.support.in_process import lora_post
from tests.support.ports import free_port
from tests.support.seal import ROOT_10
from tests.support.waziup import Waziup, waziup

ANNOUNCED = bytes.fromhex("006700e1fc018e")  # XLPP: 22.5 °C, a switch
APP_KEY = ROOT_10.secrets[0].hex()


def write(folder: Path, server: Waziup, port: int) -> None:
    (folder / "site.toml").write_text(
        '[gateway]\nid = "farm-1"\n[spool]\npath = "spool.db"\n[network]\nregion = "EU868"\n'
        f'[waziup]\nurl = "{server.url}"\nusername = "admin"\npassword = "admin"\nactuators = "10s"\n'
        f'[[input]]\nurl = "udp://127.0.0.1:{port}"\n'
        f'[[device]]\nid = "valve"\ndev_eui = "{ROOT_10.dev_eui:016x}"\njoin_eui = "{ROOT_10.join_eui:016x}"\n'
        f'app_key = "{APP_KEY}"\ndecoder = "xlpp"\n'
        '[[device.actuator]]\nname = "lamp"\nport = 7\npayloads = { on = "01", off = "00" }\nexpires = "1h"\n'
    )
    (folder / "site.toml").chmod(0o600)


def payload_of(end: JoiningDevice, txpk: dict[str, str]) -> tuple[int | None, bytes]:
    data = parse_data_frame(b64decode(txpk["data"]))
    assert end.keys
    return data.fport, end.keys.crypt(data.dev_addr, data.fcnt16, DOWNLINK, data.fport or 0, data.frm_payload)


@pytest.mark.long
def test_value_that_is_set_on_waziup_arrives_and_its_state_comes_back(tmp_path: Path) -> None:
    port, end = free_port(), JoiningDevice(ROOT_10)
    with waziup() as server:
        write(tmp_path, server, port)
        with started("run", "-c", "site.toml", cwd=tmp_path) as process, Forwarder(port) as forwarder:
            forwarder.ask()
            forwarder.push(end.request(), 1_000_000)
            end.hear(forwarder.pull_resp())
            forwarder.push(end.uplink(ANNOUNCED), 20_000_000)
            wait_until(lambda: "actuator_switch_0" in actuators(server), "the actuator is not announced")
            old = {"id": "lamp", "actuator_value_type": "string", "value": "on"}
            assert server.call("POST", "/devices/valve/actuators", json=old).status_code == 204
            wait_until(lambda: seen(tmp_path, "lamp") == '"on"', "the actuator was not seen")
            assert server.call("PUT", "/devices/valve/actuators/actuator_switch_0/value", json=True).status_code == 204
            wait_until(lambda: "valve  100  008e01" in listed(tmp_path), "nothing is queued")
            forwarder.push(end.uplink(ANNOUNCED), 40_000_000)
            assert payload_of(end, forwarder.pull_resp()) == (100, bytes.fromhex("008e01"))
            wait_until(lambda: states(server, "actuator_switch_0") == ["sent"], "its state is not on Waziup")
            for value in ("off", "blue"):
                server.call("PUT", "/devices/valve/actuators/lamp/value", json=value)
                wait_until(lambda value=value: seen(tmp_path, "lamp") == f'"{value}"', "a value was not seen")  # type: ignore[misc]
            forwarder.push(end.uplink(ANNOUNCED), 60_000_000)
            assert payload_of(end, forwarder.pull_resp()) == (7, b"\x00")
            assert "refused: xlpp: 'lamp' is not the name of an actuator" in listed(tmp_path)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)


def actuators(server: Waziup) -> list[str]:
    answer = server.call("GET", "/devices/valve/actuators")
    return [each["id"] for each in answer.json()] if answer.status_code == 200 else []


def states(server: Waziup, actuator: str) -> list[object]:
    return server.values("valve", f"{actuator}_state")


def seen(folder: Path, actuator: str) -> str:
    """The last value of an actuator that was seen, as JSON."""
    with closing(SpoolFile(folder / "spool.db")) as spool_file:
        rows = spool_file.rows("SELECT value FROM known WHERE what = ?", (f"valve/{actuator}",))
    return str(rows[0][0]) if rows else ""


def listed(folder: Path) -> str:
    return lora_post("downlink", "list", "-c", folder / "site.toml").out
