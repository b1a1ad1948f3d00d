from __future__ import annotations

import fcntl
import itertools
import os
import re
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest

from lora_post.checks.storage import check_spool
from lora_post.config import load_config
from lora_post.errors import Problem
from lora_post.model import Reading
from lora_post.sandbox.server import running_sandbox
from lora_post.sinks.finding import Grade
from lora_post.sinks.waziup.check import check_clock, no_address
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import add_tally
from tests.support.build import NOON_US, report
from tests.support.command import run
from tests.support.in_process import Ran, harmless, lora_post
from tests.support.lanes import ready_lanes
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.waziup import Fault, Waziup, waziup

KEY = "00112233445566778899aabbccddeeff"
PASSWORD = "demo"
DEVICE = f'[[device]]\ndev_addr = "26011bda"\nnwk_skey = "{KEY}"\napp_skey = "{KEY}"\ndecoder = "cayenne-lpp"\n'


@pytest.fixture(autouse=True)
def no_other_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))


@pytest.fixture
def server() -> Iterator[Waziup]:
    with waziup() as running:
        yield running


def write(url: str = "http://127.0.0.1:9/api/v2", extra: str = DEVICE, **changes: str) -> Path:
    """lora-post.toml in the current folder, with a good account unless changed."""
    fields = {"id": "gw1", "username": PASSWORD, "password": PASSWORD, "more": ""} | changes
    path = Path("lora-post.toml")
    path.write_text(
        f'[gateway]\nid = "{fields["id"]}"\n'
        f'[waziup]\nurl = "{url}"\nusername = "{fields["username"]}"\n'
        f'password = "{fields["password"]}"\n{fields["more"]}\n'
        f'[spool]\npath = "spool.db"\n{extra}'
    )
    path.chmod(0o600)
    return path


def verdicts(ran: Ran) -> dict[str, list[str]]:
    """Verdicts by subject."""
    found: dict[str, list[str]] = {}
    for line in ran.out.splitlines():
        if line[0] != " ":
            verdict, subject = line.split()[:2]
            found.setdefault(subject, []).append(verdict)
    return found


def test_good_set_up_is_ok_throughout_and_leaves_nothing_behind(server: Waziup) -> None:
    write(server.url)
    ran = lora_post("check")
    assert ran.code == 0, ran.out
    found = verdicts(ran)
    assert len(found.pop("time")) == 1  # it is the machine's, as its voltage is
    found.pop("power", None)
    assert found == {
        "configuration": ["ok"],
        "secrets": ["ok"],
        "decoders": ["ok"],
        "keys": ["ok"],
        "inputs": ["ok"],
        "spool": ["ok"],
        "disk": ["ok"],
        "server": ["ok", "ok"],
        "clock": ["ok"],
        "credentials": ["ok"],
        "gateway": ["ok"],
    }
    assert "logged in as demo" in ran.out
    assert "gw1 is free" in ran.out
    assert server.get("/devices") == []
    assert server.get("/gateways") == []
    assert all(line.startswith(("GET ", "POST /auth/token")) for line in server.days.seen)
    assert [path.name for path in Path().iterdir()] == ["lora-post.toml"]


def test_no_verdict_shows_a_secret(server: Waziup) -> None:
    write(server.url, password="5ec2e7", extra=DEVICE.replace(KEY, "zz5ec2e7"))
    ran = lora_post("check")
    assert ran.code == 1
    assert "5ec2e7" not in ran.out + ran.err


def test_mistakes_of_the_configuration_do_not_hide_the_rest(server: Waziup) -> None:
    write(server.url, extra=DEVICE + '[[device]]\naddress = 300\ndecoder = "text"\n[[inptu]]\n')
    ran = lora_post("check")
    assert ran.code == 1
    found = verdicts(ran)
    assert found["configuration"] == ["FAIL", "FAIL"]
    assert "fix: it must be between 2 and 255" in ran.out
    assert "fix: did you mean 'input'?" in ran.out
    assert found["credentials"] == ["ok"]
    assert found["gateway"] == ["ok"]


