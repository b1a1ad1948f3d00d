"""`lora-post downlink`, on a real spool."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_post.command import Fate, Sealed
from lora_post.spool import downlinks
from lora_post.spool.joins import save_joins
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.join_state import JoinedSession, JoinState
from lora_post.uplink.sessions import join_key
from tests.support.in_process import lora_post
from tests.support.network_site import otaa
from tests.support.seal import ROOT_10

CONFIG = """
[gateway]
id = "farm-1"

[json_lines]
path = "out.jsonl"

[spool]
path = "spool.db"

[network]
region = "EU868"

[decoders]
folder = "own"

[[device]]
id = "pond-7"
dev_addr = "26011bda"
nwk_skey = "101112131415161718191a1b1c1d1e1f"
app_skey = "000102030405060708090a0b0c0d0e0f"
decoder = "relay"

[[device]]
id = "valve"
dev_addr = "26011bdb"
nwk_skey = "101112131415161718191a1b1c1d1e1f"
app_skey = "000102030405060708090a0b0c0d0e0f"
decoder = "xlpp"

[[device]]
id = "plain"
dev_addr = "26011bdc"
nwk_skey = "101112131415161718191a1b1c1d1e1f"
app_skey = "000102030405060708090a0b0c0d0e0f"
decoder = "milesight-ws301"

[[device]]
id = "buoy"
dev_eui = "02aabbccddeeff01"
join_eui = "feedc0de00000001"
app_key = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
decoder = "text"

[[device]]
id = "served"
dev_eui = "02aabbccddeeff02"
decoder = "text"

