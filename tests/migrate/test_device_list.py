"""Lists of devices as others write them: every device, every mistake with its line."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import ConfigError
from lora_post.migrate.device_list import read_device_list
from lora_post.migrate.qr_code import read_qr_code
from lora_post.migrate.records import DeviceList

KEY, OTHER, THIRD = "00112233445566778899aabbccddeeff", "ff" * 16, "ab" * 16
EUI = "0102030405060708"


def read(text: str | bytes, name: str = "list.txt") -> DeviceList:
    return read_device_list(text if isinstance(text, bytes) else text.encode(), name)


def tables(text: str | bytes, name: str = "list.txt") -> list[dict[str, object]]:
    found = read(text, name)
    assert found.mistakes == ()
    return [dict(record.table) for record in found.records]


OTAA = {"dev_eui": EUI, "join_eui": "70b3d57ed0019a7c", "app_key": KEY}
ABP = {"dev_addr": "26011bda", "nwk_skey": KEY, "app_skey": OTHER}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(
            f"id;dev_eui;join_eui;name;frequency_plan_id;app_key\npump-1;{EUI.upper()};70B3D57ED0019A7C;Pump;EU;{KEY.upper()}\n",
            {"id": "pump-1", "name": "Pump"} | OTAA,
            id="The Things Stack, joins",
        ),
        pytest.param(
            "dev_eui,ids.device_id,session.dev_addr,session.keys.f_nwk_s_int_key.key,session.keys.app_s_key.key\n"
            f"{EUI},pump-1,26011BDA,{KEY},{OTHER}\n",
            {"id": "pump-1", "dev_eui": EUI} | ABP,
            id="The Things Stack, session",
        ),
        pytest.param(
            f"Name,DevEUI,AppEUI,AppKey\nPump,01:02:03:04:05:06:07:08,70-B3-D5-7E-D0-01-9A-7C,{KEY}\n",
            {"name": "Pump"} | OTAA,
            id="with colons and dashes",
        ),
        pytest.param(
            f"name\tdev_addr\tNwkSKey\tAppSKey\tdecoder\n# a comment\n\nPump\t0x26011bda\t{KEY}\t{OTHER}\ttext\n",
            {"name": "Pump", "decoder": "text"} | ABP,
            id="tabs, comment, empty line",
        ),
        pytest.param("address,decoder\n8,text\n", {"address": 8, "decoder": "text"}, id="four-byte header"),
        pytest.param(
            f"qr,app_key,id\nLW:D0:70B3D57ED0019A7C:{EUI}:00AA00BB:SABC,{KEY},pump-1\n",
            {"id": "pump-1"} | OTAA,
            id="QR codes in a column",
        ),
        pytest.param(
            f"dev_eui,join_eui,nwk_key,app_key\n{EUI},70b3d57ed0019a7c,{KEY},{'0' * 32}\n",
            OTAA,
            id="AppKey of 1.0 as ChirpStack has it",
        ),
        pytest.param(
            f"dev_eui,join_eui,nwk_key,app_key\n{EUI},70b3d57ed0019a7c,{OTHER},{KEY}\n",
            OTAA | {"nwk_key": OTHER},
            id="LoRaWAN 1.1",
        ),
        pytest.param(f"LW:D0:70B3D57ED0019A7C:{EUI}:00AA00BB:O12 {KEY}\n", OTAA, id="QR code with its AppKey"),
    ],
)
def test_text_gives_the_device(text: str, wanted: dict[str, object]) -> None:
    assert tables(text) == [wanted]


THINGS_STACK = {
    "ids": {"device_id": "pump-1", "application_ids": {"application_id": "farm"}, "dev_eui": EUI.upper(),
            "join_eui": "70B3D57ED0019A7C"},
    "name": "Pump",
    "version_ids": {"brand_id": "dragino", "model_id": "dragino-lht65"},
    "lorawan_version": "MAC_V1_0_3",
    "supports_join": True,
    "root_keys": {"app_key": {"key": KEY.upper()}},
    "session": {"dev_addr": "26011BDA", "keys": {"f_nwk_s_int_key": {"key": OTHER}, "app_s_key": {"key": THIRD}}},
}  # fmt: skip
PERSONALISED = {
    "ids": {"device_id": "pump-2", "dev_eui": "0102030405060709"},
    "session": {
        "dev_addr": "26011BDA",
        "keys": {
            "f_nwk_s_int_key": {"key": KEY},
            "s_nwk_s_int_key": {"key": KEY},
            "nwk_s_enc_key": {"key": KEY},
            "app_s_key": {"key": OTHER},
        },
    },
}


def test_things_stack_json_is_a_stream_of_devices() -> None:
    text = f"{json.dumps(THINGS_STACK, indent=2)}\n{json.dumps(PERSONALISED)}\n"
    found = read(text)
    assert [dict(record.table) for record in found.records] == [
        {"id": "pump-1", "name": "Pump"} | OTAA,
        {"id": "pump-2", "dev_eui": "0102030405060709"} | ABP,
    ]
    assert found.records[0].model == "dragino-lht65"
    assert [record.place for record in found.records] == [
        "line 1, pump-1",
        f"line {text[:-2].count(chr(10)) + 1}, pump-2",
    ]


def test_session_of_lorawan_11_keeps_its_four_keys() -> None:
    device = json.loads(json.dumps(PERSONALISED))
    device["session"]["keys"]["s_nwk_s_int_key"]["key"] = THIRD
    (table,) = tables(json.dumps(device))
    assert {key: table[key] for key in ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_skey")} == {
        "f_nwk_s_int_key": KEY,
        "s_nwk_s_int_key": THIRD,
        "nwk_s_enc_key": KEY,
        "app_skey": OTHER,
    }


def test_chirpstack_answers_about_one_device_are_put_together() -> None:
    answers = [
        {"totalCount": 2, "result": [{"devEui": EUI, "name": "Pump", "deviceProfileName": "Dragino LHT65"},
                                     {"devEui": "aa" * 8, "name": "Tank"}]},
        {"device": {"devEui": EUI, "name": "Pump", "joinEui": "70b3d57ed0019a7c", "isDisabled": False},
         "createdAt": "2026-01-01T00:00:00Z"},
        {"deviceKeys": {"devEui": EUI, "nwkKey": KEY, "appKey": "0" * 32, "genAppKey": ""}},
        {"deviceActivation": {"devEui": "aa" * 8, "devAddr": "26011bda", "appSKey": OTHER, "nwkSEncKey": KEY,
                              "sNwkSIntKey": KEY, "fNwkSIntKey": KEY, "fCntUp": 17}},
    ]  # fmt: skip
    for text in (json.dumps(answers), "\n".join(map(json.dumps, answers))):
        assert tables(text) == [{"name": "Pump"} | OTAA, {"name": "Tank", "dev_eui": "aa" * 8} | ABP]


def test_device_that_is_disabled_there_is_left_out_and_said() -> None:
    found = read(json.dumps([{"devEui": EUI, "name": "Pump", "isDisabled": True}, {"devEui": "aa" * 8}]))
    assert [record.table["dev_eui"] for record in found.records] == ["aa" * 8]
    assert found.notes == ("line 1, Pump is disabled there and left out",)
    assert read("dev_eui,disabled\n" + EUI + ",true\n").notes == (f"line 2, {EUI} is disabled there and left out",)


KEY_FILE = f"""device_key = {{
	#do not remove default entry
	"default" : {{ "AppSKey" : '{KEY}', "NwkSKey" : '{KEY}' }},
	"26011BDA" : {{
		"AppSKey" : '{OTHER.upper()}',
		"NwkSKey" : '{KEY.upper()}'
	}},
	"00000006" : {{ "AppSKey" : '{OTHER}', "NwkSKey" : '{KEY}' }}
}}
"""


@pytest.mark.parametrize(
    ("name", "second"),
    [("key_LoRaWAN.py", {"dev_addr": "00000006"}), ("key_AES.py", {"address": 6})],
)
def test_lowcost_key_files_differ_in_what_an_address_is(name: str, second: dict[str, object]) -> None:
    found = read(KEY_FILE, name)
    keys = {"nwk_skey": KEY, "app_skey": OTHER}
    assert [dict(record.table) for record in found.records] == [ABP, second | keys]
    assert found.records[0].place == "line 4, 26011bda"
    assert "default key is left out" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dev_eui,name\n" + EUI + "\n", ["line 2 has 1 field; the header line has 2"]),
        (f"LW:D0:70B3D57ED0019A7C:{EUI}:00AA00BB\n", [f"line 1, {EUI}: a QR code holds no AppKey; write it behind"]),
        ("LW:D0:12:34\n", ["line 1: the QR code is 'LW:D0:12:34'; it must be LW:D0:JoinEUI:DevEUI:profile"]),
        ('device_key = {"26": {"AppSKey": 1}, "x": 2}', ["line 1: '26' is not a device with", "line 1: 'x' is not"]),
        ('{"ids": {"device_id": "pump"}}', ["line 1, pump: only names, no DevEUI and no DevAddr"]),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line(text: str, says: list[str]) -> None:
    found = [str(mistake) for mistake in read(text).mistakes]
    assert len(found) == len(says)
    assert all(mistake.startswith(wanted) for mistake, wanted in zip(found, says, strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello\n", "it is not a list of devices; want CSV with a header line"),
        ("", "it is not a list of devices"),
        ('{"dev_eui": ', "line 1: not JSON: "),
        ('[\n{"a": 1},\n{"b": }]', "line 3: not JSON: "),
        ("[" * 100_000, "line 1: not JSON of devices"),
        ('{"a": ' + "1" * 5000 + "}", "line 1: not JSON of devices: a number too long, or too deep"),
        ('{"name": "Pump"}', "there is no device in it"),
        ("device_key = f()\n", "device_key is not a table of keys"),
        ("device_key = {\n", "cannot be read as Python"),
        ("dev_eui,name\n" + EUI + ',"' + "x" * 200_000 + '"\n', "line 2: field larger than field limit"),
    ],
)
def test_file_of_another_form_is_told(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert str(raised.value).startswith(says)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_what_spreadsheets_write_is_read(encoding: str) -> None:
    assert tables(f"dev_eui;name\r\n{EUI};Forêt\r\n".encode(encoding)) == [{"name": "Forêt", "dev_eui": EUI}]


def test_two_hundred_thousand_lines_take_a_moment() -> None:
    lines = (f'{{"devEui": "{number:016x}", "name": "n{number}"}}' for number in range(20_000))
    assert len(read("\n".join(lines)).records) == 20_000


SEEDS = [b"id;dev_eui;app_key\npump;0102;00\n", json.dumps(THINGS_STACK).encode(), KEY_FILE.encode(), b"LW:D0:"]


@given(data=st.one_of(st.binary(max_size=300), st.tuples(st.sampled_from(SEEDS), st.binary(max_size=40)).map(b"".join)))
def test_any_bytes_give_devices_or_one_clear_error(data: bytes) -> None:
    for name in ("list.csv", "key_LoRaWAN.py"):
        try:
            found = read_device_list(data, name)
        except ConfigError as error:
            assert str(error)
            continue
        for record in found.records:
            assert record.table.keys() & {"dev_eui", "dev_addr", "address"} or record.place


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)


@given(names=st.lists(values, min_size=1, max_size=5), delimiter=st.sampled_from(";,\t"))
def test_names_come_back_as_they_were_whatever_is_in_them(names: list[str], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["dev_eui", "name"])
    writer.writerows([f"{number:016x}", name] for number, name in enumerate(names, 1))
    found = read(out.getvalue())
    assert [record.table.get("name", "") for record in found.records] == [name.strip() for name in names]


CODE = "LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122:OAABBCCDDEEFF:SYYWWNNNNNN:PFOOBAR"  # of TR005, section 3


@pytest.mark.parametrize("code", [CODE, f"{CODE}:CAF2C", f"{CODE.lower()}:caf2c"])
def test_qr_code_is_read_with_its_checksum_or_without(code: str) -> None:
    assert read_qr_code(code) == {"dev_eui": "aabbccddeeff0011", "join_eui": "1122334455667788"}
    assert read_qr_code(f"{code} {KEY}")["app_key"] == KEY


@pytest.mark.parametrize("code", [f"{CODE}:CAF2D", f"{CODE.replace('0011', '0012')}:CAF2C"])
def test_qr_code_with_a_slip_is_refused_for_its_checksum(code: str) -> None:
    with pytest.raises(ConfigError, match="the checksum of the QR code"):
        read_qr_code(code)