def test_configuration_that_cannot_be_read_leaves_what_needs_none() -> None:
    for text, complaint in (("[gateway", "is not in brackets"), (None, "No such file")):
        path = Path("site.toml")
        path.write_text(text) if text else path.unlink()
        ran = lora_post("check", "-c", path)
        assert ran.code == 1
        assert complaint in ran.out
        assert verdicts(ran)["decoders"] == ["ok"]
        assert verdicts(ran)["server"] == ["skipped"]


def test_missing_configuration_is_a_verdict_too() -> None:
    ran = lora_post("check")
    assert (ran.code, verdicts(ran)["configuration"]) == (1, ["FAIL"])
    assert "fix: name one with -c FILE" in ran.out


def test_gateway_id_that_cannot_be_read_is_not_looked_for(server: Waziup) -> None:
    write(server.url).write_text(Path("lora-post.toml").read_text().replace('id = "gw1"', "id = 5"))
    ran = lora_post("check")
    assert verdicts(ran)["gateway"] == ["skipped"]


def test_missing_waziup_table_fails_the_server() -> None:
    Path("lora-post.toml").write_text('[gateway]\nid = "gw1"\n')
    ran = lora_post("check")
    assert verdicts(ran)["server"] == ["FAIL"]
    Path("lora-post.toml").write_text('[gateway]\nid = "gw1"\n[waziup]\nurl = 5\n')
    assert verdicts(lora_post("check"))["server"] == ["skipped"]


def test_offline_leaves_the_server_alone(server: Waziup) -> None:
    write(server.url)
    ran = lora_post("check", "--offline")
    assert ran.code == 0
    assert verdicts(ran)["server"] == ["skipped"]
    assert server.days.seen == []


def test_open_secrets_are_a_warning_with_the_command_that_closes_them() -> None:
    write().chmod(0o644)
    ran = lora_post("check", "--offline")
    assert (ran.code, verdicts(ran)["secrets"]) == (0, ["warning"])
    assert "fix: run: chmod 640 lora-post.toml" in ran.out


def test_key_that_everybody_knows_is_a_warning() -> None:
    write(extra=DEVICE.replace(KEY, "2B7E151628AED2A6ABF7158809CF4F3C"))
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["keys"] == ["warning", "ok"]
    assert "2b7e" not in ran.out.lower()


@pytest.mark.parametrize("key", ["00" * 16, "ff" * 16, bytes(range(16)).hex()])
def test_key_that_anybody_would_try_is_a_warning(key: str) -> None:
    write(extra=DEVICE.replace(KEY, key))
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["keys"] == ["warning", "ok"]
    assert key not in ran.out


def test_devices_that_share_a_key_are_named_once() -> None:
    write(extra="".join(DEVICE.replace("26011bda", f"26011bd{n}") for n in range(4)))
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["keys"] == ["warning", "ok"]
    assert "gw1-26011bd0, gw1-26011bd1 and 2 more have the same key" in ran.out


def test_devices_without_keys_are_counted() -> None:
    write(extra='[[device]]\naddress = 6\ndecoder = "text"\n')
    assert "1 device without keys" in lora_post("check", "--offline").out
    write(extra="")
    assert verdicts(lora_post("check", "--offline"))["keys"] == ["warning"]


def test_unknown_decoder_and_broken_decoder_file_are_named() -> None:
    Path("mine").mkdir()
    Path("mine/broken.py").write_text("DECODER = 5\n")
    write(extra='[decoders]\nfolder = "mine"\n' + DEVICE.replace("cayenne-lpp", "cayene-lpp"))
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["decoders"] == ["warning", "FAIL", "ok"]
    assert "gw1-26011bda: there is no decoder 'cayene-lpp'" in ran.out
    assert "fix: did you mean 'cayenne-lpp'?" in ran.out
    assert "broken.py" in ran.out