[[device]]
id = "old"
address = 6
decoder = "text"
"""
RELAY = """
function decodeUplink(input) { return { data: {} }; }
function encodeDownlink(input) { return { bytes: [input.data.on ? 1 : 0], warnings: ["slowly"] }; }
function decodeDownlink(input) { return { data: { on: input.bytes[0] === 1 } }; }
"""
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "relay.js").write_text(RELAY)
    path = tmp_path / "lora-post.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    SpoolFile(tmp_path / "spool.db").close()
    return path


@pytest.fixture
def run(site: Path) -> Run:
    def run(*words: str) -> tuple[int, str]:
        done = lora_post("downlink", *words, "-c", str(site))
        return done.code, done.out + done.err

    return run


def test_downlink_is_queued_listed_shown_and_cancelled(site: Path, run: Run) -> None:
    assert run("list") == (0, "no downlink yet; `lora-post downlink send --help` shows how to send one\n")
    code, text = run("send", "pond-7", "--port", "10", "--payload", "01 ff", "--confirmed", "--expires", "30m")
    assert (code, text.splitlines()[0]) == (0, "downlink 1: 2 bytes for pond-7 on FPort 10, confirmed, queued")
    assert f"lora-post downlink show 1 -c {site}" in text
    code, text = run("list", "pond-7")
    assert "1  pond-7  10  01ff  " in text and "waits, 29 min left" in text
    assert run("list", "valve")[1].startswith("no downlink yet")
    code, text = run("show", "1")
    assert "downlink  1 for pond-7, waits, 29 min left" in text
    assert "payload   01 ff (2 bytes), FPort 10" in text and 'says      {"on": true}' in text
    assert run("cancel", "1") == (0, "downlink 1 for pond-7 is cancelled\n")
    assert run("cancel", "1") == (2, "Error: downlink 1 is over: cancelled; there is nothing to cancel\n")
    with closing(SpoolFile(site.parent / "spool.db")) as spool_file:
        (kept,) = downlinks.load(spool_file)
    assert (kept.fate, kept.payload, kept.fport, kept.is_confirmed) == (Fate.CANCELLED, b"\x01\xff", 10, True)
    assert kept.life_s == 1800.0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("valve", "--data", '{"switch_0": true}'), "downlink 1: 3 bytes for valve on FPort 100, queued"),
        (("valve", "--port", "7", "--data", '{"switch_0": 1}'), "downlink 1: 3 bytes for valve on FPort 7, queued"),
        (("pond-7", "--port", "7", "--data", '{"on": true}'), "note      slowly\ndownlink 1: 1 byte for pond-7"),
        (("pond-7", "--port", "7", "--payload", ""), "downlink 1: 0 bytes for pond-7 on FPort 7, queued"),
        (
            ("pond-7", "--port", "7", "--payload", "00" * 60),
            "note      SF12BW125 carries 51 bytes, 60 fit from SF9BW125 on: it waits until the device sends that fast",
        ),
    ],
)
def test_what_is_given_is_queued(words: tuple[str, ...], text: str, run: Run) -> None:
    code, said = run("send", *words)
    assert code == 0 and text in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("pond-8", "--port", "1", "--payload", "01"), "no [[device]] has the id 'pond-8'; did you mean 'pond-7'?"),
        (("pond-7", "--port", "0", "--payload", "01"), "--port 0: FPorts of applications are 1 to 223; see"),
        (("pond-7", "--port", "224", "--payload", "01"), "--port 224: FPorts of applications are 1 to 223"),
        (("pond-7", "--payload", "01"), "--port is missing; see the device's manual"),
        (("pond-7", "--port", "1"), "give either --payload HEX or --data JSON"),
        (("pond-7", "--port", "1", "--payload", "1", "--data", "{}"), "give either --payload HEX or --data JSON"),
        (("pond-7", "--port", "1", "--payload", "01f"), "--payload: 3 hex digits, want two for each byte"),
        (("pond-7", "--port", "1", "--payload", "AQI="), "--payload is base64; write the bytes as hex: 0102"),
        (
            ("pond-7", "--port", "1", "--payload", "00" * 243),
            "the payload has 243 bytes, a downlink carries at most 242; send it in parts",
        ),
        (("pond-7", "--port", "1", "--data", "{on: 1}"), "--data is not JSON: "),
        (("pond-7", "--port", "1", "--data", "[" * 100_000), "--data is not JSON: "),
        (("pond-7", "--port", "1", "--data", "[1]"), "--data must be an object or a text"),
        (("pond-7", "--data", '{"on": 1}'), "--port is missing: the encoder does not say the FPort; add --port N"),
        (("valve", "--data", '{"lamp_0": 1}'), "--data: xlpp: lamp_0: 'lamp' is not a type of value for an actuator"),
        (("plain", "--data", "{}"), "--data: plain has milesight-ws301, which cannot encode values; give the bytes"),
        (("pond-7", "--port", "1", "--payload", "01", "--expires", "soon"), "--expires 'soon' is not a length of time"),
        (("buoy", "--port", "1", "--payload", "01"), "buoy has no session; let it join first"),
        (
            ("served", "--port", "1", "--payload", "01"),
            "served is behind a network server; have an [[input]] with mqtt://, or send it there",
        ),
        (
            ("old", "--payload", "01", "--confirmed"),
            "--confirmed: old has LowCostLoRaGw's header, it acknowledges nothing",
        ),
    ],
)
def test_what_cannot_be_sent_is_told_with_the_fix(words: tuple[str, ...], text: str, run: Run) -> None:
    code, said = run("send", *words)
    assert (code, text in said) == (2, True), said


def test_session_decides_whether_a_device_that_joins_can_be_sent_to(site: Path, run: Run) -> None:
    device = otaa(ROOT_10)
    for rx_delay_s, code in ((0, 2), (5, 0)):
        session = JoinedSession(0x01000001, (bytes(16), bytes(16)), rx_delay_s)
        with closing(SpoolFile(site.parent / "spool.db")) as spool_file, spool_file.transaction() as db:
            save_joins(db, {join_key(device): JoinState(sessions=(session,))})
        done = run("send", "buoy", "--port", "1", "--data", '"BUZZ"')
        assert done[0] == code
    assert "4 bytes for buoy" in done[1]


def test_without_a_network_nothing_can_be_sent(site: Path, run: Run) -> None:
    site.write_text(CONFIG.replace('[network]\nregion = "EU868"', ""))
    code, said = run("send", "pond-7", "--port", "1", "--payload", "01")
    assert code == 2 and "there is no [network], so nothing is sent to devices; add [network]" in said


@pytest.mark.parametrize("number", [7, 0, 1 << 63, 10**30])
@pytest.mark.parametrize("word", ["show", "cancel"])
def test_unknown_number_is_told(word: str, number: int, run: Run) -> None:
    assert run(word, str(number)) == (
        2,
        f"Error: there is no downlink {number}; `lora-post downlink list` shows those that there are\n",
    )


def test_unknown_device_is_told_by_list(run: Run) -> None:
    assert run("list", "pond-9")[0] == 2


def explain(site: Path, *steps: str, **changes: object) -> list[str]:
    """What is said of a command with these changes."""
    with closing(SpoolFile(site.parent / "spool.db")) as spool_file, spool_file.transaction() as db:
        (item,) = downlinks.load_waiting(db) or downlinks.load(spool_file)
        item = replace(item, **changes)
        for text in steps:
            item = item.with_step(item.made, text)
        downlinks.save(db, [item])
    done = lora_post("explain", "downlink", "1", "-c", site)
    assert done.code == 0
    return done.out.splitlines()


def test_explain_says_which_step_failed(site: Path, run: Run) -> None:
    run("send", "pond-7", "--port", "10", "--payload", "01", "--confirmed")
    said = explain(site)
    assert said[0].startswith("downlink  1 for pond-7: waits, 23 h left")
    assert said[2] == "not yet   its device is heard" and said[3].startswith(
        "hint      no uplink of the device has come"
    )
    why = "not sent: the duty cycle of gateway gw1 is used up until 12:34Z"
    said = explain(site, why)
    assert said[3] == "not yet   given to a gateway"
    assert said[4].startswith("step      ") and said[4].endswith(f"Z  {why}") and len(said) == 5
    sealed = Sealed("", 0, b"")
    said = explain(site, steps=(), sealed=sealed, gateway="gw1", is_open=True, tries=1)
    assert said[3:5] == ["done      given to gateway gw1", "not yet   sent"]
    assert said[5] == "hint      gateway gw1 was given it, and has not said yet what became of it"
    refused = "not sent by gateway gw1 in RX1: the gateway refused it (TX_ACK): TOO_LATE"
    assert explain(site, refused, is_open=False)[5].endswith(refused)
    said = explain(site, "sent by gateway gw1 in RX1, 1 of 8", fate=Fate.SENT, window="RX1")
    assert said[4:6] == ["done      sent in RX1", "not yet   acknowledged by the device"]
    assert said[-1] == "hint      the next uplink of the device tells whether it has it"
    assert explain(site, "acknowledged", fate=Fate.ACKNOWLEDGED)[5] == "done      acknowledged by the device"
    assert explain(site, "expired", fate=Fate.EXPIRED)[4] == "not done  sent in RX1"


def test_counter_is_raised(run: Run) -> None:
    said = "the next downlink for pond-7 has counter 5000, or a higher one that was reached already\n"
    assert run("counter", "pond-7", "5000") == (0, said)
    assert "buoy has no session" in run("counter", "buoy", "5")[1]
    assert "old has no counter of downlinks" in run("counter", "old", "5")[1]
    assert run("counter", "pond-7", "4294967296")[0] == 2


def test_device_with_a_header_without_fport_is_sent_bytes_alone(run: Run) -> None:
    code, said = run("send", "old", "--payload", "2f40")
    assert code == 0 and "2 bytes for old" in said
