"""From a LowCostLoRaGw installation to a lora-post that sends under the same names."""

from __future__ import annotations

import io
import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config import parse_config
from lora_post.config.alerts import EmailConfig
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_shipped
from lora_post.errors import ConfigError
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.metrics import Metrics
from lora_post.migrate.lowcost_installation import read_assignments, read_heard, read_site
from lora_post.migrate.lowcost_toml import import_site
from lora_post.model import Frame
from lora_post.run.pipeline import Pipeline
from lora_post.secret import Account, Secret
from lora_post.spool.ledger import MemoryLedger
from lora_post.uplink.model import Refusal, Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from lora_post.waziup.names import to_id
from tests.support.build import frame
from tests.support.in_process import lora_post
from tests.support.paths import FIXTURES

INSTALLATIONS = FIXTURES / "installations"
LOG = INSTALLATIONS / "guest" / "post-processing.log"
DEFAULT_KEY = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
GUEST_MD5 = "3304d293a4f5524e3d058929cf6583fb"  # of the text 00000027EB5A71F7


def imported(name: str, *arguments: object) -> str:
    ran = lora_post("import-lowcost", INSTALLATIONS / name, *arguments)
    assert ran.code == 0
    return ran.out


def names(text: str, *frames: Frame) -> list[tuple[str, str, object]]:
    """Device, sensor and value of everything that comes out, as Waziup is told."""
    config = parse_config(text, Path("lora-post.toml"), {})
    outcomes: list[Outcome] = []
    decoding = Decoding(config.devices, load_shipped(["text"]).decoders)
    Pipeline(MemoryLedger(config.devices), decoding.decode, Metrics(), outcomes.append).handle(frames)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    reports = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    return [(report.uplink.device.id, to_id(each.name), each.value) for report in reports for each in report.readings]


def sent(header: str, text: str) -> Frame:
    return frame(bytes.fromhex(header) + text.encode())


def test_guest_installation_goes_on_under_the_names_it_had() -> None:
    text = imported("guest", "--log", LOG)
    encrypted = bytes.fromhex("01140600 4006000000000000014F29E74977A1C2E781E616A668FD756874")
    keys = SessionKeys(DEFAULT_KEY, DEFAULT_KEY)
    found = names(
        text,
        sent("01100300", "\\!TC/22.5/HU/85"),
        sent("01120301", "\5\6\7\x08\\!22.5"),
        frame(encrypted),
        frame(seal_lorawan(keys, 0x02010504, 0, 1, b"\\!#3#TC/75.8")),
    )
    assert found == [
        (f"ORG_Sensor3_{GUEST_MD5}", "TC", 22.5),
        (f"ORG_Sensor3_{GUEST_MD5}", "HU", 85),
        (f"ORG_Sensor3_{GUEST_MD5}", "DEF", 22.5),
        (f"ORG_Sensor6_{GUEST_MD5}", "TC", 22.5),
        (f"ORG_Sensor0x02010504_{GUEST_MD5}", "TC", 75.8),
    ]
    assert tomllib.loads(text)["waziup"] == {"provision": "never"}


def test_installation_with_an_account_keeps_names_keys_and_application_keys() -> None:
    text = imported("farm")
    config = parse_config(text, Path("lora-post.toml"), {})
    assert [device.id for device in config.devices] == [
        "UPPA-FARM_Probe0x26011721",
        "UPPA-FARM_Probe3",
        "UPPA-FARM_Probe9",
    ]
    assert [device.visibility for device in config.devices] == ["private"] * 3
    assert config.destinations["waziup"].account == Account("nadia", Secret('s3cret "quoted"'))
    found = names(text, sent("01120300", "\5\6\7\x08\\!TC/19.80"))
    assert found == [("UPPA-FARM_Probe3", "TC", 19.8)]


def test_what_is_not_carried_over_is_listed_in_the_file_and_on_stderr() -> None:
    ran = lora_post("import-lowcost", INSTALLATIONS / "farm", "--log", LOG)
    for said in (
        "the cloud 'ThingSpeak cloud' is switched on",
        "the cloud 'Network server' is switched on",
        "mails about alerts",
        "dht22",
        "downlinks are not sent",
        "6 was heard, but source_list does not have it",
    ):
        assert any(said in line for line in ran.out.splitlines() if line.startswith("# NOT CARRIED OVER"))
        assert said in ran.err
    assert "s3cret" not in ran.err
    assert "mail-secret" not in ran.out + ran.err