@pytest.mark.parametrize(
    ("table", "verdict", "text"),
    [
        ('url = "stdin:"', "ok", "stdin"),
        ('url = "file:lora-post.toml"', "ok", "can be read"),
        ('url = "file:no-such.bin"', "FAIL", "No such file"),
        ('url = "file:pipe"', "ok", "is a FIFO and can be read"),
        ('url = "serial:///dev/no-such-port"', "FAIL", "plug it in"),
        ('url = "serial:///dev/null"', "FAIL", "is not a serial port"),
    ],
)
def test_inputs_are_tried(table: str, verdict: str, text: str) -> None:
    os.mkfifo("pipe")
    write(extra=f"{DEVICE}[[input]]\n{table}\n")
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["inputs"] == [verdict]
    assert text in ran.out


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ('url = "gopher:x"', "(gopher:x, line 15) url 'gopher:x' is not understood"),
        ('url = "serial:///dev/null?baud=fast"', "is not understood"),
        ('url = "http://me:s3cret@h/"', "url 'http://me@h/' is not understood"),
        ('format = "lowcot"', "format 'lowcot' is unknown"),
    ],
)
def test_mistaken_input_is_told_once_as_a_mistake_of_the_configuration(table: str, text: str) -> None:
    write(extra=f"{DEVICE}[[input]]\n{table}\n[[input]]\n")
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["configuration"] == ["FAIL"] and verdicts(ran)["inputs"] == ["ok"]
    assert text in ran.out and "s3cret" not in ran.out
    assert "fix: known are lowcost" in ran.out or "format" not in table


def test_serial_port_can_be_opened_unless_another_program_has_it() -> None:
    ours, port = os.openpty()
    try:
        write(extra=f'{DEVICE}[[input]]\nurl = "serial://{os.ttyname(port)}"\n')
        assert verdicts(lora_post("check", "--offline"))["inputs"] == ["ok"]
        fcntl.flock(port, fcntl.LOCK_EX)
        ran = lora_post("check", "--offline")
        assert verdicts(ran)["inputs"] == ["warning"]
        assert "is in use" in ran.out
    finally:
        os.close(port)
        os.close(ours)


def put(*, max_mb: int = 256) -> None:
    write(extra=f"max_mb = {max_mb}\n{DEVICE}")
    with closing(SpoolFile(Path("spool.db"))) as store, store.transaction() as db:
        writer = QueueWriter(store, ["waziup"], 1 << 30)
        writer.put(db, [report(Reading("t", "x" * 1000), time_us=NOON_US + n) for n in range(1000)])


def test_spool_that_is_there_is_measured_and_not_touched() -> None:
    put()
    ran = lora_post("check", "--offline")
    assert (ran.code, verdicts(ran)["spool"]) == (0, ["ok", "ok"])
    assert "1000 readings queued" in ran.out


def test_spool_that_is_nearly_full_or_gave_readings_up_is_a_warning() -> None:
    put(max_mb=1)
    with closing(SpoolFile(Path("spool.db"))) as store, store.transaction() as db:
        add_tally(db, "evicted", 7)
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["spool"][:2] == ["warning", "warning"]
    assert "nearly full" in ran.out
    assert "7 readings given up" in ran.out


def test_what_waits_for_a_person_is_a_warning_that_leads_to_the_spool_command() -> None:
    put()
    with closing(SpoolFile(Path("spool.db"))) as store:
        reader = Queue(store, "waziup")
        reader.park(ready_lanes(reader)[0], Problem("belongs to alice"), NOON_US)
        with store.transaction() as db:
            QueueWriter(store, ["waziup"], 1 << 30).put(db, [report(problem="WrongLength: 1 byte")])
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["spool"] == ["ok", "warning", "warning"]
    for text in (
        "belongs to alice",
        "fix: see `lora-post spool`",
        "pond-7: 1 payload not decoded by 'cayenne-lpp'",
    ):
        assert text in ran.out


def test_spool_of_a_newer_version_and_a_file_that_is_none_fail() -> None:
    write()
    with closing(sqlite3.connect("spool.db")) as db:
        db.execute("PRAGMA user_version = 99")
    ran = lora_post("check", "--offline")
    assert (ran.code, verdicts(ran)["spool"]) == (1, ["FAIL"])
    assert "schema version 99" in ran.out
    Path("spool.db").write_bytes(b"not a database" * 1000)
    ran = lora_post("check", "--offline")
    assert verdicts(ran)["spool"] == ["FAIL"]
    assert "it sets the file aside" in " ".join(ran.out.split())


