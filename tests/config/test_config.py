from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config import load_config, parse_config
from lora_post.config.status import StatusConfig
from lora_post.errors import ConfigError
from lora_post.model import Device, Link, Location, SensorRule
from lora_post.secret import Account, Secret
from lora_post.sinks import SINKS
from lora_post.sinks.json_lines import JsonLinesConfig
from lora_post.sinks.wazigate import WazigateConfig
from tests.support.config_text import GATEWAY, KEY, LORAWAN, PATH
from tests.support.paths import ROOT

WAZIUP_MQTT = "[waziup]\nusername = 'me'\npassword = 'x'\nprotocol = 'mqtt'\n"
MQTT = "[mqtt]\nurl = 'mqtt://broker'\n"
BY_EUI = LORAWAN.replace('decoder = "cayenne-lpp"', 'dev_eui = "24-E1-24-13-6B-00-00-01"')
LOWCOST = '[[device]]\naddress = 6\ndecoder = "text"\n'


def rule(prefix: str, decoder: str) -> str:
    return f"[[decoder_rule]]\ndev_eui_prefix = '{prefix}'\ndecoder = '{decoder}'\n"


def sole_device(text: str) -> Device:
    (device,) = parse_config(GATEWAY + text, PATH, {}).devices
    return device


def test_example_file_loads_with_every_option_it_explains(tmp_path: Path) -> None:
    example = ROOT / "lora-post.example.toml"
    (tmp_path / "waziup.password").write_text("secret\n")
    (tmp_path / "waziup.password").chmod(0o600)
    config = parse_config(example.read_text("utf-8"), tmp_path / "lora-post.toml", {"FIELD_9_KEY": KEY})
    assert config.gateway_name == "Farm gateway"
    assert config.destinations["waziup"].provision
    assert config.destinations["waziup"].account.password == Secret("secret")
    assert [device.id for device in config.devices] == [
        "pond-7",
        "b827ebfffe6e80a1-26011bdb",
        "b827ebfffe6e80a1-008b1a90c8d4a8b2",
        "b827ebfffe6e80a1-26011bdc",
        "b827ebfffe6e80a1-6",
        "b827ebfffe6e80a1-8",
        "b827ebfffe6e80a1-9",
        "b827ebfffe6e80a1-a84041000181c061",
    ]
    assert config.devices[0].link is Link.LORAWAN
    assert config.devices[0].address == 0x26011BDA
    (sensor,) = config.devices[0].sensors
    assert sensor == SensorRule(
        "temperature_3",
        rename="water_temperature_3",
        curve=((0.4, 0.0), (25.1, 25.0)),
        unit="°C",
        quantity="WaterTemperature",
        deadband=0.2,
        min_interval_s=300.0,
        max_interval_s=3600.0,
    )
    assert config.devices[1].decoder == "milesight-em300-th"
    assert config.devices[4].app_keys == {bytes.fromhex("05060708")}
    assert config.warnings == ()


def test_commented_out_options_of_the_example_are_the_defaults(tmp_path: Path) -> None:
    example = (ROOT / "lora-post.example.toml").read_text("utf-8")
    example = (
        example.replace('password_file = "waziup.password"', 'password = "x"')
        .replace('token_file = "status.token"', 'token = "0123456789abcdef"')
        .replace("_env", "")
        .replace("FIELD_9_KEY", KEY)
    )
    written_out = re.sub(r"(?m)^# (\w+ = |\[\w+\]$)", r"\1", example)
    assert written_out.count("\n[decoders]\n") == written_out.count("\n[json_lines]\n") == 1
    plain = parse_config(example, PATH, {})
    full = parse_config(written_out, PATH, {})
    assert full.status == StatusConfig("127.0.0.1", 8080, Secret("0123456789abcdef"), sensor_values=False)
    assert full.destinations["wazigate"] == WazigateConfig("http://wazigate.local", None)
    broker = full.destinations["mqtt"].broker
    assert (broker.host, broker.port, broker.tls) == ("192.168.1.10", 1883, False)
    assert full.destinations["json_lines"] == JsonLinesConfig(Path("readings.jsonl"), 16 << 20, 4)
    assert list(full.destinations) == list(SINKS)
    full = msgspec.structs.replace(full, destinations=plain.destinations)
    assert msgspec.structs.replace(full, decoder_folder=None, status=None) == plain