def test_installation_that_names_no_device_says_how_devices_are_found() -> None:
    ran = lora_post("import-lowcost", INSTALLATIONS / "guest")
    assert ran.code == 0
    assert "no device is known; name the old program's logs with --log" in ran.err
    assert f'# id = "ORG_SensorADDRESS_{GUEST_MD5}"' in ran.out


def test_file_is_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "lora-post.toml"
    ran = lora_post("import-lowcost", INSTALLATIONS / "farm", "-o", path)
    assert (ran.code, path.stat().st_mode & 0o777) == (0, 0o600)
    assert f"lora-post check -c {path}" in ran.out
    ran = lora_post("import-lowcost", INSTALLATIONS / "farm", "-o", path)
    assert ran.code == 2
    assert "is there already" in ran.err


def test_folder_without_installation_is_told(tmp_path: Path) -> None:
    ran = lora_post("import-lowcost", tmp_path)
    assert ran.code == 2
    assert "no gateway_conf.json here" in ran.err


def test_names_that_waziup_does_not_take_are_to_be_corrected_by_hand(tmp_path: Path) -> None:
    (tmp_path / "gateway_conf.json").write_text('{"gateway_conf": {"gateway_ID": "0000B827EBCE23C2"}}')
    (tmp_path / "key_WAZIUP.py").write_text("sensor_name = 'a b;c'\nusername = 'me'\nsource_list = ['3']\n")
    ran = lora_post("import-lowcost", tmp_path)
    assert ran.code == 1
    assert "correct by hand: " in ran.err


def test_nothing_in_the_files_is_executed(tmp_path: Path) -> None:
    (tmp_path / "gateway_conf.json").write_text('{"gateway_conf": {"gateway_ID": "g"}}')
    trap = tmp_path / "trap"
    (tmp_path / "key_WAZIUP.py").write_text(
        f"open({str(trap)!r}, 'w')\nusername = open({str(trap)!r}, 'w')\norganization_name = 'UPPA'\n"
    )
    site = read_site(tmp_path)
    assert (site.organization, site.username) == ("UPPA", "guest")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("key_WAZIUP.py", "print 'old'\n", "key_WAZIUP.py: cannot be read as Python"),
        ("key_WAZIUP.py", "source_list = ['300']\n", "source_list: '300' is not an address"),
        ("key_WAZIUP.py", "x = " + "(" * 5000, "key_WAZIUP.py: cannot be read as Python"),
        ("key_WAZIUP.py", "#" * (2 << 20), "key_WAZIUP.py: it is too large"),
        ("key_AES.py", "device_key = {'zz': {}}\n", "key_AES.py: 'zz' is not an address of 8 hex digits"),
        ("key_AES.py", "device_key = {'default': {'AppSKey': 'x'}}\n", "the keys of 'default' are not two times 32"),
        ("clouds.json", "{", "clouds.json: "),
    ],
)
def test_damaged_file_is_told_and_the_rest_goes_on(file: str, text: str, said: str, tmp_path: Path) -> None:
    for path in (INSTALLATIONS / "guest").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / file).write_text(text)
    made = import_site(read_site(tmp_path), {})
    assert any(said in line for line in made.left_out)
    assert tomllib.loads(made.text)["gateway"]["id"] == "00000027EB5A71F7"


@given(st.binary(max_size=300) | st.lists(st.sampled_from([b"^p1,16,", b"3", b",0,1,2,3\n", b" src=", b"0x", b"\n"])))
def test_any_log_can_be_read(data: bytes | list[bytes]) -> None:
    for address in read_heard(io.BytesIO(data if isinstance(data, bytes) else b"".join(data))):
        assert 1 < address.number < 1 << 32


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_text_of_the_old_files_makes_a_file_that_can_be_read(name: str, organization: str) -> None:
    source = f"organization_name = {organization!r}\nusername = {name!r}\n"
    try:
        found = read_assignments(source)
    except ConfigError:
        return
    assert found["username"] == name


