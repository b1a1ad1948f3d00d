"""Devices join at the installed command: a packet forwarder and devices as the other ends, over real sockets."""

from __future__ import annotations

import json
import signal
import time
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from lora_post.lorawan.mac_commands import LinkCheckAns
from lora_post.lorawan.root_keys import RootKeys
from tests.support.basics_station import BasicsStation
from tests.support.command import PATIENCE_S, packet, run, started, wait_until
from tests.support.forwarder import Forwarder, JoiningDevice
from tests.support.joining_site import WARM, Site
from tests.support.ports import free_port
from tests.support.seal import ROOT_10, ROOT_11


@pytest.mark.parametrize("root", [ROOT_10, ROOT_11], ids=["1.0", "1.1"])
def test_device_joins_and_its_uplink_becomes_a_reading(root: RootKeys, tmp_path: Path) -> None:
    site, end = Site(tmp_path, root), JoiningDevice(root)
    with site.running() as forwarder:
        forwarder.push(end.request(), 1_000_000)
        txpk = forwarder.pull_resp()
        assert (txpk["tmst"], txpk["freq"], txpk["datr"]) == (6_000_000, 868.1, "SF7BW125")
        end.hear(txpk)
        forwarder.push(end.uplink(WARM), 20_000_000)
        wait_until(lambda: site.values() == [22.5], "no reading")
    # the session survives a restart, and so does the order of JoinNonces
    with site.running() as forwarder:
        forwarder.push(end.uplink(bytes.fromhex("036700f0")), 1_000)
        wait_until(lambda: site.values() == [22.5, 24], "no reading")
        forwarder.push(end.request(), 2_000)
        end.hear(forwarder.pull_resp())