def test_place_of_gateway_and_device_is_latitude_and_longitude() -> None:
    device = "[[device]]\naddress = 8\ndecoder = 'text'\n"
    text = f"{GATEWAY}location = [48.1, 11.5]\n{device}location = [-90, 180]\n{device.replace('8', '9')}"
    config = parse_config(text, PATH, {})
    assert config.location == Location(48.1, 11.5)
    assert [each.location for each in config.devices] == [Location(-90, 180), None]
    assert config.site.location == config.location


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "[gateway] is missing"),
        ("[gateway", "is not in brackets"),
        (GATEWAY + "[device]\n[device]\n", "[device] must be written [[device]], once for each device"),
        (GATEWAY + "[spool]\n[upload]\n[spool]\n", "[spool] is there twice; put its keys into one"),
        ('[gateway]\nid = "a b"\n', "[gateway] id is 'a b'"),
        ("[gateway]\nid = 5\n", "[gateway] id is a whole number; it must be a text in quotes"),
        ("[gateway]\n", "[gateway] id is missing"),
        (GATEWAY + "nam = 'x'\n", "[gateway]: unknown key 'nam'; did you mean 'name'?"),
        (GATEWAY + "visibility = 'secret'\n", "[gateway] visibility is 'secret'; it must be 'private' or 'public'"),
        (
            GATEWAY + "location = [48.1]\n",
            "location has 1 number; it must be [latitude, longitude] in degrees, as [48.1, 11.5]",
        ),
        (GATEWAY + "location = [1, 2, 3]\n", "[gateway] location has 3 numbers; it must be [latitude, longitude]"),
        (
            GATEWAY + "location = [111.5, 48]\n",
            "location: the latitude is 111.5; it must be between -90 and 90",
        ),
        (GATEWAY + "location = [48, -180.5]\n", "location: the longitude is -180.5; it must be between -180 and 180"),
        (GATEWAY + "location = [nan, inf]\n", "[gateway] location: the latitude is nan"),
        (GATEWAY + "location = ['N48', 'E11']\n", "[gateway] location[0] is a text in quotes; it must be a number"),
        (GATEWAY + "location = 'Munich'\n", "[gateway] location is a text in quotes; it must be a list in [ ]"),
        (GATEWAY + "[[device]]\naddress=8\nlocation=[91,1]\n", "[[device]] number 1 location: the latitude is 91"),
        (
            GATEWAY + "[[device]]\naddress = 8\ndecoder = 'text'\nmax_mb = 5\n",
            "unknown key 'max_mb'; it belongs to [json_lines] or [spool]: a key is of the last table above it",
        ),
        (
            GATEWAY + "[[input]]\nwhen_full = 'drop-oldest'\n",
            "unknown key 'when_full'; it belongs to [spool]: a key is of the last table above it",
        ),
        (
            "when_full = 'drop-oldest'\n" + GATEWAY,
            "when_full stands above all tables; it belongs to [spool]: write it below that line",
        ),
        (GATEWAY + "[[device]]\napp_eui = '70b3d57ed0019a7c'\n", "unknown key 'app_eui'; it is called join_eui here"),
        (GATEWAY + "[[device]]\nnwkSKey = '1'\n", "unknown key 'nwkSKey'; did you mean 'nwk_skey'?"),
        (GATEWAY + "[[device]]\nDevEUI = '1'\n", "unknown key 'DevEUI'; did you mean 'dev_eui'?"),
        (
            GATEWAY + "[[device]]\ndev_addr = '0102030405060708'\ndecoder = 'text'\n",
            "dev_addr has 16 hex digits, as a DevEUI; write it as dev_eui; DevAddr has 8",
        ),
        (
            GATEWAY + "[[device]]\ndev_addr = '26011bda'\nnwk_skey = '0102030405060708'\napp_skey = '26011bda'\n",
            "nwk_skey has 16 characters, as a DevEUI or JoinEUI; it must be 32 hex digits",
        ),
        (GATEWAY + "[gatway]\n", "unknown table [gatway]; did you mean 'gateway'?"),
        (GATEWAY + "[[input]]\nurl='udp://:0'\nformat='pcap'\n", "[[input]] number 1 format is 'pcap'"),
        (
            GATEWAY + "[[input]]\nurl='udp://:0'\ngateways=['1']\n",
            "gateways has '1'; a gateway's EUI has 16 hex digits",
        ),
        (GATEWAY + "[[input]]\ngateways=['1']\n", "gateways: only gateways (udp://…, station://…) are told apart"),
        (GATEWAY + "[spool]\nmax_mb = 0\n", "[spool] max_mb is 0; it must be at least 1"),
        (
            GATEWAY + "[[input]]\nformat = 'pcap'\naddress = 7\n",
            "address: only format lines, rn2483, rak, rxpk, lowcost from stdin:, file: and",
        ),
        (GATEWAY + "[[input]]\nurl = 'udp://:1700'\naddress = 7\n", "[[input]] number 1 address: only format"),
        (GATEWAY + "[[input]]\nformat = 'rak'\naddress = 1\n", "[[input]] number 1 address is 1; it must be between"),
        (GATEWAY + "[[input]]\nurl = 'mqtt://b/t'\nsetup = 'auto'\n", "setup: only serial modules can be set up"),
        (GATEWAY + "[status]\nlisten = '8080'\n", "[status] listen is '8080'; it must be an address and a port"),
        (GATEWAY + "[status]\nlisten = '127.0.0.1:80800'\n", "it must be an address and a port"),
        (GATEWAY + "[status]\nlisten = '0.0.0.0:8080'\n", "which other machines reach; give [status] a token"),
        (GATEWAY + "[status]\ntoken = 'short'\n", "[status] token has 5 characters; it must have 16 or more"),
        (GATEWAY + "[alerts]\nsilent = '5'\n", "[alerts] silent is '5'; write it as"),
        (GATEWAY + "[alerts]\nno_frame = '0h'\n", "[alerts] no_frame is '0h'; write it as"),
        (GATEWAY + "[alerts]\nbattery_volts = -1\n", "[alerts] battery_volts is -1; it must be from 0 (never) to 100"),
        (GATEWAY + "[alerts]\nwebhook = 'example.org'\n", "[alerts] webhook is 'example.org'; it must be an address"),
        (GATEWAY + "[alerts]\nwebhook_token = 'x'\n", "[alerts] has a webhook_token and no webhook"),
        (GATEWAY + "[alerts]\nemail = 'a@b.c'\n", "[alerts] has email and no smtp"),
        (GATEWAY + "[alerts]\nsmtp = 'smtps://x'\nemail = 'me'\n", "[alerts] email is 'me'; it must be one address"),
        (GATEWAY + "[alerts]\nsmtp = 'x'\nemail = 'a@b.c'\n", "[alerts] smtp is 'x'; it must be a mail server"),
        (
            GATEWAY + "[alerts]\nsmtp = 'smtp://me@x'\nemail = 'a@b.c'\n",
            "[alerts] has a user in smtp and no smtp_password",
        ),
        (GATEWAY + "[waziup]\n", '[waziup] provision = "auto" creates devices and needs username and password'),
        (GATEWAY + "[waziup]\nusername = 'me'\n", "[waziup] has a username and no password"),
        (GATEWAY + "[waziup]\nprotocol = 'coap'\n", "[waziup] protocol is 'coap'; it must be 'http' or 'mqtt'"),
        (GATEWAY + "[waziup]\nmqtt_url = 'mqtt://x'\n", '[waziup] mqtt_url is for protocol = "mqtt" only'),
        (GATEWAY + WAZIUP_MQTT + "mqtt_url = 'mqtt://x/topic'\n", "[waziup] mqtt_url is 'mqtt://x/topic'; it must be"),
        (GATEWAY + WAZIUP_MQTT + "mqtt_url = 'mqtt://me:secret@x'\n", "[waziup] mqtt_url holds a user"),
        (GATEWAY + "[waziup]\npassword = 'x'\n", "[waziup] has a password and no username"),
        (GATEWAY + "[waziup]\nurl = 'api.waziup.io'\nprovision = 'never'\n", "[waziup] url is 'api.waziup.io'"),
        (GATEWAY + "[input]\nurl = 'stdin:'\n", "[input] must be written [[input]]"),
        (GATEWAY + "[[device]]\naddress = 6\n", '[[device]] number 1: decoder is missing; add decoder = "…"'),
        (GATEWAY + "[wazigate]\nurl = 'wazigate.local'\n", "[wazigate] url is 'wazigate.local'; it must be"),
        (GATEWAY + "[wazigate]\nurl = 'http://me:secret@x'\n", "[wazigate] url is 'http://…@x'; it must be"),
        (GATEWAY + "[wazigate]\nusername = 'admin'\n", "[wazigate] has a username and no password"),
        (GATEWAY + "[mqtt]\ntopic = 'x'\n", "[mqtt] url is missing"),
        (GATEWAY + MQTT.replace("mqtt:", "http:"), 'it must be like "mqtt://192.168.1.10"'),
        (GATEWAY + MQTT.replace("//broker", "//broker:x"), "[mqtt] url is 'mqtt://broker:x'"),
        (GATEWAY + MQTT.replace("//broker", "//me:secret@broker"), "[mqtt] url holds a user; give username"),
        (GATEWAY + MQTT + "topic = 'a/#'\n", "[mqtt] topic is 'a/#'; it must be"),
        (GATEWAY + MQTT + "topic = '$SYS/{device}'\n", "not begin with '$' or '/'"),
        (GATEWAY + MQTT + "topic = '{devcie}'\n", "[mqtt] topic has {devcie}; known are {gateway}, {device}, {sensor}"),
        (GATEWAY + MQTT + "topic = '{device.__class__}'\n", "[mqtt] topic is"),
        (GATEWAY + MQTT + "password = 'x'\n", "[mqtt] has a password and no username"),
        (GATEWAY + MQTT + "ca_file = 'x'\n", "[mqtt] ca_file is for mqtts:// only"),
        (GATEWAY + MQTT.replace("mqtt:", "mqtts:") + "ca_file = 'no-such'\n", "[mqtt] ca_file: there is no file"),
        (GATEWAY + "[json_lines]\nkeep = 1\n", "[json_lines] path is missing"),
        (GATEWAY + "[json_lines]\npath = ''\n", "[json_lines] path is empty; name a file"),
        (GATEWAY + "[json_lines]\npath = 'x'\n[spool]\npath = 'x'\n", "[json_lines] path is the spool's own file"),
        (GATEWAY + "[json_lines]\npath = 'x'\nmax_mb = 0\n", "[json_lines] max_mb is 0; it must be at least 1"),
        (GATEWAY + "[json_lines]\npath = 'x'\nkeep = -1\n", "[json_lines] keep is -1; it must be between 0 and 1000"),
        (GATEWAY + "[[device]]\ndecoder = 'text'\n", "[[device]] number 1: give either dev_addr"),
        (GATEWAY + LOWCOST + "dev_addr = '26011bda'\n", "[[device]] number 1: give either dev_addr"),
        (GATEWAY + LOWCOST.replace("6", "256"), "[[device]] number 1 address is 256"),
        (GATEWAY + LORAWAN.replace("26011bda", "26011b"), "dev_addr has 6 characters; it must be 8 hex digits"),
        (GATEWAY + LORAWAN.replace("26011bda", "26011bdx"), "dev_addr is '26011bdx'; it must be 8 hex digits"),
        (GATEWAY + LORAWAN.replace(KEY, KEY[:-1]), "nwk_skey has 31 characters; it must be 32 hex digits"),
        (GATEWAY + LORAWAN.replace(f'app_skey = "{KEY}"\n', ""), "app_skey is missing; a device with keys needs both"),
        (
            GATEWAY + "[[device]]\ndev_addr = '26011bda'\ndecoder = 'x'\n",
            "a LoRaWAN device needs nwk_skey and app_skey",
        ),
        (GATEWAY + LORAWAN + "app_keys = ['05060708']\n", "app_keys: only devices with `address`"),
        (GATEWAY + LOWCOST + "app_keys = ['0506']\n", "app_keys has 4 characters; it must be 8 hex digits"),
        (
            GATEWAY + LOWCOST + "app_keys = ['0506070x']\n",
            "app_keys has a character that is not a hex digit; it must be 8 hex digits",
        ),
        (GATEWAY + LORAWAN + LORAWAN, "id 'gw1-26011bda' is also the id of [[device]] number 1"),
        (
            GATEWAY + LORAWAN + LORAWAN + "id = 'other'\n",
            "with these keys is also that of [[device]] number 1; correct DevAddr or keys, or remove one of them",
        ),
        (
            GATEWAY + LOWCOST + LOWCOST + "id = 'other'\n",
            "address 6 is also that of [[device]] number 1; correct the address, or remove one of them",
        ),
        (GATEWAY + LORAWAN + "nwk_skey_file = 'x'\n", "give only one of nwk_skey, nwk_skey_file and nwk_skey_env"),
        (GATEWAY + LOWCOST + "nwk_skey_env = 'NO_SUCH'\n", "the environment variable NO_SUCH is not set"),
        (GATEWAY + LOWCOST + "nwk_skey_file = 'no-such'\n", "nwk_skey_file: there is no no-such; make it"),
        (GATEWAY + LOWCOST + "id = '..'\n", "[[device]] number 1 id is '..'"),
        (GATEWAY + LOWCOST + "id = 'pond 7'\n", "[[device]] number 1 id is 'pond 7'"),
        (GATEWAY + LOWCOST + "options = 5\n", "[[device]] number 1 options is a whole number; it must be a table"),
        (GATEWAY + LOWCOST + "decoder_by_fport = { 2 = 'x' }\n", "devices with `address` send no FPort; use decoder"),
        (GATEWAY + LORAWAN + "decoder_by_fport = { 0 = 'x' }\n", "has '0'; an FPort is a number from 1 to 255"),
        (GATEWAY + LORAWAN + "decoder_by_fport = { 256 = 'x' }\n", "has '256'; an FPort is a number from 1 to 255"),
        (GATEWAY + LORAWAN + "decoder_by_fport = { two = 'x' }\n", "has 'two'; an FPort is a number from 1 to 255"),
        (GATEWAY + LORAWAN + "decoder_by_fport = { 2 = '' }\n", "decoder_by_fport 2 is empty; name a decoder"),
        (GATEWAY + LORAWAN + "dev_eui = '24e1'\n", "dev_eui is '24e1'; it must be 16 hex digits"),
        (
            GATEWAY + BY_EUI,
            "decoder is missing, and no [[decoder_rule]] begins like dev_eui 24e124136b000001; add decoder",
        ),
        (GATEWAY + rule("24e1xx", "x"), "dev_eui_prefix is '24e1xx'; it must be 1 to 16 hex digits"),
        (GATEWAY + rule("", "x"), "dev_eui_prefix is ''; it must be 1 to 16 hex digits"),
        (GATEWAY + rule("24", "x") + rule("24", "y"), "number 2 dev_eui_prefix '24' is listed before"),
        (GATEWAY + rule("24", ""), "[[decoder_rule]] number 1 decoder is empty"),
        (GATEWAY + "[[decoder_rule]]\ndev_eui_prefix = '24'\n", "number 1 decoder is missing"),
    ],
)
def test_mistake_is_named_with_its_place_and_the_fix(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PATH, {})
    assert complaint in re.sub(r"( number \d+) \([^()]*line \d+\)", r"\1", str(caught.value))
    assert all(line.startswith("site.toml: ") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            GATEWAY + LORAWAN + "\n# the barn\n" + LOWCOST.replace("6", "1"),
            "[[device]] number 2 (address 1, line {line})",
        ),
        (GATEWAY + LOWCOST.replace("6", "1") + "id = 'barn'\n", "[[device]] number 1 (barn, line {line}) address"),
        (GATEWAY + "[[ device ]]\n", "[[device]] number 1 (line {line}):"),
        ("device = [{ address = 1, decoder = 'x' }]\n" + GATEWAY, "[[device]] number 1 (address 1) address"),
        (GATEWAY + "[[input]]\nurl = 'udp://:x'\n", "[[input]] number 1 (udp://:x, line {line}) url"),
        (GATEWAY + "[[input]]\nurl = 'mqtt://me:pw@h/a'\n", "[[input]] number 1 (mqtt://me@h/a, line {line}) url"),
        (GATEWAY + rule("24", ""), "[[decoder_rule]] number 1 (24, line {line}) decoder is empty"),
    ],
)
def test_place_of_a_table_has_its_id_and_line(text: str, place: str) -> None:
    header = max((n for n, line in enumerate(text.splitlines(), start=1) if line.startswith("[[")), default=0)
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PATH, {})
    assert f"site.toml: {place.format(line=header)}" in str(caught.value)