def changed(folder: Path, **files: str) -> Path:
    """The guest's installation with other files; `_` in a name is its dot."""
    for path in (INSTALLATIONS / "guest").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text)
    return folder


OWN, DEFAULT = "0110FF0060BA0AE00F0A606B0A508F01", "54AC7B954935D5CF0F1CD7924011072A"
LORAWAN_KEYS = f"""device_key = {{
    "default": {{"AppSKey": '{DEFAULT}', "NwkSKey": '{DEFAULT}'}},
    "26045F24": {{"AppSKey": '{OWN}', "NwkSKey": '{OWN}'}}
}}"""


def test_lorawan_devices_get_the_keys_of_key_lorawan(tmp_path: Path) -> None:
    folder = changed(tmp_path, key_LoRaWAN_py=LORAWAN_KEYS)
    log = tmp_path / "log"
    log.write_text("^p0,16,0x26045F24,0,5,7,-60\n--- rxlora. dst=1 type=0x10 src=0x26014821 seq=0 len=5\n")
    ran = lora_post("import-lowcost", folder, "--log", log)
    config = parse_config(ran.out, Path("lora-post.toml"), {})
    own, other = bytes.fromhex(OWN), bytes.fromhex(DEFAULT)
    assert {device.address_text: device.keys for device in config.devices} == {
        "26045f24": SessionKeys(own, own),
        "26014821": SessionKeys(other, other),
    }
    assert "LoRaWAN device 26014821 has no keys of its own: it gets the default ones of key_LoRaWAN.py" in ran.err
    assert "26045f24" not in ran.err


def test_waziup_that_was_switched_off_stays_so(tmp_path: Path) -> None:
    clouds = (INSTALLATIONS / "guest" / "clouds.json").read_text().replace("true", "false")
    ran = lora_post("import-lowcost", changed(tmp_path, clouds_json=clouds), "--log", LOG)
    config = parse_config(ran.out, Path("lora-post.toml"), {})
    assert list(config.destinations) == ["json_lines"]
    assert "the Waziup cloud is switched off in clouds.json" in ran.err


def test_placeholder_of_the_gateway_id_is_said_and_replaced(tmp_path: Path) -> None:
    conf = (INSTALLATIONS / "guest" / "gateway_conf.json").read_text().replace("00000027EB5A71F7", "000000XXXXXXXXXX")
    ran = lora_post("import-lowcost", changed(tmp_path, gateway_conf_json=conf))
    gateway = tomllib.loads(ran.out)["gateway"]["id"]
    assert re.fullmatch("[0-9a-f]{16}", gateway)
    assert "gateway_ID is 000000XXXXXXXXXX, the placeholder" in ran.err
    assert "# 000000XXXXXXXXXX stood here" in ran.out


MAIL = {
    "use_mail": True,
    "contact_mail": "me@example.org, you@example.org",
    "mail_from": "gateway@example.org",
    "mail_server": "smtp.example.org",
    "mail_passwd": 'mail-"secret"',
}


def test_who_got_mails_about_alerts_still_does(tmp_path: Path) -> None:
    conf = {"gateway_conf": {"gateway_ID": "g"}, "alert_conf": MAIL}
    ran = lora_post("import-lowcost", changed(tmp_path, gateway_conf_json=json.dumps(conf)))
    email = parse_config(ran.out, Path("lora-post.toml"), {}).alerts.email
    assert email == EmailConfig(
        "me@example.org", "gateway@example.org", "smtp.example.org", 587, False, "gateway@example.org",
        Secret('mail-"secret"'),
    )  # fmt: skip
    assert "mails about alerts go to me@example.org alone, not to you@example.org" in ran.err
    assert "mail-" not in ran.err


def test_mail_that_was_never_filled_in_is_said(tmp_path: Path) -> None:
    conf = {"gateway_conf": {"gateway_ID": "g"}, "alert_conf": MAIL | {"mail_from": "a_gmail_address"}}
    ran = lora_post("import-lowcost", changed(tmp_path, gateway_conf_json=json.dumps(conf)))
    assert "[alerts]" not in ran.out
    assert "mails about alerts are not sent: mail_from is not filled in (alert_conf)" in ran.err