def test_gateway_that_is_too_late_for_rx1_is_given_rx2(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    with site.running() as forwarder:
        forwarder.push(end.request(), 2**32 - 1_000_000)
        assert forwarder.pull_resp("TOO_LATE")["tmst"] == 4_000_000
        second = forwarder.pull_resp()
        assert (second["tmst"], second["freq"], second["datr"]) == (5_000_000, 869.525, "SF12BW125")
        end.hear(second)


def test_copy_of_another_gateway_gets_no_answer(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    with site.running() as forwarder, Forwarder(site.port, "b827ebfffe445566") as other:
        other.ask()
        request = end.request()
        forwarder.push(request, 1_000_000)
        end.hear(forwarder.pull_resp())
        other.push(request, 5)
        assert other.has_nothing() and forwarder.has_nothing()


@pytest.mark.long
def test_best_of_two_gateways_answers_and_the_other_one_when_that_refuses(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    with site.running() as near, Forwarder(site.port, "b827ebfffe445566") as far:
        far.ask()
        near.push(end.request(), 1_000_000)
        end.hear(near.pull_resp())
        uplink = end.uplink(WARM)
        near.push(uplink, 20_000_000)
        far.push(uplink, 500)
        wait_until(lambda: site.values() == [22.5], "no reading")
        for snr, answering, other in ((-7.0, near, far), (9.0, far, near)):
            uplink = end.uplink(WARM, confirmed=True)
            far.push(uplink, 40_000_000, snr=snr)
            near.push(uplink, 60_000_000, snr=2.0)
            assert answering.pull_resp("TOO_LATE")["tmst"] % 10_000_000 == 5_000_000
            assert other.pull_resp()["tmst"] % 10_000_000 == 5_000_000
            assert answering.has_nothing() and other.has_nothing()


@pytest.mark.parametrize(
    ("network", "transmit"),
    [("", ""), ('[network]\nregion = "EU868"\n', "transmit = false\n")],
    ids=["without [network]", "silent"],
)
def test_nothing_is_sent_where_nothing_is_to_be_sent(network: str, transmit: str, tmp_path: Path) -> None:
    site = Site(tmp_path, ROOT_10, network=network, transmit=transmit)
    with site.running() as forwarder:
        forwarder.push(JoiningDevice(ROOT_10).request(), 1_000_000)
        assert forwarder.has_nothing()


def test_device_without_memory_joins_again_after_its_nonces_were_reset(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    with site.running() as forwarder:
        for tmst in (1_000_000, 60_000_000):
            forwarder.push(end.request(), tmst)
            end.hear(forwarder.pull_resp())
        end.dev_nonce = -1
        forwarder.push(end.request(), 120_000_000)
        assert forwarder.has_nothing()
        reset = run("devices", "reset-nonces", "buoy", "--yes", "-c", "site.toml", cwd=tmp_path)
        assert reset.returncode == 0, reset.stderr.decode()
        forwarder.push(JoiningDevice(ROOT_10).request(), 180_000_000)
        end.hear(forwarder.pull_resp())


def test_confirmed_uplink_is_acknowledged_and_no_counter_is_used_twice_over_kill_9(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    tmst = 0
    for number in range(4):
        with (
            started("run", "-c", "site.toml", cwd=tmp_path) as process,
            Forwarder(site.port) as forwarder,
        ):
            forwarder.ask()
            if number == 0:
                forwarder.push(end.request(), tmst)
                end.hear(forwarder.pull_resp())
            for _ in range(3):
                tmst += 60_000_000
                forwarder.push(end.uplink(WARM, confirmed=True, fopts=b"\x02\x0d"), tmst)
                txpk = forwarder.pull_resp()
                assert txpk["tmst"] == (tmst + 5_000_000) % 2**32
                phy_payload = b64decode(txpk["data"])
                assert phy_payload[5] & 0x20
                *_, check = end.commands(phy_payload)  # the time before it, where the clock is trusted
                assert check == LinkCheckAns(16, 1)
            process.kill()


def test_device_joins_and_is_acknowledged_through_a_basics_station(tmp_path: Path) -> None:
    site, end, port = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10), free_port()
    path = tmp_path / "site.toml"
    path.write_text(path.read_text().replace(f"udp://127.0.0.1:{site.port}", f"station://127.0.0.1:{port}"))
    with started("run", "-c", "site.toml", cwd=tmp_path) as process, BasicsStation(port) as station:
        assert station.config["region"] == "EU863"
        station.push(end.request(), 1_000_000)
        accept = station.downlink()
        assert (accept["RxDelay"], accept["RX1Freq"], accept["RX1DR"]) == (5, 868_100_000, 5)
        pdu = bytes.fromhex(accept["pdu"])
        end.hear({"data": b64encode(pdu), "ipol": True, "size": len(pdu)})
        station.push(end.uplink(WARM, confirmed=True), 60_000_000)
        answer = station.downlink()
        assert answer["RxDelay"] == 5 and bytes.fromhex(answer["pdu"])[5] & 0x20
        wait_until(lambda: site.values() == [22.5], "no reading")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, log.decode()
        assert b"is sent by station b827ebfffe112233 in RX1" in log


def test_device_joins_through_the_radio_program_of_lowcostloragw(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    (tmp_path / "downlink").mkdir()
    path, request = tmp_path / "site.toml", tmp_path / "downlink" / "downlink.txt"
    url = f"udp://127.0.0.1:{site.port}"
    path.write_text(path.read_text().replace(f'"{url}"\n', '"stdin:"\ndownlink_dir = "downlink"\n'))
    with started("run", "-c", "site.toml", cwd=tmp_path) as process:
        assert process.stdin is not None and process.stderr is not None
        while b"started gateway" not in process.stderr.readline():
            pass
        heard_us = time.time_ns() // 1000
        process.stdin.write(packet(end.request(), heard_us))
        wait_until(request.exists, "no downlink.txt")
        txpk = json.loads(request.read_text())["txpk"]
        assert txpk["tmst"] == (heard_us + 5_000_000) % 2**32
        end.hear(txpk)
        process.stdin.write(b"^$Packet sent\n")
        process.stdin.write(packet(end.uplink(WARM), heard_us + 10_000_000))
        wait_until(lambda: site.values() == [22.5], "no reading")
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
        assert b"join-accept for buoy is sent by the radio program" in process.stderr.read()