def test_line_is_left_out_where_it_is_not_sure() -> None:
    text = GATEWAY + '[status]\ntoken = """\n[[device]]\n"""\n' + LOWCOST.replace("6", "1")
    with pytest.raises(ConfigError, match=r"\[\[device\]\] number 1 \(address 1\) address is 1"):
        parse_config(text, PATH, {})


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("[gateway]\nid = 5\n[spool]\nmax_mb = 'x'\n[[device]]\naddress = 0\ndecoder = 'text'\n", PATH, {})
    assert len(str(caught.value).splitlines()) == 3


def test_no_message_shows_a_secret() -> None:
    text = GATEWAY + LORAWAN.replace(KEY, "5ec2e7" + "zz" * 13) + "[waziup]\npassword = '5ec2e7'\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PATH, {})
    assert "5ec2e7" not in str(caught.value)
    good = parse_config(GATEWAY + LORAWAN + "[waziup]\nusername='me'\npassword = '5ec2e7'\n", PATH, {})
    assert "5ec2e7" not in repr(good)
    assert KEY not in repr(good)


@pytest.mark.parametrize("way", ["password_file = 'no-such'", "password_env = 'NO_SUCH'"])
def test_password_that_is_not_where_it_should_be_is_one_mistake(way: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(GATEWAY + f"[waziup]\nusername = 'me'\n{way}\n", PATH, {})
    (line,) = str(caught.value).splitlines()
    assert "[waziup] password_" in line


def test_two_devices_may_share_a_dev_addr_under_different_keys() -> None:
    other = LORAWAN.replace(KEY, KEY[::-1]) + "id = 'other'\n"
    config = parse_config(GATEWAY + LORAWAN + other, PATH, {})
    assert [device.address for device in config.devices] == [0x26011BDA] * 2


def test_password_comes_from_the_environment() -> None:
    config = parse_config(GATEWAY + "[waziup]\nusername = 'me'\n", PATH, {"LORA_POST_WAZIUP_PASSWORD": "x"})
    assert config.destinations["waziup"].account == Account("me", Secret("x"))


def test_file_with_secrets_that_everybody_may_read_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GATEWAY + LORAWAN)
    path.chmod(0o644)
    assert "everybody may read it" in load_config(path).warnings[0].what
    path.chmod(0o640)
    assert load_config(path).warnings == ()
    path.write_text(GATEWAY + LOWCOST)
    path.chmod(0o644)
    assert load_config(path).warnings == ()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ('[gateway]\nid = "0000000000000001"\n', "looks like a number"),
        ('[gateway]\nid = "12e5"\n', "looks like a number"),
        (
            GATEWAY + "[waziup]\nurl = 'http://example.org/api/v2'\nprovision = 'never'\n",
            "the password travels in clear",
        ),
        (GATEWAY + WAZIUP_MQTT, "[waziup] the password travels in clear to mqtt://api.waziup.io"),
        (GATEWAY + MQTT + "username = 'me'\npassword = 'x'\n", "[mqtt] url starts with mqtt://, so the password"),
    ],
)
def test_what_works_but_is_unwise_is_a_warning(text: str, warning: str) -> None:
    assert warning in str(parse_config(text, PATH, {}).warnings[0])