@pytest.mark.parametrize("place", ["lora-post.toml/spool.db", "."])
def test_spool_in_an_impossible_place_fails(place: str) -> None:
    write().write_text(Path("lora-post.toml").read_text().replace('"spool.db"', f'"{place}"'))
    assert verdicts(lora_post("check", "--offline"))["spool"] == ["FAIL"]


@pytest.mark.parametrize(
    ("file", "verdict"),
    [("new/var/readings.jsonl", "ok"), ("new/readings.jsonl", "ok"), ("new/other/readings.jsonl", "FAIL")],
)
def test_file_beside_a_spool_that_is_not_there_yet_will_be_made(file: str, verdict: str) -> None:
    path = Path("lora-post.toml")
    path.write_text(f'[gateway]\nid = "gw1"\n[spool]\npath = "new/var/spool.db"\n[json_lines]\npath = "{file}"\n')
    assert verdicts(lora_post("check"))["json_lines"] == [verdict]
    assert not Path("new").exists()
    SpoolFile(Path("new/var/spool.db")).close()
    assert verdicts(lora_post("check"))["json_lines"] == [verdict]


def test_disk_that_the_spool_could_fill_is_a_warning() -> None:
    write(extra=f"max_mb = {(shutil.disk_usage('.').total >> 20) + 1}\n{DEVICE}")
    findings = {finding.subject: finding for finding in check_spool(load_config(Path("lora-post.toml")))}
    assert findings["disk"].verdict is Grade.WARNING


def test_server_that_is_down_fails_and_skips_what_needs_it() -> None:
    write(f"http://127.0.0.1:{free_port()}/api/v2")
    ran = lora_post("check")
    assert ran.code == 1
    found = verdicts(ran)
    assert (found["server"], found["credentials"]) == (["FAIL"], ["skipped"])
    assert "Connection refused" in ran.out


