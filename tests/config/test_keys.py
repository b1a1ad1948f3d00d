from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.config import Config, examine_config, parse_config
from lora_post.errors import ConfigError
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys, SessionKeys11
from lora_post.lowcost.lsc import LscKey
from lora_post.model import Device, FCntPolicy

KEY = "00112233445566778899aabbccddeeff"
GATEWAY = '[gateway]\nid = "gw1"\n'
OTAA = f'dev_eui = "02AABBCCDDEEFF01"\njoin_eui = "feed:c0de:0000:0001"\napp_key = "{KEY}"\n'
ABP = f'dev_addr = "26011bda"\nnwk_skey = "{KEY}"\napp_skey = "{KEY}"\n'
ABP_11 = (
    'dev_addr = "26011bda"\n'
    f'f_nwk_s_int_key = "{KEY}"\ns_nwk_s_int_key = "{KEY}"\nnwk_s_enc_key = "{KEY}"\napp_skey = "{KEY}"\n'
)
RAW_KEY = bytes.fromhex(KEY)


def parse(*devices: str, environ: dict[str, str] | None = None) -> Config:
    tables = "".join(f'[[device]]\ndecoder = "text"\n{device}' for device in devices)
    return parse_config(GATEWAY + tables, Path("/nowhere/site.toml"), environ or {})


def device(*tables: str, environ: dict[str, str] | None = None) -> Device:
    (found,) = parse(*tables, environ=environ).devices
    return found


def test_device_that_joins_has_no_address_and_is_called_by_its_dev_eui() -> None:
    found = device(OTAA)
    assert found.root == RootKeys(0x02AABBCCDDEEFF01, 0xFEEDC0DE00000001, RAW_KEY)
    assert (found.address, found.keys, found.id) == (None, None, "gw1-02aabbccddeeff01")
    assert found.address_text == "02aabbccddeeff01"


def test_network_key_makes_it_a_device_of_lorawan_1_1() -> None:
    root = device(OTAA + "nwk_key_env = 'NWK'\n", environ={"NWK": "aa" * 16}).root
    assert root == RootKeys(0x02AABBCCDDEEFF01, 0xFEEDC0DE00000001, RAW_KEY, b"\xaa" * 16)


def test_four_session_keys_make_a_session_of_lorawan_1_1() -> None:
    assert device(ABP_11).keys == SessionKeys11(RAW_KEY, RAW_KEY, RAW_KEY, RAW_KEY)


def test_key_of_the_light_cipher_may_stand_alone_or_beside_aes() -> None:
    assert device(f'address = 6\nlsc_key = "{KEY}"\n').lsc == LscKey(RAW_KEY)
    both = device(f'address = 6\nlsc_key = "{KEY}"\nnwk_skey = "{KEY}"\napp_skey = "{KEY}"\n')
    assert both.lsc is not None and both.keys is not None


@pytest.mark.parametrize("policy", list(FCntPolicy))
def test_counter_policy_is_taken_by_its_name(policy: FCntPolicy) -> None:
    assert device(ABP + f'fcnt = "{policy}"\n').fcnt is policy


def test_half_a_mic_is_enough_only_where_it_is_said() -> None:
    assert not device(ABP_11).accept_half_mic
    assert device(ABP_11 + "accept_half_mic = true\n").accept_half_mic
    assert device(OTAA + f'nwk_key = "{KEY}"\naccept_half_mic = true\n').accept_half_mic


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (OTAA.replace('dev_eui = "02AABBCCDDEEFF01"\n', ""), "dev_eui is missing; joining needs"),
        (OTAA.replace('join_eui = "feed:c0de:0000:0001"\n', ""), "join_eui is missing; joining needs"),
        (OTAA.replace("0001", "00"), "join_eui has 14 characters; it must be 16 hex digits"),
        (OTAA.replace(f'app_key = "{KEY}"\n', ""), "app_key is missing; a device that joins needs it"),
        (OTAA.replace("app_key", "nwk_key"), "app_key is missing; a device that joins needs it beside nwk_key"),
        (OTAA.replace(KEY, KEY[:-1]), "app_key has 31 characters; it must be 32 hex digits"),
        (OTAA + ABP, "give either app_key, dev_eui and join_eui (OTAA), or dev_addr and session keys (ABP)"),
        (OTAA + "address = 6\n", "give either app_key, dev_eui and join_eui (OTAA)"),
        (OTAA + "accept_half_mic = true\n", "accept_half_mic: only LoRaWAN 1.1 has a MIC of two halves; remove it"),
        (ABP_11 + f'nwk_skey = "{KEY}"\n', "nwk_skey is a key of LoRaWAN 1.0"),
        (ABP_11.replace(f'nwk_s_enc_key = "{KEY}"\n', ""), "nwk_s_enc_key is missing; a device with keys needs all of"),
        (ABP_11.replace('dev_addr = "26011bda"', "address = 6"), "devices with `address` use nwk_skey and app_skey"),
        (ABP + f'lsc_key = "{KEY}"\n', "lsc_key: only devices with `address` use LowCostLoRaGw's cipher; remove it"),
        ('address = 6\nlsc_key = "12"\n', "lsc_key has 2 characters; it must be 32 hex digits"),
        (ABP + 'fcnt = "lenient"\n', "fcnt is 'lenient'; it must be 'strict' or '16bit' or 'restarts' or 'unchecked'"),
        (ABP + "fcnt = 16\n", "fcnt is a whole number"),
    ],
)
def test_mistake_is_named_with_the_fix_and_shows_no_key(table: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(table)
    assert complaint in str(caught.value)
    assert KEY[:31] not in str(caught.value)


def test_two_devices_may_not_share_a_dev_eui() -> None:
    other_key = OTAA.replace(KEY, KEY[::-1])
    for second in (OTAA, other_key):
        with pytest.raises(ConfigError, match=r"DevEUI 02aabbccddeeff01 is also that of \[\[device\]\] number 1"):
            parse(OTAA, second + 'id = "other"\n')


@pytest.mark.parametrize("name", ["app_key", "nwk_key", "lsc_key", "f_nwk_s_int_key", "nwk_skey", "app_keys"])
def test_file_with_a_key_that_everybody_may_read_is_reported(name: str, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(f'{GATEWAY}[[device]]\n{name} = "{KEY}"\n')
    path.chmod(0o644)
    config, _ = examine_config(path)
    assert config is not None and any("chmod 640" in warning.fix for warning in config.warnings)


@pytest.mark.parametrize(
    "text",
    [
        ", ".join(f"0x{KEY[at : at + 2]}" for at in range(0, 32, 2)),
        "{ " + ",".join(f"0X{KEY[at : at + 2].upper()}" for at in range(0, 32, 2)) + " };",
        "-".join(KEY[at : at + 2] for at in range(0, 32, 2)),
        f"0x{KEY}",
    ],
)
def test_key_may_be_written_as_in_a_c_file(text: str) -> None:
    found = device(ABP.replace(KEY, text).replace('"26011bda"', '"0x26, 0x01, 0x1B, 0xDA"'))
    assert (found.address, found.keys) == (0x26011BDA, SessionKeys(RAW_KEY, RAW_KEY))