def test_relative_paths_start_from_the_configuration_s_folder(tmp_path: Path) -> None:
    text = GATEWAY + "[spool]\npath = 'spool.db'\n[decoders]\nfolder = 'mine'\n"
    config = parse_config(text, tmp_path / "site.toml", {})
    assert config.spool_path == tmp_path / "spool.db"
    assert config.decoder_folder == tmp_path / "mine"


def test_decoder_of_the_longest_rule_serves_a_device_without_one_of_its_own() -> None:
    rules = rule("24:E1:24", "short") + rule("24e124136b", "long") + rule("24e125", "other")
    assert sole_device(rules + BY_EUI).decoder == "long"
    assert sole_device(rule("24e124136b000001", "exact") + rules + BY_EUI).decoder == "exact"
    assert sole_device(rules + BY_EUI + "decoder = 'own'\n").decoder == "own"


def test_rule_serves_the_fports_that_a_device_does_not_name() -> None:
    device = sole_device(rule("24e124", "rest") + BY_EUI + "decoder_by_fport = { 2 = 'two' }\n")
    assert [device.decoder_for(fport) for fport in (1, 2, None)] == ["rest", "two", "rest"]


def test_device_with_decoders_by_fport_needs_no_other() -> None:
    device = sole_device(BY_EUI + "decoder_by_fport = { 2 = 'two', 10 = 'ten' }\n")
    assert (device.decoder, device.decoder_by_fport) == ("", {2: "two", 10: "ten"})


