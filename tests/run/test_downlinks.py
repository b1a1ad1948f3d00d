"""Commands for devices at the installed command: a packet forwarder and a device as the other ends, real kills."""

from __future__ import annotations

import random
import time
from base64 import b64decode
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.command import Command, Fate
from lora_post.lorawan.phy_payload import MType, build_data_frame, parse_data_frame
from lora_post.lorawan.session_keys import DOWNLINK, UPLINK, SessionKeys
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile
from tests.support.command import PATIENCE_S, run, started, wait_until
from tests.support.forwarder import Forwarder, JoiningDevice
from tests.support.in_process import lora_post
from tests.support.joining_site import WARM, Site
from tests.support.seal import ROOT_10

ACK = 0x20


def send(site: Site, *words: str) -> None:
    sent = lora_post("downlink", "send", "buoy", "--port", "9", *words, "-c", site.folder / "site.toml")
    assert sent.code == 0, sent.err


def commands(site: Site) -> list[Command]:
    with closing(SpoolFile(site.folder / "spool.db")) as spool_file:
        return downlinks.load(spool_file)


def fates(site: Site) -> list[Fate]:
    return [each.fate for each in commands(site)]


def acknowledging(end: JoiningDevice) -> bytes:
    """The next uplink, which acknowledges a downlink."""
    assert end.accept and isinstance(end.keys, SessionKeys)
    fcnt, end.fcnt = end.fcnt, end.fcnt + 1
    dev_addr = end.accept.dev_addr
    signed = build_data_frame(
        mtype=MType.UNCONFIRMED_UP,
        dev_addr=dev_addr,
        fcnt=fcnt,
        fport=2,
        frm_payload=end.keys.crypt(dev_addr, fcnt, UPLINK, 2, WARM),
        flags=ACK,
    )
    return signed + end.keys.data_mic(dev_addr, fcnt, UPLINK, signed)


def opened(end: JoiningDevice, phy_payload: bytes) -> tuple[int, bytes]:
    """The counter and the clear payload of a downlink, its MIC right."""
    data = parse_data_frame(phy_payload)
    assert isinstance(end.keys, SessionKeys)
    assert data.mic == end.keys.downlink_mic(data.dev_addr, data.fcnt16, data.signed)
    return data.fcnt16, end.keys.crypt(data.dev_addr, data.fcnt16, DOWNLINK, data.fport or 0, data.frm_payload)


def test_command_that_another_process_queues_is_sent_and_acknowledged(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    with site.running() as forwarder:
        forwarder.push(end.request(), 1_000_000)
        end.hear(forwarder.pull_resp())
        forwarder.push(end.uplink(WARM), 20_000_000)
        wait_until(lambda: site.values() == [22.5], "no reading")
        queued = run(
            *("downlink", "send", "buoy", "--port", "9", "--payload", "0102", "--confirmed", "-c", "site.toml"),
            cwd=tmp_path,
        )
        assert queued.returncode == 0, queued.stderr.decode()
        forwarder.push(end.uplink(WARM), 40_000_000)
        txpk = forwarder.pull_resp()
        assert txpk["tmst"] == 45_000_000
        assert opened(end, b64decode(txpk["data"])) == (0, b"\x01\x02")
        wait_until(lambda: fates(site) == [Fate.SENT], "not noted as sent")
        forwarder.push(acknowledging(end), 60_000_000)
        wait_until(lambda: fates(site) == [Fate.ACKNOWLEDGED], "not noted as acknowledged")
        assert forwarder.has_nothing()
    shown = run("downlink", "show", "1", "-c", "site.toml", cwd=tmp_path).stdout.decode()
    assert "sent by gateway b827ebfffe112233 in RX1" in shown and "acknowledged" in shown


def test_gateway_that_refuses_rx1_is_given_rx2_with_the_same_bytes(tmp_path: Path) -> None:
    site, end = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10)
    with site.running() as forwarder:
        forwarder.push(end.request(), 1_000_000)
        end.hear(forwarder.pull_resp())
        send(site, "--payload", "01")
        forwarder.push(end.uplink(WARM), 20_000_000)
        first, second = forwarder.pull_resp("TOO_LATE"), forwarder.pull_resp("COLLISION_PACKET")
        assert first["data"] == second["data"] and second["tmst"] == 26_000_000
        wait_until(lambda: len(commands(site)[0].steps) == 2, "not noted as refused")
        forwarder.push(end.uplink(WARM), 40_000_000)
        assert forwarder.pull_resp()["data"] == first["data"]
        wait_until(lambda: fates(site) == [Fate.SENT], "not noted as sent")
    texts = [step.text for step in commands(site)[0].steps]
    assert texts[0].startswith("not sent by gateway b827ebfffe112233 in RX1: the gateway refused it (TX_ACK): TOO_LATE")
    assert texts[1].startswith(
        "not sent by gateway b827ebfffe112233 in RX2: the gateway refused it (TX_ACK): COLLISION_P"
    )
    assert texts[2:] == ["sent by gateway b827ebfffe112233 in RX1"]


@pytest.mark.parametrize("rounds", [2, pytest.param(12, marks=pytest.mark.long)])
def test_no_counter_is_used_for_two_frames_over_kill_9_at_any_moment(rounds: int, tmp_path: Path) -> None:
    site, end, dice = Site(tmp_path, ROOT_10), JoiningDevice(ROOT_10), random.Random(9)
    heard: dict[int, set[bytes]] = {}
    payloads: set[bytes] = set()
    tmst = 0

    def listen(forwarder: Forwarder, for_s: float, *, confirms: bool) -> None:
        """Take what is sent for so long, and what has come by then."""
        until = time.monotonic() + for_s
        while True:
            forwarder.socket.settimeout(max(until - time.monotonic(), 0.001))
            try:
                txpk = forwarder.next_txpk(confirms=confirms)
            except ConnectionRefusedError:  # of what was sent to it; there may be more to read
                continue
            except TimeoutError:
                return
            phy_payload = b64decode(txpk["data"])
            fcnt, payload = opened(end, phy_payload)
            heard.setdefault(fcnt, set()).add(phy_payload)
            payloads.add(payload)

    for number in range(rounds):
        with started("run", "-c", "site.toml", cwd=tmp_path) as process, Forwarder(site.port) as forwarder:
            forwarder.ask()
            if number == 0:
                forwarder.push(end.request(), tmst)
                end.hear(forwarder.pull_resp())
            send(site, "--payload", f"{number:02x}", *(["--confirmed"] if number % 2 else []))
            for _ in range(2):
                tmst = (tmst + 60_000_000) % 2**32
                forwarder.push(end.uplink(WARM, confirmed=bool(dice.getrandbits(1))), tmst)
                listen(forwarder, dice.uniform(0, 0.15), confirms=bool(dice.getrandbits(1)))
            process.kill()
            process.wait()
            listen(forwarder, 0.1, confirms=False)  # what left before
    with site.running() as forwarder:
        deadline = time.monotonic() + PATIENCE_S
        while not all(command.is_over for command in commands(site)):
            assert time.monotonic() < deadline, fates(site)
            tmst = (tmst + 60_000_000) % 2**32
            forwarder.push(acknowledging(end), tmst)
            listen(forwarder, 0.4, confirms=True)
    assert heard and all(len(frames) == 1 for frames in heard.values()), heard
    assert {bytes((number,)) for number in range(rounds)} <= payloads
