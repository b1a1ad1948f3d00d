"""Devices stand in the configuration, in devices.toml beside it, and in devices.d/."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.config import Change, Config, examine_config, load_config
from lora_post.config.devices import DevicePlace
from lora_post.errors import ConfigError
from tests.support.config_text import GATEWAY, KEY, LORAWAN


def lowcost(address: int, more: str = "") -> str:
    return f'[[device]]\naddress = {address}\ndecoder = "text"\n{more}'


class Folder:
    """A configuration and its files of devices."""

    def __init__(self, path: Path) -> None:
        self.config = path / "lora-post.toml"
        self.single = path / "devices.toml"
        self.many = path / "devices.d"
        self.write(self.config, GATEWAY + lowcost(2))

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o640)

    def load(self) -> Config:
        return load_config(self.config, {})

    def mistakes(self) -> list[str]:
        return [str(mistake) for mistake in examine_config(self.config, {})[1]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_devices_of_all_files_are_one_list_in_order(folder: Folder) -> None:
    folder.write(folder.single, lowcost(3) + lowcost(4))
    folder.write(folder.many / "b.toml", lowcost(6))
    folder.write(folder.many / "a.toml", lowcost(5))
    for ignored in (".a.toml", "a.toml~", "notes.txt"):
        folder.write(folder.many / ignored, "not [TOML")
    config = folder.load()
    assert [device.id for device in config.devices] == ["gw1-2", "gw1-3", "gw1-4", "gw1-5", "gw1-6"]
    assert config.device_files == (folder.single, folder.many / "a.toml", folder.many / "b.toml")
    assert config.device_places["gw1-4"] == DevicePlace(folder.single, 1)
    assert config.device_places["gw1-2"] == DevicePlace(folder.config, 0)


def test_decoder_rules_serve_devices_of_other_files(folder: Folder) -> None:
    folder.write(folder.single, '[[decoder_rule]]\ndev_eui_prefix = "0102"\ndecoder = "cayenne-lpp"\n')
    folder.write(folder.many / "a.toml", '[[device]]\ndev_eui = "0102030405060708"\n')
    assert folder.load().devices[1].decoder == "cayenne-lpp"


def test_mistakes_name_file_and_table(folder: Folder) -> None:
    folder.write(folder.single, lowcost(3) + lowcost(1))
    folder.write(folder.many / "a.toml", f"{lowcost(7)}{lowcost(2)}\n[spool]\nmax_mb = 5\n")
    folder.write(folder.many / "b.toml", "[[device]\n")
    assert folder.mistakes() == [
        f"{folder.single}: [[device]] number 2 (address 1, line 4) address is 1; it must be between 2 and 255 "
        "(1 is the gateway)",
        f"{folder.many}/a.toml: [spool] does not belong here; move it into the configuration; devices alone are here",
        f"{folder.many}/a.toml: [[device]] number 2 (address 2, line 4): id 'gw1-2' is also the id of "
        f"[[device]] number 1 (address 2, line 3) in "
        f"{folder.config}; give it another id",
        f"{folder.many}/b.toml: line 1: the table's name is not in brackets; write [[device]]",
    ]


def test_same_sender_in_two_files_is_refused(folder: Folder) -> None:
    folder.write(folder.single, LORAWAN + 'id = "one"\n')
    folder.write(folder.many / "a.toml", LORAWAN + 'id = "two"\n')
    (mistake,) = folder.mistakes()
    assert "a.toml: [[device]] number 1 (two, line 1): DevAddr 26011bda with these keys is also that of" in mistake
    assert f"[[device]] number 1 (one, line 1) in {folder.single}; correct DevAddr or keys" in mistake


@pytest.mark.parametrize("name", ["devices.toml", "devices.d/a.toml"])
def test_file_with_keys_that_others_may_write_to_is_refused(name: str, folder: Folder) -> None:
    path = folder.config.parent / name
    folder.write(path, LORAWAN)
    path.chmod(0o660)
    assert folder.mistakes() == [f"{path}: it holds secrets, and others may write to {path}; run: chmod go-w {path}"]
    path.chmod(0o644)
    assert [str(warning) for warning in folder.load().warnings] == [
        f"{path} holds secrets and everybody may read it; run: chmod 640 {path}"
    ]


def test_folder_in_which_others_may_put_files_is_refused(folder: Folder) -> None:
    folder.write(folder.many / "a.toml", lowcost(5))
    folder.many.chmod(0o777)
    (mistake,) = folder.mistakes()
    assert f"others may write to {folder.many}; run: chmod go-w {folder.many}" in mistake


def test_file_that_cannot_be_read_is_told(folder: Folder) -> None:
    (folder.many / "a.toml").mkdir(parents=True)
    assert folder.mistakes() == [f"{folder.many}/a.toml: it cannot be read: Is a directory"]


def test_devices_toml_with_a_gateway_is_a_configuration_of_its_own(folder: Folder) -> None:
    folder.write(folder.single, GATEWAY + lowcost(3))
    config = folder.load()
    assert [device.id for device in config.devices] == ["gw1-2"]
    assert "has a [gateway]: it is a configuration of its own" in str(config.warnings[0])
    alone = load_config(folder.single, {})
    assert ([device.id for device in alone.devices], alone.device_files) == (["gw1-3"], ())


def test_change_is_tried_without_writing_it(folder: Folder) -> None:
    config, mistakes = examine_config(folder.config, {}, Change({folder.single: lowcost(3)}))
    assert config is not None and not mistakes
    assert [device.id for device in config.devices] == ["gw1-2", "gw1-3"]
    assert not folder.single.exists()
    _, mistakes = examine_config(folder.config, {}, Change({folder.single: lowcost(2)}))
    assert len(mistakes) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xef\xbb\xbf" + GATEWAY.encode(), ""),
        (GATEWAY.encode("utf-16"), "it is UTF-16, which some editors call Unicode; save it as UTF-8"),
        (b'[gateway]\nid = "caf\xe9"\n', "line 2: byte e9 is not UTF-8; save it as UTF-8"),
        ("[gateway]\nid = “gw1”\n".encode(), 'line 2: “ is a quotation mark for print, not for TOML; write "'),
        (b'{"gateway": {"id": "gw1"}}', "it is JSON, not TOML; write `key"),
        (b"---\ngateway:\n  id: gw1\n", "line 1 is YAML, not TOML; write `key"),
        (b"gateway:\r\n  id: gw1\r\n", "line 1 is YAML, not TOML; write `key"),
        (b"[gateway]\nid = gw1\n", 'line 2: a text needs quotes; write id = "gw1"'),
        (b"[gateway]\nid = gw1 # here\r\n", 'line 2: a text needs quotes; write id = "gw1"'),
        (b'a = "x"\nid = "gw1\n', 'line 2: the quotation mark at the end of the text is missing; write id = "gw1"'),
        (b"a = 'x'\nid = 'gw1", 'line 2: the quotation mark at the end of the text is missing; write id = "gw1"'),
        (b"dev_addr = 26011bda\n", 'line 1: a text needs quotes; write dev_addr = "26011bda"'),
        (b"nwk_skey = 00112233\n", 'line 1: a text needs quotes; write nwk_skey = "\u2026"'),
        (b'token = "s3cret\n', 'line 1: the quotation mark at the end of the text is missing; write token = "\u2026"'),
        (b"only = [air, soil]\n", "line 1: the texts in it need quotes, and a comma between them; write only = ["),
        (b"only = [1,\nid = 5\n", "line 2 is right, and something above it is not closed; write its ]"),
        (b"options = {a=1\n", "line 1: options is no table on one line; write options = { name ="),
        (b"moves = True\n", "line 1: moves is True; write true, in small letters"),
        (b"offset = 1,5\n", "line 1: offset has a decimal comma; write 1.5"),
        (b"location = 48.1, 11.5\n", "line 1: several numbers are a list; write location = [48.1, "),
        (b'path = "C:\\data"\n', "line 1: path has a \\ in double quotes; write it twice"),
        (b'id "gw1"\n', "line 1: there is no = behind id; write id = "),
        (b"id =\n", "line 1: id has no value; write one behind the ="),
        (b'id = "a"\nid = "b"\n', "line 2: id is there twice in its table; remove one of the two"),
        (b"[gateway\n", "line 1: the table's name is not in brackets; write [gateway]"),
        (b'id = "a" "b"\n', "not TOML: Expected newline or end of document after a statement (at line 1, column 10)"),
        (b"\x00", "not TOML: "),
        (b"[device]\n[device]\n", "line 2: [device] must be written [[device]], once for each device"),
    ],
)
def test_file_that_is_not_toml_is_told_what_it_is(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "lora-post.toml"
    path.write_bytes(data)
    if not says:
        assert load_config(path, {}).gateway_id == "gw1"
        return
    with pytest.raises(ConfigError) as raised:
        load_config(path, {})
    assert str(raised.value).startswith(f"{path}: {says}")
    assert KEY not in str(raised.value)