def test_options_are_taken_as_they_are_written() -> None:
    text = LORAWAN + "options = { signed = [101, 'x'], deep = { a = 1.5 }, on = true }\n"
    assert sole_device(text).options == {"signed": [101, "x"], "deep": {"a": 1.5}, "on": True}


SCALARS = st.one_of(st.integers(-5, 300), st.booleans(), st.text(alphabet="ab1", max_size=9).map(repr))
KEYS = st.sampled_from(
    ["id", "name", "url", "address", "dev_addr", "decoder", "max_mb", "format", "visibility", "zz", "dev_eui"]
)
HEADS = st.sampled_from(
    ["[gateway]", "[waziup]", "[spool]", "[decoders]", "[[input]]", "[[device]]", "[[decoder_rule]]", "[zz]"]
)


@given(st.lists(st.tuples(HEADS, st.dictionaries(KEYS, SCALARS, max_size=4)), max_size=6))
def test_any_toml_gives_a_config_or_a_config_error(tables: list[tuple[str, dict[str, object]]]) -> None:
    lines = [
        f"{head}\n" + "".join(f"{k} = {str(v).lower() if isinstance(v, bool) else v}\n" for k, v in body.items())
        for head, body in tables
    ]
    try:
        parse_config("\n".join(lines), PATH, {})
    except ConfigError as error:
        assert str(error)