@pytest.mark.parametrize(
    "url", [f"https://{'x' * 64}.invalid/api/v2", "https://127.0.0.1:port/api/v2", "http://[::1/api"]
)
def test_server_name_that_cannot_be_looked_up_fails(url: str) -> None:
    write(url)
    assert verdicts(lora_post("check"))["server"] == ["FAIL"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (socket.EAI_NONAME, "there is no host api.example"),
        (socket.EAI_AGAIN, "no DNS server answers when asked for api.example"),
        (socket.EAI_FAIL, "no DNS server answers"),
        (socket.EAI_FAMILY, "no address for api.example"),
    ],
)
def test_name_that_is_none_and_nobody_to_ask_are_told_apart(code: int, text: str) -> None:
    assert text in no_address("api.example", socket.gaierror(code, "said the resolver")).text


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, [], b"<!DOCTYPE html><title>Cafe</title>"),
        (302, [(b"location", b"http://login.example/")], b""),
        (511, [], b"log in"),
    ],
)
def test_login_page_of_a_network_is_told_from_the_api(
    server: Waziup, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    server.days.faults.append(Fault("^GET /users/me", status, headers=headers, body=body))
    write(server.url)
    ran = lora_post("check")
    assert verdicts(ran)["server"] == ["ok", "FAIL"]
    assert "a web page answers at" in ran.out
    assert "fix: log in to this network with a browser" in ran.out


def test_server_without_encryption_where_https_is_configured_fails_over_tls(server: Waziup) -> None:
    write(server.url.replace("http:", "https:"))
    ran = lora_post("check")
    assert verdicts(ran)["server"] == ["ok", "FAIL"]
    assert "TLS" in ran.out
    assert "is the clock right" in ran.out


def test_address_without_the_api_fails_and_says_where_it_usually_is(server: Waziup) -> None:
    write(server.url.removesuffix("/api/v2"))
    ran = lora_post("check")
    assert verdicts(ran)["server"] == ["ok", "FAIL"]
    assert "it usually ends in /api/v2" in ran.out
    assert verdicts(ran)["credentials"] == ["skipped"]


def test_wrong_password_fails_the_credentials(server: Waziup) -> None:
    write(server.url, password="wrong")
    ran = lora_post("check")
    assert ran.code == 1
    assert verdicts(ran)["credentials"] == ["FAIL"]
    assert verdicts(ran)["gateway"] == ["skipped"]
    assert "fix: correct [waziup] username and password" in ran.out


def test_token_that_the_server_does_not_believe_fails_the_credentials() -> None:
    hours = itertools.count(NOON_US, 3_600_000_000)
    with running_sandbox(clock=lambda: next(hours)) as url:
        write(url)
        ran = lora_post("check")
    assert verdicts(ran)["credentials"] == ["FAIL"]
    assert "does not believe it" in ran.out


def test_account_that_has_another_name_there_is_a_warning(server: Waziup) -> None:
    server.days.faults.append(Fault("^GET /users/me", 200, times=9, body=b'{"username":"alice"}'))
    write(server.url)
    assert verdicts(lora_post("check"))["credentials"] == ["ok", "warning"]


def test_login_that_gives_no_token_fails(server: Waziup) -> None:
    server.days.faults.append(Fault("^POST /auth/token", 200, body=b"<html>"))
    write(server.url)
    ran = lora_post("check")
    assert verdicts(ran)["credentials"] == ["FAIL"]
    assert "gives no token" in ran.out


def test_simple_protocol_needs_no_account(server: Waziup) -> None:
    write(server.url, username="", password="", more='provision = "never"')
    ran = lora_post("check")
    assert ran.code == 0, ran.out
    assert verdicts(ran)["credentials"] == ["ok"]
    assert verdicts(ran)["gateway"] == ["skipped"]


@pytest.mark.parametrize(
    ("owner", "visibility", "verdict", "text"),
    [
        ("demo", "private", "ok", "gw1 belongs to demo"),
        ("admin", "public", "FAIL", "gw1 belongs to admin, not to demo"),
        ("admin", "private", "FAIL", "private gateway of another account"),
        ("guest", "public", "FAIL", "gw1 was created without a login and belongs to guest"),
        ("guest", "private", "FAIL", "fix: if it is yours, take it over: curl -X PUT"),
    ],
)
def test_gateway_id_must_be_ours(server: Waziup, owner: str, visibility: str, verdict: str, text: str) -> None:
    server.call("POST", "/gateways", user=owner, json={"id": "gw1", "visibility": visibility})
    write(server.url)
    ran = lora_post("check")
    assert verdicts(ran)["gateway"] == [verdict]
    assert text in ran.out


def test_gateway_that_nobody_will_declare_is_a_warning(server: Waziup) -> None:
    write(server.url, more='provision = "never"')
    assert verdicts(lora_post("check"))["gateway"] == ["warning"]


@pytest.mark.parametrize(("named", "verdict"), [("gw1", []), (None, []), ("gw-2", ["warning"])])
def test_device_that_another_gateway_sends_for_is_a_warning(
    server: Waziup, named: str | None, verdict: list[str]
) -> None:
    body = {"id": "pond-7", "gateway_id": named, "visibility": "private"}
    assert server.call("POST", "/devices", user="demo", json=body).status_code == 204
    write(server.url, DEVICE + 'id = "pond-7"\n')
    ran = lora_post("check")
    assert verdicts(ran).get("devices", []) == verdict
    told = "gateway gw-2 sends for pond-7: what is heard of them here is kept back"
    assert (told in ran.out) is (named == "gw-2")
    assert ("lora-post spool take-over pond-7" in ran.out) is (named == "gw-2")


@pytest.mark.parametrize(
    ("owner", "visibility", "text", "fix"),
    [
        ("admin", "public", "belongs to admin, not to demo", "lora-post spool move pond-7 NEW-ID"),
        ("admin", "private", "a private device of another account", "lora-post spool move pond-7 NEW-ID"),
        ("guest", "public", "belongs to guest, not to demo", "take it over: lora-post spool take-over pond-7"),
        ("guest", "private", "belongs to guest, not to demo", "take it over: lora-post spool take-over pond-7"),
    ],
)
def test_device_that_is_not_ours_fails_with_what_to_do(
    server: Waziup, owner: str, visibility: str, text: str, fix: str
) -> None:
    body = {"id": "pond-7", "visibility": visibility}
    assert server.call("POST", "/devices", user=owner, json=body).status_code == 204
    write(server.url, DEVICE + 'id = "pond-7"\n')
    ran = lora_post("check")
    assert (ran.code, verdicts(ran)["devices"]) == (1, ["FAIL"])
    assert text in ran.out
    assert fix in " ".join(ran.out.split())


@pytest.mark.parametrize("thing", ["devices/pond-7", "gateways/gw1"])
@pytest.mark.parametrize(("is_", "wanted"), [("public", "private"), ("private", "public"), (None, "private")])
def test_other_visibility_is_a_warning_with_the_command_that_changes_it(
    server: Waziup, thing: str, is_: str | None, wanted: str
) -> None:
    kind, name = thing.split("/")
    body = {"id": name, "visibility": is_}
    assert server.call("POST", f"/{kind}", user="demo", json=body).ok
    path = write(server.url, DEVICE + 'id = "pond-7"\n')
    path.write_text(path.read_text().replace('id = "gw1"\n', f'id = "gw1"\nvisibility = "{wanted}"\n'))
    ran = lora_post("check")
    subject = "devices" if kind == "devices" else "gateway"
    assert (ran.code, verdicts(ran)[subject][-1]) == (0, "warning")
    assert f"{name} is {is_ or 'public'} on Waziup" in ran.out
    assert f"and {wanted} in the configuration" in ran.out
    program("curl")
    (command,) = re.findall(r"(?:run|anew after): (curl .*)$", ran.out, re.MULTILINE)
    subprocess.run(["sh", "-c", command.replace("PASSWORD", PASSWORD)], check=True)
    found = server.call("GET", f"/{thing}")
    is_deleted = thing == "gateways/gw1" and wanted == "public"
    assert (found.status_code == 404) is is_deleted
    assert is_deleted or found.json()["visibility"] == wanted
    assert verdicts(lora_post("check")).get(subject, ["ok"]) == ["ok"]


def test_trouble_half_way_is_one_verdict(server: Waziup) -> None:
    server.days.faults.append(Fault("^GET /gateways", 503))
    write(server.url)
    assert verdicts(lora_post("check"))["gateway"] == ["FAIL"]


def test_control_characters_of_a_server_never_reach_the_terminal(server: Waziup) -> None:
    server.days.faults.append(Fault("^GET /users/me", 500, body=b"\x1b[2J\xc2\x9b"))
    write(server.url)
    assert harmless(lora_post("check", FORCE_COLOR="1").out)


@pytest.mark.parametrize(
    ("apart_s", "verdict", "text"),
    [
        (0, Grade.OK, "within 60 s"),
        (-60, Grade.OK, "within 60 s"),
        (61, Grade.WARNING, "61 s ahead of the server's"),
        (-7200, Grade.WARNING, "7200 s behind the server's, and readings get our time; 2 h sharp"),
        (19800 + 40, Grade.WARNING, "5.5 h sharp: it was probably set to local time"),
        (15 * 3600, Grade.WARNING, "get our time"),
    ],
)
def test_clocks_may_be_a_minute_apart(apart_s: int, verdict: Grade, text: str) -> None:
    finding = check_clock(formatdate(NOON_US / 1e6, usegmt=True), NOON_US + apart_s * 1_000_000)
    assert finding.verdict is verdict
    assert text in finding.text


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026 12:00:00 GMT"])
def test_server_without_a_usable_date_is_a_warning(date: str) -> None:
    assert check_clock(date, NOON_US).verdict is Grade.WARNING


def test_installed_command_runs_beside_a_running_upload(server: Waziup, tmp_path: Path) -> None:
    write(server.url)
    with closing(SpoolFile(tmp_path / "spool.db")):
        found = run("check", "-c", "lora-post.toml", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert found.stderr == b""