def test_alerts_reach_people_by_webhook_and_mail() -> None:
    text = (
        "[alerts]\nsilent = 'never'\nno_frame = '90min'\nwebhook = 'https://example.org/x'\nwebhook_token = '5ec2e7'\n"
        "email = 'me@example.org'\nsmtp = 'smtp://me%40x@mail.example.org:2525'\nsmtp_password = '5ec2e7'\n"
    )
    alerts = parse_config(GATEWAY + text, PATH, {}).alerts
    assert (alerts.limits.silent_us, alerts.limits.no_frame_us) == (0, 5_400_000_000)
    assert alerts.email is not None
    found = (alerts.email.user, alerts.email.host, alerts.email.port, alerts.email.tls, alerts.email.sender)
    assert found == ("me@x", "mail.example.org", 2525, False, "me@example.org")
    assert "5ec2e7" not in repr(alerts)


@pytest.mark.parametrize(
    ("lines", "host", "port", "tls"),
    [
        ("", "api.waziup.io", 1883, False),
        ("url = 'http://127.0.0.1:8008/api/v2'\n", "127.0.0.1", 1883, False),
        ("url = 'http://[::1]:8008/api/v2'\n", "::1", 1883, False),
        ("mqtt_url = 'mqtts://broker.example.org'\n", "broker.example.org", 8883, True),
    ],
)
def test_values_are_published_at_the_host_of_url_or_where_one_says(lines: str, host: str, port: int, tls: bool) -> None:
    broker = parse_config(GATEWAY + WAZIUP_MQTT + lines, Path("x.toml"), {}).destinations["waziup"].broker
    assert (broker.host, broker.port, broker.tls, broker.username) == (host, port, tls, "me")
